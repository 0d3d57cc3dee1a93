//! Requests to real servers, over TLS and without.
#![cfg(feature = "tls")]

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use switchboard_http_client::{Client, Dial, Method, Options, StatusCode, Trust, Url, header};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

/// A server that answers each connection's first request with these bytes, and gives what it has read.
struct Server {
    address: SocketAddr,
    requests: mpsc::UnboundedReceiver<String>,
}

async fn serve(answer: impl Into<Vec<u8>>, tls: Option<TlsAcceptor>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let (told, requests) = mpsc::unbounded_channel();
    let answer = answer.into();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (answer, told, tls) = (answer.clone(), told.clone(), tls.clone());
            tokio::spawn(async move {
                match tls {
                    None => exchange(stream, &answer, &told).await,
                    Some(tls) => match tls.accept(stream).await {
                        Ok(stream) => exchange(stream, &answer, &told).await,
                        Err(_) => drop(told.send("no TLS".into())),
                    },
                }
            });
        }
    });
    Server { address, requests }
}

async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: &[u8],
    told: &mpsc::UnboundedSender<String>,
) {
    let mut request = Vec::new();
    let mut part = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.to_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                let _ = told.send(text);
                break;
            }
        }
        match stream.read(&mut part).await {
            Ok(count @ 1..) => request.extend_from_slice(&part[..count]),
            _ => return,
        }
    }
    let _ = stream.write_all(answer).await;
    if answer.is_empty() {
        // One that never answers, until the client gives up.
        let _ = stream.read(&mut part).await;
    }
    let _ = stream.shutdown().await;
}

/// A server's end of TLS, and the PEM file of its certificate.
fn certificate(name: &str, directory: &std::path::Path) -> (TlsAcceptor, PathBuf) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed([name.to_owned()]).expect("a certificate");
    let path = directory.join("ca.pem");
    std::fs::write(&path, cert.pem()).expect("written");
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .expect("a configuration");
    (TlsAcceptor::from(Arc::new(config)), path)
}

fn client(change: impl FnOnce(&mut Options)) -> Client {
    let mut options = Options { trust: Trust::Nobody, ..Options::default() };
    change(&mut options);
    Client::new(&options).expect("a client")
}

