//! The queues that are compared, each with one producing and one consuming end that a thread or a
//! task may use.

use std::future::Future;

use switchboard_queue::Queue;

pub trait Rival {
    const NAME: &str;
    /// Whether a task may wait for an item.
    const SERVES_TASKS: bool = true;
    type In: Clone + Send + 'static;
    type Out: Send + 'static;

    /// `None` if it has no such queue.
    fn pair(capacity: Option<usize>) -> Option<(Self::In, Self::Out)>;
    /// A second consumer, if it may have one.
    fn another(out: &Self::Out) -> Option<Self::Out>;

    fn put(into: &Self::In, item: u64);
    fn get(out: &mut Self::Out) -> u64;
    fn put_async(into: &Self::In, item: u64) -> impl Future<Output = ()>;
    fn get_async(out: &mut Self::Out) -> impl Future<Output = u64>;
}

pub struct Ours;
pub struct Flume;
pub struct AsyncChannel;
pub struct Kanal;
pub struct CrossfireBounded;
pub struct CrossfireUnbounded;
pub struct TokioBounded;
pub struct TokioUnbounded;
pub struct Std;

impl Rival for Ours {
    const NAME: &str = "switchboard-queue";
    type In = (switchboard_queue::Blocking<u64>, switchboard_queue::Tasks<u64>);
    type Out = Self::In;

    fn pair(capacity: Option<usize>) -> Option<(Self::In, Self::Out)> {
        let queue = Queue::fifo(capacity);
        let both = (queue.blocking(), queue.tasks());
        Some((both.clone(), both))
    }
    fn another(out: &Self::Out) -> Option<Self::Out> {
        Some(out.clone())
    }
    fn put(into: &Self::In, item: u64) {
        into.0.put(item).unwrap();
    }
    fn get(out: &mut Self::Out) -> u64 {
        out.0.get().unwrap()
    }
    async fn put_async(into: &Self::In, item: u64) {
        into.1.put(item).await.unwrap();
    }
    async fn get_async(out: &mut Self::Out) -> u64 {
        out.1.get().await.unwrap()
    }
}

impl Rival for Flume {
    const NAME: &str = "flume";
    type In = flume::Sender<u64>;
    type Out = flume::Receiver<u64>;

    fn pair(capacity: Option<usize>) -> Option<(Self::In, Self::Out)> {
        Some(capacity.map_or_else(flume::unbounded, flume::bounded))
    }
    fn another(out: &Self::Out) -> Option<Self::Out> {
        Some(out.clone())
    }
    fn put(into: &Self::In, item: u64) {
        into.send(item).unwrap();
    }
    fn get(out: &mut Self::Out) -> u64 {
        out.recv().unwrap()
    }
    async fn put_async(into: &Self::In, item: u64) {
        into.send_async(item).await.unwrap();
    }
    async fn get_async(out: &mut Self::Out) -> u64 {
        out.recv_async().await.unwrap()
    }
}

impl Rival for AsyncChannel {
    const NAME: &str = "async-channel";
    type In = async_channel::Sender<u64>;
    type Out = async_channel::Receiver<u64>;

    fn pair(capacity: Option<usize>) -> Option<(Self::In, Self::Out)> {
        Some(capacity.map_or_else(async_channel::unbounded, async_channel::bounded))
    }
    fn another(out: &Self::Out) -> Option<Self::Out> {
        Some(out.clone())
    }
    fn put(into: &Self::In, item: u64) {
        into.send_blocking(item).unwrap();
    }
    fn get(out: &mut Self::Out) -> u64 {
        out.recv_blocking().unwrap()
    }
    async fn put_async(into: &Self::In, item: u64) {
        into.send(item).await.unwrap();
    }
    async fn get_async(out: &mut Self::Out) -> u64 {
        out.recv().await.unwrap()
    }
}

impl Rival for Kanal {
    const NAME: &str = "kanal";
    type In = kanal::Sender<u64>;
    type Out = kanal::Receiver<u64>;

    fn pair(capacity: Option<usize>) -> Option<(Self::In, Self::Out)> {
        Some(capacity.map_or_else(kanal::unbounded, kanal::bounded))
    }
    fn another(out: &Self::Out) -> Option<Self::Out> {
        Some(out.clone())
    }
    fn put(into: &Self::In, item: u64) {
        into.send(item).unwrap();
    }
    fn get(out: &mut Self::Out) -> u64 {
        out.recv().unwrap()
    }
    async fn put_async(into: &Self::In, item: u64) {
        into.as_async().send(item).await.unwrap();
    }
    async fn get_async(out: &mut Self::Out) -> u64 {
        out.as_async().recv().await.unwrap()
    }
}

