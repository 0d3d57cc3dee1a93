//! Connections that are never done.

mod common;

use common::{Client, Running, frame};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use tokio::time::{Duration, timeout};

/// Threads that write or read at full speed until they are dropped.
struct Busy {
    done: Arc<AtomicBool>,
    threads: Vec<(TcpStream, JoinHandle<()>)>,
}

impl Busy {
    fn new() -> Busy {
        Busy { done: Arc::new(AtomicBool::new(false)), threads: Vec::new() }
    }

    fn run(&mut self, stream: TcpStream, step: impl Fn(&TcpStream) -> bool + Send + 'static) {
        let (done, kept) = (self.done.clone(), stream.try_clone().unwrap());
        let thread = thread::spawn(move || while !done.load(Ordering::Relaxed) && step(&stream) {});
        self.threads.push((kept, thread));
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        for (stream, thread) in self.threads.drain(..) {
            // It may wait for a server that does nothing while this waits for it.
            let _ = stream.shutdown(Shutdown::Both);
            // A panic of the test's own is told, not that of a thread.
            drop(thread.join());
        }
    }
}

fn connect(server: &Running, pattern: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(server.native).unwrap();
    stream.write_all(&frame(pattern)).unwrap();
    stream
}

/// Whole pairs for so many names in turn.
fn block(kind: &str, names: usize) -> Vec<u8> {
    let mut block = Vec::new();
    while block.len() < 64 << 10 {
        for name in 0..names {
            block.extend(frame(format!("/{kind}/{name}").as_bytes()));
            block.extend(frame(&[b'x'; 16]));
        }
    }
    block
}

/// One test at a time: each needs the whole machine.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Only a task that never yields makes another one wait for so long.
async fn is_served(server: &Running, client: &mut Client) {
    let asks = async {
        for _ in 0..5 {
            client.settle().await;
            assert!(server.http("GET /healthz HTTP/1.1\r\nHost: localhost").await.contains("200"));
        }
    };
    timeout(Duration::from_secs(60), asks).await.expect("answers beside busy connections");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishers_that_are_never_done_delay_nobody() {
    let _alone = ALONE.lock().await;
    for names in [1, 100, 1000] {
        let server = Running::start().await;
        let mut client = server.client("/null").await;
        let mut busy = Busy::new();
        let block = Arc::new(block("topic", names));
        for _ in 0..4 {
            let (stream, block) = (connect(&server, b"/null"), block.clone());
            busy.run(stream, move |mut stream| stream.write_all(&block).is_ok());
        }
        is_served(&server, &mut client).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consumers_that_always_take_more_delay_nobody() {
    let _alone = ALONE.lock().await;
    let server = Running::start().await;
    let mut client = server.client("/null").await;
    let mut busy = Busy::new();
    for _ in 0..4 {
        let stream = connect(&server, b"/topic/*");
        busy.run(stream, |mut stream| stream.read(&mut [0; 64 << 10]).is_ok_and(|bytes| bytes > 0));
    }
    let stream = connect(&server, b"/null");
    let block = block("topic", 1);
    busy.run(stream, move |mut stream| stream.write_all(&block).is_ok());
    is_served(&server, &mut client).await;
}

#[tokio::test]
async fn on_one_thread_a_publisher_that_is_never_done_delays_nobody() {
    let _alone = ALONE.lock().await;
    let server = Running::start().await;
    let mut client = server.client("/null").await;
    let mut busy = Busy::new();
    let (stream, block) = (connect(&server, b"/null"), block("topic", 100));
    busy.run(stream, move |mut stream| stream.write_all(&block).is_ok());
    is_served(&server, &mut client).await;
}
