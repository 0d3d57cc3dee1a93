//! Alerts on their way to webhooks: real servers, over TLS and without.

mod common;

use common::{PATIENCE, Running, sample, settings};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use switchboard_monitor::{Monitor, Rules, Secret, Settings};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// A receiver of alerts: the bodies that were posted to it.
struct Receiver {
    address: SocketAddr,
    bodies: mpsc::UnboundedReceiver<Value>,
}

impl Receiver {
    /// Answers requests with these, the last one again and again; an empty one is no answer.
    async fn start(answers: &'static [&'static str], tls: Option<TlsAcceptor>) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (told, bodies) = mpsc::unbounded_channel();
        let next = Arc::new(Mutex::new(0));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (told, next, tls) = (told.clone(), next.clone(), tls.clone());
                let answer = move || {
                    let mut next = next.lock().expect("no panic");
                    *next += 1;
                    answers[usize::min(*next, answers.len()) - 1]
                };
                tokio::spawn(async move {
                    match tls {
                        None => receive(stream, answer, told).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                receive(stream, answer, told).await;
                            }
                        }
                    }
                });
            }
        });
        Receiver { address, bodies }
    }

    async fn next(&mut self) -> Value {
        timeout(PATIENCE, self.bodies.recv()).await.expect("an alert in time").expect("a receiver")
    }
}

async fn receive(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: impl Fn() -> &'static str,
    told: mpsc::UnboundedSender<Value>,
) {
    let mut request = Vec::new();
    let mut part = [0; 4096];
    loop {
        match stream.read(&mut part).await {
            Ok(count @ 1..) => request.extend_from_slice(&part[..count]),
            _ => return,
        }
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((_, body)) = text.split_once("\r\n\r\n") else { continue };
        let Ok(body) = serde_json::from_str(body) else { continue };
        request.clear();
        let _ = told.send(body);
        let answer = answer();
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

const TAKEN: &str = "HTTP/1.1 204 Thanks\r\n\r\n";
const BUSY: &str = "HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n";
const GONE: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";

/// A server's end of TLS, and the PEM file of its certificate.
fn certificate(directory: &Path) -> (TlsAcceptor, PathBuf) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).expect("made");
    let path = directory.join("ca.pem");
    std::fs::write(&path, cert.pem()).expect("written");
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .expect("a configuration");
    (TlsAcceptor::from(Arc::new(config)), path)
}

/// An address where nobody listens. It has a loopback address of its own: no other test can have taken the port.
async fn dead() -> SocketAddr {
    let listener = TcpListener::bind("127.31.31.31:0").await.expect("a free port");
    listener.local_addr().expect("an address")
}

/// Everybody who reports once is silent at the next second.
fn restless(settings: &mut Settings, addresses: &[String]) {
    settings.webhook = addresses.iter().map(|address| Secret::from(address.as_str())).collect();
    settings.rules = Rules { silent: Duration::from_millis(1), ..Rules::default() };
}

async fn bind_error(change: impl FnOnce(&mut Settings)) -> String {
    let directory = tempfile::tempdir().expect("a directory");
    let mut settings = settings(directory.path());
    change(&mut settings);
    Monitor::bind(settings).await.expect_err("refused").to_string()
}

#[tokio::test]
async fn an_alert_is_posted_over_https_to_a_server_whose_certificate_is_trusted() {
    let directory = tempfile::tempdir().expect("a directory");
    let (tls, ca) = certificate(directory.path());
    let mut receiver = Receiver::start(&[TAKEN], Some(tls)).await;
    let address = format!("https://localhost:{}/services/T0/secret", receiver.address.port());
    let monitor = Running::with(|settings| {
        restless(settings, &[address]);
        settings.webhook_ca = Some(ca);
    })
    .await;
    monitor.post(&sample(0, json!({}))).await;
    let alert = receiver.next().await;
    assert_eq!((&alert["kind"], &alert["name"]), (&json!("silent"), &json!("red")));
    assert!(alert["text"].as_str().is_some_and(|text| text.starts_with("red is silent")), "{alert}");
    monitor.until("/api/self", |own| own["alerts_delivered"] == 1 && own["alerts_undelivered"] == 0).await;
}

#[tokio::test]
async fn a_bad_address_is_refused_at_start_with_the_reason_and_is_not_repeated() {
    for (address, why) in [
        ("hooks.example.org/secret", "begins with http:// or https://"),
        ("ftp://hooks.example.org/secret", "begins with http:// or https://"),
        ("https:///secret", "no host"),
        ("https://hooks.example.org:99999/secret", "port"),
        ("https://user:secret@hooks.example.org/", "user name or password"),
        ("https://hooks.example.org/a secret", "character"),
    ] {
        let error = bind_error(|settings| settings.webhook = vec![address.into()]).await;
        assert!(
            error.contains("the webhook") && error.contains(why) && !error.contains("secret"),
            "{address}: {error}"
        );
    }
    let error = bind_error(|settings| settings.webhook = vec!["http://127.0.0.1:1".into(), "x".into()]).await;
    assert!(error.contains("webhook 2"), "{error}");
    let error = bind_error(|settings| {
        settings.webhook = vec!["https://127.0.0.1:1".into()];
        settings.webhook_ca = Some("/nowhere/ca.pem".into());
    });
    assert!(error.await.contains("/nowhere/ca.pem"));
}