impl Rival for CrossfireBounded {
    const NAME: &str = "crossfire";
    type In = (crossfire::MTx<crossfire::mpmc::Array<u64>>, crossfire::MAsyncTx<crossfire::mpmc::Array<u64>>);
    type Out = (crossfire::MRx<crossfire::mpmc::Array<u64>>, crossfire::MAsyncRx<crossfire::mpmc::Array<u64>>);

    fn pair(capacity: Option<usize>) -> Option<(Self::In, Self::Out)> {
        let (into, out) = crossfire::mpmc::bounded_blocking(capacity?);
        Some(((into.clone(), into.into()), (out.clone(), out.into())))
    }
    fn another(out: &Self::Out) -> Option<Self::Out> {
        Some(out.clone())
    }
    fn put(into: &Self::In, item: u64) {
        into.0.send(item).unwrap();
    }
    fn get(out: &mut Self::Out) -> u64 {
        out.0.recv().unwrap()
    }
    async fn put_async(into: &Self::In, item: u64) {
        into.1.send(item).await.unwrap();
    }
    async fn get_async(out: &mut Self::Out) -> u64 {
        out.1.recv().await.unwrap()
    }
}

impl Rival for CrossfireUnbounded {
    const NAME: &str = "crossfire";
    type In = crossfire::MTx<crossfire::mpmc::List<u64>>;
    type Out = (crossfire::MRx<crossfire::mpmc::List<u64>>, crossfire::MAsyncRx<crossfire::mpmc::List<u64>>);

    fn pair(capacity: Option<usize>) -> Option<(Self::In, Self::Out)> {
        let (into, out) = crossfire::mpmc::unbounded_blocking();
        capacity.is_none().then(|| (into, (out.clone(), out.into())))
    }
    fn another(out: &Self::Out) -> Option<Self::Out> {
        Some(out.clone())
    }
    fn put(into: &Self::In, item: u64) {
        into.send(item).unwrap();
    }
    fn get(out: &mut Self::Out) -> u64 {
        out.0.recv().unwrap()
    }
    async fn put_async(into: &Self::In, item: u64) {
        into.send(item).unwrap();
    }
    async fn get_async(out: &mut Self::Out) -> u64 {
        out.1.recv().await.unwrap()
    }
}

impl Rival for TokioBounded {
    const NAME: &str = "tokio::mpsc";
    type In = tokio::sync::mpsc::Sender<u64>;
    type Out = tokio::sync::mpsc::Receiver<u64>;

    fn pair(capacity: Option<usize>) -> Option<(Self::In, Self::Out)> {
        Some(tokio::sync::mpsc::channel(capacity?))
    }
    fn another(_: &Self::Out) -> Option<Self::Out> {
        None
    }
    fn put(into: &Self::In, item: u64) {
        into.blocking_send(item).unwrap();
    }
    fn get(out: &mut Self::Out) -> u64 {
        out.blocking_recv().unwrap()
    }
    async fn put_async(into: &Self::In, item: u64) {
        into.send(item).await.unwrap();
    }
    async fn get_async(out: &mut Self::Out) -> u64 {
        out.recv().await.unwrap()
    }
}

impl Rival for TokioUnbounded {
    const NAME: &str = "tokio::mpsc";
    type In = tokio::sync::mpsc::UnboundedSender<u64>;
    type Out = tokio::sync::mpsc::UnboundedReceiver<u64>;

    fn pair(capacity: Option<usize>) -> Option<(Self::In, Self::Out)> {
        capacity.is_none().then(tokio::sync::mpsc::unbounded_channel)
    }
    fn another(_: &Self::Out) -> Option<Self::Out> {
        None
    }
    fn put(into: &Self::In, item: u64) {
        into.send(item).unwrap();
    }
    fn get(out: &mut Self::Out) -> u64 {
        out.blocking_recv().unwrap()
    }
    async fn put_async(into: &Self::In, item: u64) {
        into.send(item).unwrap();
    }
    async fn get_async(out: &mut Self::Out) -> u64 {
        out.recv().await.unwrap()
    }
}

impl Rival for Std {
    const NAME: &str = "std::mpsc";
    const SERVES_TASKS: bool = false;
    type In = std::sync::mpsc::Sender<u64>;
    type Out = std::sync::mpsc::Receiver<u64>;

    // Without a bound a put never waits, so that a task may do it; nothing else of it suits a task.
    fn pair(capacity: Option<usize>) -> Option<(Self::In, Self::Out)> {
        capacity.is_none().then(std::sync::mpsc::channel)
    }
    fn another(_: &Self::Out) -> Option<Self::Out> {
        None
    }
    fn put(into: &Self::In, item: u64) {
        into.send(item).unwrap();
    }
    fn get(out: &mut Self::Out) -> u64 {
        out.recv().unwrap()
    }
    async fn put_async(into: &Self::In, item: u64) {
        into.send(item).unwrap();
    }
    async fn get_async(_: &mut Self::Out) -> u64 {
        unreachable!("it has no face for tasks")
    }
}
