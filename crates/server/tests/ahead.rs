//! The server's lead over a queue's consumer.

mod common;

use common::{Client, Running};
use std::time::Duration;
use switchboard_broker::Limits;
use switchboard_server::Settings;
use tokio::net::TcpSocket;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_consumer_keeps_a_window_and_what_its_machine_took_and_a_quick_one_gets_the_rest() {
    const JOBS: usize = 5000;
    const JOB: usize = 100;
    const WINDOW: usize = 4096;
    // Bytes that the kernel takes with the smallest buffer: it rounds up, and adds a segment.
    const TAKEN: usize = 128 << 10;
    let limits = Limits { window: WINDOW, write_timeout: Duration::from_secs(600), ..Limits::default() };
    let server = Running::start_with(Settings { limits, ..Settings::default() }).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(1024).unwrap();
    let mut slow = Client(socket.connect(server.native).await.unwrap());
    slow.send(b"/queue/q").await;
    slow.settle().await;
    let mut quick = server.client("/queue/q").await;
    let mut publisher = server.client("/null").await;
    for _ in 0..JOBS {
        publisher.publish("/queue/q", &[b'x'; JOB]).await;
    }
    publisher.settle().await;
    // The quick one is not idle while jobs lie elsewhere.
    let sure = JOBS - (WINDOW + TAKEN) / (4 + JOB);
    for _ in 0..sure {
        assert_eq!(quick.receive().await.len(), JOB);
    }
}