#[tokio::test]
async fn pauses_from_nothing_to_a_day_are_allowed() {
    let day = Duration::from_secs(86_400);
    let directory = tempfile::tempdir().expect("a directory");
    for pause in [Duration::ZERO, Duration::from_millis(1), day] {
        let mut settings = settings(directory.path());
        (settings.alert_interval, settings.alert_repeat) = (pause, pause);
        let monitor = Monitor::bind(settings).await.unwrap_or_else(|error| panic!("{pause:?}: {error}"));
        monitor.run(async {}).await.expect("all is written");
    }
    for pause in [day + Duration::from_nanos(1), Duration::MAX] {
        assert!(bind_error(|settings| settings.alert_interval = pause).await.contains("alert-interval"));
        assert!(bind_error(|settings| settings.alert_repeat = pause).await.contains("alert-repeat"));
    }
}

#[tokio::test]
async fn an_address_that_does_not_answer_and_one_that_is_dead_hold_no_other() {
    let mut silent = Receiver::start(&[""], None).await;
    let dead = dead().await;
    let mut well = Receiver::start(&[TAKEN], None).await;
    let addresses = [silent.address, dead, well.address].map(|address| format!("http://{address}/"));
    let monitor = Running::with(|settings| {
        restless(settings, &addresses);
        settings.alert_interval = Duration::ZERO;
    })
    .await;
    monitor.post(&sample(0, json!({ "color": "red" }))).await;
    assert_eq!(well.next().await["name"], "red");
    assert_eq!(silent.next().await["name"], "red");
    // While the first one still has its request.
    monitor.post(&sample(0, json!({ "color": "blue" }))).await;
    assert_eq!(well.next().await["name"], "blue");
}

#[tokio::test]
async fn what_comes_while_a_server_is_away_is_sent_together_when_it_is_back() {
    let mut receiver = Receiver::start(&[BUSY, TAKEN], None).await;
    let monitor = Running::with(|settings| {
        restless(settings, &[format!("http://{}/", receiver.address)]);
        settings.alert_interval = Duration::ZERO;
    })
    .await;
    monitor.post(&sample(0, json!({ "color": "red" }))).await;
    assert_eq!(receiver.next().await["name"], "red");
    let again = receiver.next().await;
    assert_eq!(again["alerts"][0]["name"], "red");
    monitor.until("/api/self", |own| own["alerts_delivered"] == again["alerts"].as_array().unwrap().len()).await;
}

#[tokio::test]
async fn an_alert_that_the_server_refuses_for_good_is_counted_and_the_next_one_comes() {
    let mut receiver = Receiver::start(&[GONE, TAKEN], None).await;
    let monitor = Running::with(|settings| {
        restless(settings, &[format!("http://{}/", receiver.address)]);
        settings.alert_interval = Duration::ZERO;
    })
    .await;
    monitor.post(&sample(0, json!({ "color": "red" }))).await;
    assert_eq!(receiver.next().await["name"], "red");
    monitor.until("/api/self", |own| own["alerts_undelivered"] == 1).await;
    monitor.post(&sample(0, json!({ "color": "blue" }))).await;
    assert_eq!(receiver.next().await["name"], "blue");
}

#[tokio::test]
async fn many_that_fall_silent_together_are_one_post_after_the_first() {
    let mut receiver = Receiver::start(&[TAKEN], None).await;
    let monitor = Running::with(|settings| {
        restless(settings, &[format!("http://{}/", receiver.address)]);
        settings.alert_interval = Duration::from_secs(2);
    })
    .await;
    let samples: String = (0..300).map(|color| sample(0, json!({ "color": color.to_string() })) + "\n").collect();
    monitor.post(&samples).await;
    let (mut posts, mut alerts) = (0, 0);
    while alerts < 300 {
        let body = receiver.next().await;
        posts += 1;
        alerts += body["alerts"].as_array().expect("a list").len();
    }
    assert!(posts <= 3, "{posts} posts");
}

#[tokio::test]
async fn a_restart_repeats_no_alert_and_tells_the_return() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut receiver = Receiver::start(&[TAKEN], None).await;
    let address = format!("http://{}/", receiver.address);
    let restless = || {
        let mut settings = settings(directory.path());
        restless(&mut settings, std::slice::from_ref(&address));
        settings.alert_interval = Duration::ZERO;
        settings
    };
    let mut monitor = Running::on(restless()).await;
    monitor.post(&sample(0, json!({ "color": "red" }))).await;
    assert_eq!((&receiver.next().await["kind"]), "silent");
    monitor.stop().await;
    let monitor = Running::on(restless()).await;
    // Two seconds pass: somebody else falls silent meanwhile, and this one does not again.
    for color in ["blue", "green"] {
        monitor.post(&sample(0, json!({ "color": color }))).await;
        let alert = receiver.next().await;
        assert_eq!((&alert["name"], &alert["kind"]), (&json!(color), &json!("silent")), "{alert}");
    }
    monitor.post(&sample(0, json!({ "color": "red" }))).await;
    let alert = receiver.next().await;
    assert!(alert.to_string().contains("red reports again"), "{alert}");
}
