//! `@stomp/stompjs` in a page of a real Chromium, over WebSocket. `scripts/test` installs both.

mod common;

use common::Running;
use std::path::{Path, PathBuf};
use switchboard_browser_test::{Browser, Look};
use switchboard_server::{Settings, WebOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn library() -> Vec<u8> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let path = workspace.join(target).join("stompjs/node_modules/@stomp/stompjs/bundles/stomp.umd.min.js");
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}, as scripts/test installs it: {error}", path.display()))
}

/// Another site: it serves a page, and the library at `/stomp.js`.
async fn site(listener: TcpListener, page: String) {
    loop {
        let (mut socket, _) = listener.accept().await.unwrap();
        let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
        while !request.windows(4).any(|end| end == b"\r\n\r\n") {
            match socket.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(bytes) => request.extend_from_slice(&buffer[..bytes]),
            }
        }
        let (kind, body) = if request.starts_with(b"GET /stomp.js ") {
            ("text/javascript", library())
        } else {
            ("text/html; charset=utf-8", page.clone().into_bytes())
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        let _ = socket.write_all(&[head.as_bytes(), &body].concat()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_an_allowed_site_speaks_stomp_and_one_of_another_site_does_not() {
    let (allowed, other) =
        (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let (allowed_at, other_at) = (allowed.local_addr().unwrap(), other.local_addr().unwrap());
    let socket_origins = vec![format!("http://{allowed_at}")];
    let web = WebOptions { socket_origins, ..WebOptions::default() };
    let server = Running::start_with(Settings { web, ..Settings::default() }).await;
    let page = format!(
        "<!doctype html><link rel=icon href='data:,'><title>waits</title><script src=/stomp.js></script><script>
        const client = new StompJs.Client({{ brokerURL: 'ws://{}/stomp', reconnectDelay: 0 }});
        client.onConnect = () => {{
          client.subscribe('/queue/page', (message) => {{ document.title = message.body; message.ack(); }}, {{ ack: 'client' }});
          client.publish({{ destination: '/queue/page', body: 'h\u{e9}llo ' + client.webSocket.protocol }});
        }};
        client.onWebSocketClose = () => {{ document.title = 'closed'; }};
        client.activate();
        </script>",
        server.http
    );
    tokio::spawn(site(allowed, page.clone()));
    tokio::spawn(site(other, page));
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&format!("http://{allowed_at}/")).await;
    browser.until("the message is there", "return document.title === 'h\u{e9}llo v12.stomp'").await;
    browser.open(&format!("http://{other_at}/")).await;
    browser.until("it was refused", "return document.title === 'closed'").await;
}