fn url(text: &str) -> Url {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[tokio::test]
async fn a_request_has_its_headers_and_its_body_and_the_answer_comes_whole() {
    let mut server = serve("HTTP/1.1 201 Created\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello", None).await;
    let url = url(&format!("http://{}/a?b=c", server.address));
    let answer = client(|_| {}).send(Method::POST, &url, &[(header::CONTENT_TYPE, "text/plain")], "body").await;
    let answer = answer.expect("an answer");
    assert_eq!((answer.status, &answer.body[..], answer.cut), (StatusCode::CREATED, &b"hello"[..], None));
    assert_eq!(answer.headers["x-a"], "b");
    let request = server.requests.recv().await.expect("a request");
    assert!(request.starts_with("POST /a?b=c HTTP/1.1\r\n") && request.ends_with("\r\n\r\nbody"), "{request}");
    assert!(request.to_lowercase().contains("content-type: text/plain"), "{request}");
}

#[tokio::test]
async fn https_works_where_the_certificate_is_trusted_and_nowhere_else() {
    let directory = tempfile::tempdir().expect("a directory");
    let (tls, ca) = certificate("localhost", directory.path());
    let mut server = serve("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Some(tls)).await;
    let address = url(&format!("https://localhost:{}/secret", server.address.port()));
    let trusting = client(|options| options.trust = Trust::SystemAnd(ca.clone()));
    assert_eq!(trusting.get(&address).await.expect("an answer").body, "ok");
    assert!(server.requests.recv().await.expect("a request").starts_with("GET /secret "));
    // By another name the certificate is not its own.
    let error =
        trusting.get(&url(&format!("https://{}/secret", server.address))).await.expect_err("refused").to_string();
    assert!(error.contains("certificate") && !error.contains("secret") && !error.contains("127.0.0.1"), "{error}");
    let error = client(|_| {}).get(&address).await.expect_err("refused").to_string();
    assert!(error.contains("certificate") && !error.contains("secret") && !error.contains("localhost"), "{error}");
}

#[tokio::test]
async fn a_file_without_certificates_is_refused_when_the_client_is_made() {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, text) in [("empty.pem", ""), ("key.pem", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n")]
    {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("written");
        let error = Client::new(&Options { trust: Trust::SystemAnd(path), ..Options::default() }).expect_err("refused");
        assert!(error.to_string().contains(name), "{error}");
    }
    let nowhere = Trust::SystemAnd(directory.path().join("nowhere.pem"));
    assert!(Client::new(&Options { trust: nowhere, ..Options::default() }).is_err());
}

#[tokio::test]
async fn one_that_does_not_answer_is_given_up_in_time() {
    let server = serve("", None).await;
    let limit = Duration::from_millis(50);
    let error = client(|options| options.timeout = limit).get(&url(&format!("http://{}/", server.address))).await;
    assert_eq!(error.expect_err("no answer").to_string(), "headers: no complete answer within 50ms");
}

#[tokio::test]
async fn one_that_does_not_end_its_answer_is_given_up_in_time() {
    let server = serve("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", None).await;
    let answer = client(|_| {}).get(&url(&format!("http://{}/", server.address))).await.expect("an answer");
    assert!(answer.cut.is_some() && answer.body == "short", "{answer:?}");
}

#[tokio::test]
async fn an_answer_at_the_limit_is_whole_and_one_beyond_it_is_cut() {
    for (limit, cut) in [(6, false), (5, false), (4, true), (0, true)] {
        let server = serve("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345", None).await;
        let client = client(|options| options.answer_limit = limit);
        let answer = client.get(&url(&format!("http://{}/", server.address))).await.expect("an answer");
        assert_eq!((answer.cut.is_some(), answer.body.len()), (cut, limit.min(5)), "{limit}");
    }
}

#[tokio::test]
async fn a_refused_connection_says_so_and_not_the_address() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        listener.local_addr().expect("an address").port()
    };
    let error = client(|_| {}).get(&url(&format!("http://127.0.0.1:{port}/secret"))).await.expect_err("refused");
    let text = error.to_string();
    assert!(text.contains("refused") && !text.contains("secret") && !text.contains("127.0.0.1"), "{text}");
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    let server = serve("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", None).await;
    let answer = client(|_| {}).get(&url(&format!("http://{}/", server.address))).await.expect("an answer");
    assert_eq!(answer.status, StatusCode::FOUND);
}

#[tokio::test]
async fn a_header_that_cannot_be_sent_is_an_error() {
    let client = client(|_| {});
    let sent = client.send(Method::GET, &url("http://127.0.0.1:1/"), &[(header::AUTHORIZATION, "a\r\nb")], "").await;
    assert!(sent.expect_err("refused").to_string().contains("header"));
}

#[tokio::test]
async fn the_client_connects_by_its_own_dialer_only_and_shows_its_refusal() {
    let server = serve("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", None).await;
    let address = server.address;
    let dial = Dial::with(move |host, port| {
        Box::pin(async move {
            match (host.as_str(), port) {
                ("name.example", 81) => tokio::net::TcpStream::connect(address).await,
                _ => Err(std::io::Error::other("refused by the test")),
            }
        })
    });
    let client = client(|options| options.dial = dial);
    let url = |text: &str| text.parse::<Url>().expect("an address");
    assert_eq!(client.get(&url("http://name.example:81/")).await.expect("an answer").status, StatusCode::OK);
    let error = client.get(&url(&format!("http://{address}/"))).await.expect_err("refused");
    assert!(error.to_string().contains("refused by the test"), "{error}");
}
