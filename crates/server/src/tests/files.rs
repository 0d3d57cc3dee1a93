//! A process that may open few files.

use crate::{Server, Settings};
use std::time::Duration;
use switchboard_wire::native::encode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const IN_TIME: Duration = Duration::from_secs(20);

/// Subscribes, and waits until that is in force.
async fn settle(stream: &mut TcpStream) {
    let mut bytes = Vec::new();
    [&b"/topic/a"[..], b"/switchboard/echo", b"x"].into_iter().for_each(|body| encode(body, &mut bytes));
    stream.write_all(&bytes).await.unwrap();
    let mut echo = [0; 5];
    timeout(IN_TIME, stream.read_exact(&mut echo)).await.expect("an echo").unwrap();
}

async fn is_closed(stream: &mut TcpStream) {
    let read = timeout(IN_TIME, stream.read(&mut [0; 1])).await.expect("an end");
    assert!(!matches!(read, Ok(1..)), "{read:?}");
}

#[tokio::test]
async fn where_no_file_is_left_the_oldest_unfinished_handshake_makes_room() {
    let settings = Settings { listen: vec!["127.0.0.1:0".into()], http: Vec::new(), ..Settings::default() };
    let mut server = Server::bind(settings).await.unwrap();
    server.sockets = 2;
    let address = server.native_addresses()[0];
    tokio::spawn(server.run(std::future::pending()));
    let connect = || TcpStream::connect(address);

    let mut silent = connect().await.unwrap();
    let mut first = connect().await.unwrap();
    settle(&mut first).await;
    let mut second = connect().await.unwrap();
    settle(&mut second).await;
    is_closed(&mut silent).await;
    // Nobody is left who could make room: it is refused at once, and does not wait in the kernel.
    is_closed(&mut connect().await.unwrap()).await;
    drop(first);
    // The room is there as soon as the server has noticed.
    let comes_in = async {
        loop {
            let mut next = connect().await.unwrap();
            let mut bytes = Vec::new();
            [&b"/topic/a"[..], b"/switchboard/echo", b"x"].into_iter().for_each(|body| encode(body, &mut bytes));
            if next.write_all(&bytes).await.is_ok() && next.read_exact(&mut [0; 5]).await.is_ok() {
                return;
            }
        }
    };
    timeout(IN_TIME, comes_in).await.expect("room");
}
