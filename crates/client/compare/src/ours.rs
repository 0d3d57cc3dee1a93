use crate::Face;
use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use switchboard_client::{Client, Subscription};
use tokio::runtime::Runtime;

/// A queue: none of it is ever dropped, so that all who are measured have to receive all. A new one each time:
/// the broker may not know yet that the last run's worker has gone, and deal it some of what is counted.
fn channel() -> String {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    format!("/queue/compare/{}", RUNS.fetch_add(1, Ordering::Relaxed))
}

const PING: &str = "0123456789abcdef";

pub(crate) fn awaited(url: &str) -> Face {
    face("switchboard, tokio", url, |through| Runtime::new().expect("a runtime").block_on(through))
}

/// Another executor: the I/O is on the shared thread.
pub(crate) fn foreign(url: &str) -> Face {
    face("switchboard, other executor", url, |through| futures::executor::block_on(through))
}

type Wait = fn(std::pin::Pin<&mut dyn Future<Output = ()>>);

fn face(name: &'static str, url: &str, wait: Wait) -> Face {
    let (first, second) = (url.to_owned(), url.to_owned());
    Face {
        name,
        through: Box::new(move |count, size| {
            let mut time = Duration::ZERO;
            wait(std::pin::pin!(async { time = through(&first, count, size).await }));
            time
        }),
        trips: Box::new(move |count| {
            let mut times = Vec::new();
            wait(std::pin::pin!(async { times = trips(&second, count).await }));
            times
        }),
    }
}

async fn through(url: &str, count: u64, size: usize) -> Duration {
    let (publisher, listener) =
        (Client::connect(url).await.expect("a broker"), Client::connect(url).await.expect("a broker"));
    let channel = channel();
    let mut subscription = listener.subscribe(&channel).await.expect("a subscription");
    let payload = vec![b'x'; size];
    let began = Instant::now();
    let publishing = async move {
        for _ in 0..count {
            publisher.publish(&channel, &payload).await.expect("published");
        }
        publisher.flush().await.expect("a broker");
    };
    let publishing = match tokio::runtime::Handle::try_current() {
        Ok(runtime) => Publishing::Task(runtime.spawn(publishing)),
        Err(_) => Publishing::Thread(std::thread::spawn(move || futures::executor::block_on(publishing))),
    };
    for _ in 0..count {
        subscription.next().await.expect("a message");
    }
    match publishing {
        Publishing::Task(task) => task.await.expect("published"),
        Publishing::Thread(thread) => thread.join().expect("published"),
    }
    began.elapsed()
}

enum Publishing {
    Task(tokio::task::JoinHandle<()>),
    Thread(std::thread::JoinHandle<()>),
}

async fn trips(url: &str, count: usize) -> Vec<Duration> {
    let client = Client::connect(url).await.expect("a broker");
    let channel = channel();
    let mut subscription = client.subscribe(&channel).await.expect("a subscription");
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let began = Instant::now();
        client.publish(&channel, PING).await.expect("published");
        subscription.next().await.expect("a message");
        times.push(began.elapsed());
    }
    times
}

pub(crate) fn blocking(url: &str) -> Face {
    let (first, second) = (url.to_owned(), url.to_owned());
    Face {
        name: "switchboard, blocking",
        through: Box::new(move |count, size| {
            let (publisher, mut subscription) = pair(&first);
            let channel = subscription.pattern().clone();
            let began = Instant::now();
            let publishing = std::thread::spawn(move || publish(&publisher, &channel, count, size));
            assert_eq!(subscription.iter().take(count as usize).count(), count as usize);
            publishing.join().expect("published");
            began.elapsed()
        }),
        trips: Box::new(move |count| {
            let (client, mut subscription) = pair(&second);
            let trip = |_| {
                let began = Instant::now();
                client.publish(subscription.pattern(), PING).wait().expect("published");
                subscription.wait().expect("a message");
                began.elapsed()
            };
            (0..count).map(trip).collect()
        }),
    }
}

pub(crate) fn callbacks(url: &str) -> Face {
    let (first, second) = (url.to_owned(), url.to_owned());
    Face {
        name: "switchboard, callbacks",
        through: Box::new(move |count, size| {
            let (publisher, subscription) = pair(&first);
            let channel = subscription.pattern().clone();
            let (tell, told) = mpsc::channel();
            let mut received = 0;
            let began = Instant::now();
            let callback = subscription.on_message(move |_| {
                received += 1;
                if received == count {
                    tell.send(()).expect("somebody waits");
                }
            });
            publish(&publisher, &channel, count, size);
            told.recv().expect("all messages");
            let time = began.elapsed();
            callback.stop();
            time
        }),
        trips: Box::new(move |count| {
            let (client, subscription) = pair(&second);
            let channel = subscription.pattern().clone();
            let (tell, told) = mpsc::channel();
            let publisher = client.clone();
            let mut began = Instant::now();
            let mut times = Vec::with_capacity(count);
            publisher.publish(&channel, PING).on_done(|done| done.expect("published"));
            // Each message that comes sends the next one.
            let callback = subscription.on_message(move |_| {
                times.push(began.elapsed());
                if times.len() == count {
                    tell.send(std::mem::take(&mut times)).expect("somebody waits");
                } else {
                    began = Instant::now();
                    publisher.publish(&channel, PING).on_done(|done| done.expect("published"));
                }
            });
            let times = told.recv().expect("all messages");
            callback.stop();
            times
        }),
    }
}

fn pair(url: &str) -> (Client, Subscription) {
    let (publisher, listener) =
        (Client::connect(url).wait().expect("a broker"), Client::connect(url).wait().expect("a broker"));
    let subscription = listener.subscribe(channel()).wait().expect("a subscription");
    (publisher, subscription)
}

fn publish(publisher: &Client, channel: &[u8], count: u64, size: usize) {
    let payload = vec![b'x'; size];
    for _ in 0..count {
        publisher.publish(channel, &payload).wait().expect("published");
    }
    publisher.flush().wait().expect("a broker");
}
