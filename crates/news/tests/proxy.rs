//! The forward proxy over real sockets.

use std::time::Duration;
use switchboard_news::guard::{Allow, Guard, Proxy, ProxyLimits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Generous; only what must come to its end waits so long.
const LIMIT: Duration = Duration::from_secs(30);

/// A server that sends `answer` to each connection, and hands on what it read before.
async fn server(answer: &'static str) -> (u16, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let sender = sender.clone();
            tokio::spawn(async move {
                let mut text = Vec::new();
                let mut buffer = [0; 1024];
                while !text.ends_with(b"\r\n\r\n") {
                    match stream.read(&mut buffer).await {
                        Ok(count) if count > 0 => text.extend_from_slice(&buffer[..count]),
                        _ => return,
                    }
                }
                let _ = sender.send(String::from_utf8_lossy(&text).into_owned());
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    (port, receiver)
}

async fn proxy(allow: &[String], limits: ProxyLimits) -> Proxy {
    let guard = Guard::new(Allow::parse(allow).expect("pairs"), LIMIT);
    Proxy::start(guard, limits).await.expect("a proxy")
}

async fn ask(proxy: &Proxy, request: &str) -> String {
    let mut stream = TcpStream::connect(proxy.address()).await.expect("the proxy");
    stream.write_all(request.as_bytes()).await.expect("written");
    read_all(&mut stream).await
}

async fn read_all(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let _ = timeout(LIMIT, stream.read_to_end(&mut text)).await.expect("an end");
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn an_absolute_address_is_fetched_without_what_belongs_to_the_proxy() {
    let (port, mut heard) = server("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Switchboard-Guard: no\r\n\r\nok").await;
    let proxy = proxy(&[format!("127.0.0.1:{port}")], ProxyLimits::default()).await;
    let request = format!(
        "GET http://0x7f.1:{port}/a?b=c HTTP/1.1\r\nHost: other.example\r\nProxy-Authorization: x\r\nX-Hop: y\r\n\
         Connection: X-Hop, close\r\n\r\n"
    );
    let answer = ask(&proxy, &request).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\nok"), "{answer}");
    assert!(!answer.to_lowercase().contains("x-switchboard-guard"), "{answer}");
    let heard = heard.recv().await.expect("a request").to_lowercase();
    assert!(heard.starts_with("get /a?b=c http/1.1") && heard.contains(&format!("host: 0x7f.1:{port}")), "{heard}");
    assert!(!heard.contains("proxy-") && !heard.contains("x-hop") && !heard.contains("other.example"), "{heard}");
}

#[tokio::test]
async fn a_tunnel_carries_bytes_both_ways() {
    let (port, mut heard) = server("pong").await;
    let proxy = proxy(&[format!("127.0.0.1:{port}")], ProxyLimits::default()).await;
    let answer = ask(&proxy, &format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: x\r\n\r\nping\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("pong"), "{answer}");
    assert_eq!(heard.recv().await.as_deref(), Some("ping\r\n\r\n"));
}

#[tokio::test]
async fn whatever_is_not_global_and_not_allowed_is_refused_with_the_reason() {
    let (port, mut heard) = server("HTTP/1.1 200 OK\r\n\r\n").await;
    let proxy = proxy(&[], ProxyLimits::default()).await;
    let own = proxy.address().port();
    for host in
        ["127.0.0.1", "localhost", "localhost.", "0x7f.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"]
    {
        for port in [port, own, 80] {
            for request in [
                format!("GET http://{host}:{port}/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
                format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
            ] {
                let answer = ask(&proxy, &request).await;
                assert!(answer.starts_with("HTTP/1.1 403"), "{request}{answer}");
                assert!(answer.contains("x-switchboard-guard: refused"), "{request}{answer}");
            }
        }
    }
    assert!(heard.try_recv().is_err(), "a refused request reached the server");
}

#[tokio::test]
async fn a_request_without_an_absolute_address_is_refused() {
    let proxy = proxy(&[], ProxyLimits::default()).await;
    for line in ["GET / HTTP/1.1", "GET ftp://a/ HTTP/1.1", "GET https://a/ HTTP/1.1", "CONNECT a HTTP/1.1"] {
        let answer = ask(&proxy, &format!("{line}\r\nHost: a\r\nConnection: close\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{line}: {answer}");
    }
}

#[tokio::test]
async fn a_silent_client_and_a_silent_tunnel_are_cut_off_and_give_back_their_slot() {
    let (port, _heard) = server("never").await;
    let brief = Duration::from_millis(200);
    let limits = ProxyLimits { connections: 1, head_timeout: brief, idle: brief, ..ProxyLimits::default() };
    let proxy = proxy(&[format!("127.0.0.1:{port}")], limits).await;
    let mut silent = TcpStream::connect(proxy.address()).await.expect("the proxy");
    silent.write_all(b"GET http://127").await.expect("written");
    read_all(&mut silent).await;
    let answer = ask(&proxy, &format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: x\r\n\r\nno end")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let answer = ask(&proxy, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}

#[tokio::test]
async fn a_head_over_its_limit_is_refused() {
    let limits = ProxyLimits { head: 8 << 10, ..ProxyLimits::default() };
    let proxy = proxy(&[], limits).await;
    let long = "x".repeat(9 << 10);
    let answer = ask(&proxy, &format!("GET http://a/ HTTP/1.1\r\nX: {long}\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test]
async fn the_end_of_the_proxy_ends_its_tunnels() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let proxy = proxy(&[format!("127.0.0.1:{port}")], ProxyLimits::default()).await;
    let mut client = TcpStream::connect(proxy.address()).await.expect("the proxy");
    client
        .write_all(format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
        .await
        .expect("written");
    let mut head = [0; 12];
    client.read_exact(&mut head).await.expect("an answer");
    drop(proxy);
    read_all(&mut client).await;
    let (mut upstream, _) = listener.accept().await.expect("the tunnel's far end");
    read_all(&mut upstream).await;
}

#[tokio::test]
async fn a_tunnel_keeps_its_slot_until_its_end() {
    let (port, _heard) = server("never").await;
    let limits = ProxyLimits { connections: 1, ..ProxyLimits::default() };
    let proxy = proxy(&[format!("127.0.0.1:{port}")], limits).await;
    let mut tunnel = TcpStream::connect(proxy.address()).await.expect("the proxy");
    let head = format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: x\r\n\r\nno end");
    tunnel.write_all(head.as_bytes()).await.expect("written");
    tunnel.read_exact(&mut [0; 12]).await.expect("an answer");
    let second = ask(&proxy, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    tokio::pin!(second);
    assert!(timeout(Duration::from_millis(300), &mut second).await.is_err(), "there are two at a time");
    drop(tunnel);
    assert!(second.await.starts_with("HTTP/1.1 400"));
}

#[tokio::test]
async fn an_answer_that_does_not_end_is_cut_off_at_its_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a request");
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.expect("written");
        // Each byte comes in time, so only the time for the whole answer ends it.
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let limits = ProxyLimits { answer: Duration::from_secs(1), ..ProxyLimits::default() };
    let proxy = proxy(&[format!("127.0.0.1:{port}")], limits).await;
    let answer = ask(&proxy, &format!("GET http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: x\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains('x'), "{answer}");
}
