use super::PATIENCE;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use switchboard_monitor::{Millis, Monitor, Settings, Unwritten};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};

/// A collector on a runtime of its own, so that nothing of it is left when it has stopped.
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    /// Its ZeroMQ endpoint.
    pub(crate) endpoint: String,
    runtime: Option<Runtime>,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<Result<(), Unwritten>>,
}

impl Drop for Collector {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Collector {
    pub(crate) async fn start(data: &Path) -> Collector {
        Collector::start_with("127.0.0.1:0", data, |_| {}).await
    }

    pub(crate) async fn start_with(address: &str, data: &Path, change: impl FnOnce(&mut Settings)) -> Collector {
        let mut settings = Settings::new(data.to_owned());
        settings.listen = vec![address.to_owned()];
        settings.collect = Some("tcp://127.0.0.1:0".into());
        change(&mut settings);
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let bound = runtime.spawn(Monitor::bind(settings)).await.expect("no panic");
        let monitor = bound.unwrap_or_else(|error| panic!("{error}"));
        let address = monitor.http_addresses()[0];
        let endpoint = monitor.collect_endpoint().expect("it collects");
        let (stop, stopped) = oneshot::channel::<()>();
        let running = runtime.spawn(monitor.run(async { drop(stopped.await) }));
        Collector { address, endpoint, runtime: Some(runtime), stop: Some(stop), running }
    }

    pub(crate) fn page(&self, query: &str) -> String {
        format!("http://{}/{query}", self.address)
    }

    /// Its port and its directory are free when this returns, whatever pages are open.
    pub(crate) async fn stop(mut self) {
        let runtime = self.runtime.take().expect("alive");
        drop(self.stop.take());
        timeout(PATIENCE, &mut self.running).await.expect("it stops").expect("no panic").expect("all is written");
        runtime.shutdown_background();
    }

    /// Returns its answer.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let body = ask(self.address, http::Request::get(path), String::new()).await;
        serde_json::from_slice(&body.unwrap_or_else(|error| panic!("{path}: {error}"))).expect("JSON")
    }

    /// Asks until what it knows of the process of this name is as wanted.
    pub(crate) async fn until(&self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let asking = async {
            let mut beat = interval(Duration::from_millis(50));
            loop {
                beat.tick().await;
                last = self.get("/api/processes").await["processes"].take();
                let found = last.as_array().into_iter().flatten().find(|process| process["name"] == name);
                if let Some(found) = found.filter(|process| wanted(process)) {
                    return found.clone();
                }
            }
        };
        let found = timeout(PATIENCE, asking).await;
        found.unwrap_or_else(|_| panic!("{name} is not as wanted within {PATIENCE:?}: {last:#}"))
    }

    /// Samples, as many as there are, in one request after the other.
    pub(crate) async fn take(&self, samples: &[Value]) {
        for some in samples.chunks(2000) {
            let lines: String = some.iter().map(|sample| format!("{sample}\n")).collect();
            post(self.address, lines).await.unwrap_or_else(|error| panic!("{error}"));
        }
    }
}

/// Two processes of one service.
pub(crate) fn blue() -> Value {
    json!({ "color": "#1f77b4", "service": "orders", "instance": "orders-1" })
}

pub(crate) fn orange() -> Value {
    json!({ "color": "#c2410c", "service": "orders", "instance": "orders-2" })
}

/// Returns a sample of one process, so many seconds ago.
pub(crate) fn sample(name: &Value, ago: u32, cpu: f64, mem: f64) -> Value {
    let mut sample = name.clone();
    sample["timestamp"] = json!(Millis::now().before(Duration::from_secs(ago.into())).to_string());
    sample["cpu"] = json!(cpu);
    sample["mem"] = json!(mem);
    sample
}

/// The last so many seconds of a process whose figures are functions of the seconds ago.
pub(crate) fn past(name: &Value, seconds: u32, figures: impl Fn(u32) -> (f64, f64)) -> Vec<Value> {
    (1..=seconds).rev().map(|ago| (ago, figures(ago))).map(|(ago, (cpu, mem))| sample(name, ago, cpu, mem)).collect()
}

/// Processes that report twice a second until this is dropped, whether the collector is there or not.
pub(crate) struct Sender(JoinHandle<()>);

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Sender {
    pub(crate) fn start(address: SocketAddr, names: Vec<Value>) -> Sender {
        Sender(tokio::spawn(async move {
            let mut beat = interval(Duration::from_millis(500));
            for number in 0.. {
                beat.tick().await;
                let figures = |at: usize| (10.0 + f64::from(number % 7) + 20.0 * at as f64, 50.0 + 30.0 * at as f64);
                let samples = names.iter().enumerate().map(|(at, name)| sample(name, 0, figures(at).0, figures(at).1));
                // A collector that is away loses them: this is no agent.
                let _ = post(address, samples.map(|sample| format!("{sample}\n")).collect()).await;
            }
        }))
    }
}

async fn post(address: SocketAddr, lines: String) -> Result<(), String> {
    let request = http::Request::post("/api/samples").header("content-type", "application/x-ndjson");
    ask(address, request, lines).await.map(drop)
}

async fn ask(address: SocketAddr, request: http::request::Builder, body: String) -> Result<Bytes, String> {
    let failed = |error: &dyn std::error::Error| error.to_string();
    let stream = TcpStream::connect(address).await.map_err(|error| failed(&error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
    drop(tokio::spawn(connection));
    let request = request.header("host", address.to_string()).body(Full::new(Bytes::from(body)));
    let answer = sender.send_request(request.expect("a request")).await.map_err(|error| failed(&error))?;
    let status = answer.status();
    let body = answer.into_body().collect().await.map_err(|error| failed(&error))?.to_bytes();
    if status.is_success() { Ok(body) } else { Err(format!("{status}: {}", String::from_utf8_lossy(&body))) }
}
