//! Alerts on their way to people: a webhook, and a topic of the broker.

use crate::annotation::Annotation;
use crate::hub::Hub;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use switchboard_client::Client;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

/// How long a webhook may take to answer.
const ANSWER: Duration = Duration::from_secs(10);
/// Pauses before a webhook is tried again.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30)];
/// Alerts that may wait for a webhook.
const WAITING: usize = 1000;
/// What is read of its answer, in bytes.
const READ: usize = 64 << 10;

/// A annotation that somebody wants to know of.
#[derive(Clone, Debug)]
pub(crate) struct Alert {
    pub(crate) annotation: Annotation,
    /// What the process is called.
    pub(crate) name: String,
}

impl Alert {
    fn json(&self) -> String {
        let Annotation { time, id, kind, text } = &self.annotation;
        json!({ "time": time, "timestamp": time.to_string(), "id": id, "name": self.name, "kind": kind, "text": text })
            .to_string()
    }
}

/// Delivers for ever: each way in order, and none waits for the other.
pub(crate) async fn run(hub: Arc<Hub>, mut alerts: mpsc::Receiver<Alert>, client: watch::Receiver<Option<Client>>) {
    let (posts, waiting) = mpsc::channel(WAITING);
    let posting = post_all(hub.clone(), waiting);
    let telling = async {
        while let Some(alert) = alerts.recv().await {
            tracing::warn!("alert: {}", alert.annotation.text.escape_debug());
            let json = alert.json();
            if hub.settings.broker.is_some() {
                let broker = client.borrow().clone();
                let told = match broker {
                    Some(client) => client.publish(&hub.settings.alerts, &json).await.is_ok(),
                    None => false,
                };
                count(&hub, told);
            }
            if hub.settings.webhook.is_some() && posts.try_send(json).is_err() {
                count(&hub, false);
            }
        }
    };
    tokio::join!(posting, telling);
}

fn count(hub: &Hub, delivered: bool) {
    (if delivered { &hub.delivered } else { &hub.undelivered }).fetch_add(1, Ordering::Relaxed);
}

async fn post_all(hub: Arc<Hub>, mut waiting: mpsc::Receiver<String>) {
    let Some(address) = hub.settings.webhook.clone() else { return };
    while let Some(json) = waiting.recv().await {
        count(&hub, post_stubbornly(&address, &json).await);
    }
}

async fn post_stubbornly(address: &str, json: &str) -> bool {
    for pause in PAUSES.map(Some).into_iter().chain([None]) {
        let result = timeout(ANSWER, post(address, json)).await;
        let problem = match result {
            Ok(Ok(())) => return true,
            Ok(Err(problem)) => problem,
            Err(_) => format!("no answer within {} s", ANSWER.as_secs()),
        };
        match pause {
            Some(pause) => {
                tracing::warn!("the webhook {address} failed, tried again in {} s: {problem}", pause.as_secs());
                sleep(pause).await;
            }
            None => tracing::error!("the webhook {address} failed, and this alert is given up: {problem}"),
        }
    }
    false
}

async fn post(address: &str, json: &str) -> Result<(), String> {
    let uri: Uri = address.parse().map_err(|error| format!("{address} is no address: {error}"))?;
    let authority = uri.authority().filter(|_| uri.scheme_str() == Some("http"));
    let authority = authority.ok_or_else(|| format!("{address} must begin with http:// and a host"))?;
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await.map_err(|error| text(&error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| text(&error))?;
    let connection = tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(HOST, authority.as_str())
        .header(CONTENT_TYPE, "application/json")
        .body(Full::<Bytes>::from(json.to_owned()))
        .map_err(|error| text(&error))?;
    let answer = sender.send_request(request).await.map_err(|error| text(&error))?;
    let status = answer.status();
    // Read, so that the other side need not think that nobody did.
    let _ = Limited::new(answer.into_body(), READ).collect().await;
    connection.abort();
    if status.is_success() { Ok(()) } else { Err(format!("it answered {status}")) }
}
