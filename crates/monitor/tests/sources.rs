//! Sources of samples, and targets of alerts.

mod common;

use common::{PATIENCE, Running, sample};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use switchboard_client::Client;
use switchboard_monitor::Rules;
use switchboard_server::{Server, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// As a typical sender does it, a hundred times as often; it says when it is refused.
const SENDER: &str = r#"
import sys, time
from datetime import datetime, timezone
try:
    import zmq
    from zmq.utils.monitor import recv_monitor_message
except ImportError:
    sys.exit("pyzmq is missing here")
endpoint, color, password = sys.argv[1:]
REFUSED = (zmq.EVENT_HANDSHAKE_FAILED_AUTH, zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL,
           zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL, zmq.EVENT_DISCONNECTED)
socket = zmq.Context().socket(zmq.PUB)
if password:
    socket.plain_username, socket.plain_password = b"sender", password.encode()
events = socket.get_monitor_socket()
socket.connect(endpoint)
while True:
    socket.send_json(dict(color=color, timestamp=datetime.now(tz=timezone.utc).isoformat(), cpu=99, mem=10.5))
    while events.poll(10):
        if recv_monitor_message(events)["event"] in REFUSED:
            sys.exit("refused")
"#;

fn sender(endpoint: &str, color: &str, password: &str) -> Child {
    // `scripts/test` installs it there.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the workspace");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |target| root.join(target));
    let venv = target.join("pyzmq");
    Command::new(venv.join("bin/python"))
        .args(["-c", SENDER, endpoint, color, password])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| {
            let venv = venv.display();
            panic!("{error}; install it: apt-get install python3-venv && python3 -m venv {venv} && {venv}/bin/pip install pyzmq")
        })
}

/// Until so many samples are there, or the sender says why not.
async fn arrived(monitor: &Running, mut sender: Child, count: u64) {
    let arrived = monitor.until("/api/self", |own| own["received_by_source"]["zmq"].as_u64() >= Some(count));
    tokio::select! {
        _ = arrived => {}
        status = sender.wait() => {
            let mut error = String::new();
            drop(sender.stderr.take().expect("a pipe").read_to_string(&mut error).await);
            panic!("the sender ended, {status:?}: {error}");
        }
    }
}

#[tokio::test]
async fn typical_senders_work_unchanged() {
    let monitor = Running::start().await;
    arrived(&monitor, sender(monitor.collect.as_ref().unwrap(), "teal", ""), 100).await;
    let own = monitor.get("/api/self").await;
    assert_eq!((&own["accepted"], &own["series"]), (&own["received"], &json!(1)));
    let processes = monitor.get("/api/processes").await;
    assert_eq!((&processes["processes"][0]["name"], &processes["processes"][0]["cpu"]), (&json!("teal"), &json!(99.0)));
}

#[tokio::test]
async fn beyond_loopback_a_sender_needs_the_token() {
    let monitor = Running::with(|settings| settings.collect = Some("tcp://0.0.0.0:0".into())).await;
    let token = monitor.token.clone().expect("one was made");
    let port = monitor.collect.clone().unwrap().rsplit_once(':').unwrap().1.to_owned();
    let endpoint = format!("tcp://127.0.0.1:{port}");
    let refused = timeout(PATIENCE, sender(&endpoint, "wrong", "guess").wait_with_output()).await.expect("in time");
    assert_eq!(String::from_utf8_lossy(&refused.unwrap().stderr).trim(), "refused");
    arrived(&monitor, sender(&endpoint, "right", &token), 10).await;
    let processes = monitor.get("/api/processes").await;
    assert_eq!(processes["processes"].as_array().unwrap().len(), 1);
    assert_eq!(processes["processes"][0]["name"], "right");
}

