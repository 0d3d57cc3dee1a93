use crate::Face;
use futures::StreamExt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// async-nats has one face.
pub(crate) fn awaited(address: SocketAddr) -> Face {
    Face {
        name: "async-nats, awaited",
        through: Box::new(move |count, size| {
            loop {
                match Runtime::new().expect("a runtime").block_on(through(address, count, size)) {
                    Ok(time) => return time,
                    Err(received) => eprintln!("async-nats: {received} of {count} have come; this run is made again"),
                }
            }
        }),
        trips: Box::new(move |count| Runtime::new().expect("a runtime").block_on(trips(address, count))),
    }
}

async fn connect(address: SocketAddr) -> async_nats::Client {
    // Its default of 65,536 messages would make it drop what we count.
    let options = async_nats::ConnectOptions::new().subscription_capacity(4 << 20);
    options.connect(address.to_string()).await.expect("a server")
}

/// Or how many have come, for at times some are lost.
async fn through(address: SocketAddr, count: u64, size: usize) -> Result<Duration, u64> {
    let (publisher, listener) = (connect(address).await, connect(address).await);
    let mut subscription = listener.subscribe("compare").await.expect("a subscription");
    listener.flush().await.expect("a server");
    let payload = bytes::Bytes::from(vec![b'x'; size]);
    let began = Instant::now();
    let publishing = tokio::spawn(async move {
        for _ in 0..count {
            publisher.publish("compare", payload.clone()).await.expect("published");
        }
        publisher.flush().await.expect("a server");
        // Dropped here, it would lose what it has not written.
        publisher
    });
    for received in 0..count {
        let next = tokio::time::timeout(Duration::from_secs(3), subscription.next()).await;
        if !next.is_ok_and(|message| message.is_some()) {
            return Err(received);
        }
    }
    let time = began.elapsed();
    drop(publishing.await.expect("published"));
    Ok(time)
}

async fn trips(address: SocketAddr, count: usize) -> Vec<Duration> {
    let client = connect(address).await;
    let mut subscription = client.subscribe("compare").await.expect("a subscription");
    client.flush().await.expect("a server");
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let began = Instant::now();
        client.publish("compare", "0123456789abcdef".into()).await.expect("published");
        subscription.next().await.expect("a message");
        times.push(began.elapsed());
    }
    times
}
