//! The turn of a fetch that is given up.

use super::fetcher::host_of;
use super::{Fetcher, Options, Validators};
use crate::guard::{Allow, Guard};
use std::sync::Arc;
use std::time::{Duration, Instant};
use switchboard_http_client::Trust;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use url::Url;

const HOUR: Duration = Duration::from_secs(3600);

/// Answers robots.txt, says that it was asked for anything else, and leaves that without an answer.
async fn serve(mut stream: TcpStream, asked: Arc<Notify>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        assert!(stream.read_buf(&mut head).await.expect("a head") > 0, "it ended early");
    }
    if head.starts_with(b"GET /robots.txt ") {
        stream.write_all(b"HTTP/1.1 404 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await.expect("sent");
        return;
    }
    asked.notify_one();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_page_whose_fetch_is_given_up_counts_for_the_delay() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let pair = listener.local_addr().expect("an address").to_string();
    let asked = Arc::new(Notify::new());
    let told = asked.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, told.clone()));
        }
    });
    let url: Url = format!("http://{pair}/").parse().expect("a URL");
    let guard = Guard::new(Allow::parse([pair]).expect("a pair"), HOUR);
    let options = Options { timeout: HOUR, connect_timeout: HOUR, trust: Trust::Nobody, ..Options::default() };
    let fetcher = Fetcher::new(guard, options).expect("a fetcher");
    let validators = Validators::default();
    tokio::select! {
        fetched = fetcher.fetch(&url, &validators) => panic!("{fetched:?}"),
        () = asked.notified() => {}
    }
    let host = fetcher.hosts.get(&host_of(&url).expect("a host"));
    assert!(host.lock().await.wait(HOUR, Instant::now()) > Duration::ZERO, "the next page would be asked for at once");
}