#[tokio::test]
async fn samples_come_from_the_brokers_topic_and_alerts_go_to_another() {
    let server = Settings { listen: vec!["127.0.0.1:0".into()], http: Vec::new(), ..Settings::default() };
    let broker = Server::bind(server).await.unwrap();
    let url = format!("switchboard://{}", broker.native_addresses()[0]);
    tokio::spawn(broker.run(std::future::pending()));
    let client = Client::connect(&url).await.unwrap();
    let mut alerts = client.subscribe("/topic/alerts").await.unwrap();
    let monitor = Running::with(|settings| {
        settings.broker = Some(url.clone());
        settings.rules = Rules { silent: Duration::from_millis(1), ..Rules::default() };
    })
    .await;
    // A sample that is published before the collector has subscribed is lost, as everywhere.
    monitor
        .until("/api/self", |own| {
            drop(client.publish("/topic/metrics", sample(0, json!({}))));
            own["accepted"] != 0
        })
        .await;
    let alert = timeout(PATIENCE, alerts.next()).await.expect("an alert in time").unwrap();
    let alert: Value = serde_json::from_slice(&alert).unwrap();
    assert_eq!((&alert["kind"], &alert["name"], &alert["id"]), (&json!("silent"), &json!("red"), &json!(1)));
}

#[tokio::test]
async fn alerts_are_posted_until_they_are_taken() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let monitor = Running::with(|settings| {
        settings.webhook = vec![format!("http://{address}/alert?to=me").into()];
        settings.rules = Rules { silent: Duration::from_millis(1), ..Rules::default() };
    })
    .await;
    monitor.post(&sample(0, json!({ "color": "\"><script>" }))).await;
    let mut bodies = Vec::new();
    for answer in ["HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 204 Thanks\r\n\r\n"] {
        let (mut stream, _) = timeout(PATIENCE, listener.accept()).await.expect("an alert in time").unwrap();
        let mut request = String::new();
        while !request.ends_with('}') {
            let mut buffer = [0; 4096];
            let read = stream.read(&mut buffer).await.unwrap();
            assert_ne!(read, 0, "{request}");
            request.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        assert!(request.starts_with("POST /alert?to=me HTTP/1.1\r\n"), "{request}");
        bodies.push(request.split_once("\r\n\r\n").unwrap().1.to_owned());
    }
    assert_eq!(bodies[0], bodies[1]);
    let alert: Value = serde_json::from_str(&bodies[0]).unwrap();
    assert_eq!((&alert["kind"], &alert["name"]), (&json!("silent"), &json!("\"><script>")));
    monitor.until("/api/self", |own| own["alerts_delivered"] == 1 && own["alerts_undelivered"] == 0).await;
}

#[tokio::test]
async fn peers_of_another_protocol_and_messages_over_the_limit_are_counted() {
    let monitor = Running::start().await;
    let endpoint = monitor.collect.clone().expect("it collects");
    let address = endpoint.strip_prefix("tcp://").expect("TCP").to_owned();
    for first in
        [&b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"[..], b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00"]
    {
        let mut stream = tokio::net::TcpStream::connect(&address).await.expect("a connection");
        stream.write_all(first).await.expect("written");
        let mut rest = Vec::new();
        // It may be reset.
        let _ = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("it is disconnected");
    }
    // A PUB of ZMTP 3.0 with a message of 70,000 bytes.
    let mut greeting = b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\0NULL".to_vec();
    greeting.resize(64, 0);
    let mut stream = tokio::net::TcpStream::connect(&address).await.expect("a connection");
    stream.write_all(&greeting).await.expect("written");
    stream.write_all(b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03PUB").await.expect("written");
    stream.write_all(&[&[2][..], &70_000_u64.to_be_bytes()].concat()).await.expect("written");
    let mut rest = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("it is disconnected");
    let counted = async {
        loop {
            let (_, metrics) = monitor.ask("GET", "/metrics", "").await;
            if metrics.contains("\nswitchboard_monitor_faulty_peers_total 3\n") {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, counted).await.expect("all are counted");
}
