//! Both faces at once, under every kind of executor.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use switchboard_queue::{GetTimeoutError, Items, JoinTimeoutError, Permit, PutTimeoutError, Queue, Tasks, Work};

/// The least that an executor can be.
fn bare_block_on<R>(future: impl Future<Output = R>) -> R {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(result) => return result,
            Poll::Pending => thread::park(),
        }
    }
}

async fn next<T>(items: &mut Items<T>) -> Option<T> {
    std::future::poll_fn(|cx| futures_core::Stream::poll_next(Pin::new(items), cx)).await
}

const ITEMS: u64 = 2_000;

/// A thread feeds a task, which feeds another thread, and all of it is small enough for everyone to wait.
fn there_and_back(run: impl FnOnce(Pin<Box<dyn Future<Output = ()> + Send>>)) {
    let (there, back) = (Queue::bounded(2), Queue::bounded(3));
    let source = thread::spawn({
        let there = there.blocking();
        move || {
            for item in 0..ITEMS {
                there.put(item).unwrap();
            }
            there.shutdown();
        }
    });
    let sink = thread::spawn({
        let back = back.blocking();
        move || back.iter().sum::<u64>()
    });
    let (mut items, back) = (there.tasks().stream(), back.tasks());
    run(Box::pin(async move {
        while let Some(item) = next(&mut items).await {
            back.put(item).await.unwrap();
        }
        back.shutdown();
    }));
    source.join().unwrap();
    assert_eq!(sink.join().unwrap(), (0..ITEMS).sum());
}

#[test]
fn both_apis_work_under_tokio_with_one_thread() {
    there_and_back(|future| tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future));
}

#[test]
fn both_apis_work_under_tokio_with_several_threads() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    there_and_back(|future| runtime.block_on(runtime.spawn(future)).unwrap());
}

#[test]
fn both_apis_work_under_smol() {
    there_and_back(|future| smol::block_on(smol::spawn(future)));
}

#[test]
fn both_apis_work_under_a_bare_block_on() {
    there_and_back(bare_block_on);
}

#[test]
fn tasks_of_two_executors_and_threads_share_one_queue() {
    let queue = Queue::bounded(4);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let sum = |tasks: Tasks<u64>| async move {
        let (mut items, mut sum) = (tasks.stream(), 0);
        while let Some(item) = next(&mut items).await {
            sum += item;
        }
        sum
    };
    let at_tokio = runtime.spawn(sum(queue.tasks()));
    let at_smol = smol::spawn(sum(queue.tasks()));
    let at_thread = thread::spawn({
        let face = queue.blocking();
        move || face.into_iter().sum::<u64>()
    });
    let put = |tasks: Tasks<u64>| async move { tasks.put_many(0..ITEMS).await.unwrap() };
    let sources = (runtime.spawn(put(queue.tasks())), smol::spawn(put(queue.tasks())));
    queue.blocking().put_many(0..ITEMS).unwrap();
    runtime.block_on(sources.0).unwrap();
    smol::block_on(sources.1);
    queue.shutdown();
    let total = runtime.block_on(at_tokio).unwrap() + smol::block_on(at_smol) + at_thread.join().unwrap();
    assert_eq!(total, 3 * (0..ITEMS).sum::<u64>());
}

#[test]
fn a_time_out_gives_the_item_back_and_takes_nothing() {
    let queue = Queue::bounded(1);
    let face = queue.blocking();
    let short = Duration::from_millis(1);
    assert_eq!(face.get_timeout(short), Err(GetTimeoutError::TimedOut));
    face.put_timeout("first", short).unwrap();
    assert_eq!(face.put_timeout("second", short), Err(PutTimeoutError::TimedOut("second")));
    assert!(face.reserve_timeout(short).is_err_and(|error| error.is_timed_out()));
    assert_eq!(face.join_timeout(short), Err(JoinTimeoutError));
    assert_eq!(face.get_timeout(Duration::MAX), Ok("first"));
    queue.shutdown();
    assert_eq!(face.put_timeout("third", short), Err(PutTimeoutError::ShutDown("third")));
    assert_eq!(face.get_timeout(short), Err(GetTimeoutError::ShutDown));
}

#[test]
fn a_stray_unpark_ends_no_wait() {
    let queue = Queue::unbounded();
    let getter = thread::spawn({
        let face = queue.blocking();
        move || face.get()
    });
    for _ in 0..100 {
        getter.thread().unpark();
        thread::yield_now();
    }
    queue.try_put(1).unwrap();
    assert_eq!(getter.join().unwrap(), Ok(1));
}

#[test]
fn work_is_done_when_it_is_dropped_even_by_a_panic() {
    let queue = Queue::unbounded();
    queue.try_put_many([1, 2, 3]).unwrap();
    let face = queue.blocking();
    let mut work = face.get_work().unwrap();
    *work += 10;
    assert_eq!((*work, queue.unfinished()), (11, 3));
    drop(work);
    assert_eq!(queue.unfinished(), 2);
    let panicked = thread::spawn({
        let face = face.clone();
        move || {
            let _work = face.get_work().unwrap();
            std::panic::resume_unwind(Box::new("on purpose"));
        }
    });
    panicked.join().unwrap_err();
    assert_eq!(queue.unfinished(), 1);
    assert_eq!(bare_block_on(queue.tasks().get_work()).unwrap().into_inner(), 3);
    assert_eq!(queue.unfinished(), 1);
    queue.task_done().unwrap();
    face.join();
}

#[test]
fn an_order_that_panics_does_not_end_the_queue() {
    let queue = Queue::priority_by(Some(3), |a: &i32, b| {
        assert!(*a != 0 && *b != 0, "on purpose");
        a.cmp(b)
    });
    queue.try_put_many([1, 0]).unwrap();
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| queue.try_get())).unwrap_err();
    assert!(!queue.is_full());
    queue.shutdown();
    let left = std::iter::from_fn(|| queue.try_get().ok()).count();
    assert_eq!((left, queue.len()), (2, 0));
}

#[test]
#[should_panic(expected = "a queue of capacity 0")]
fn a_queue_of_capacity_0_is_refused() {
    Queue::<u8>::bounded(0);
}

#[test]
fn everything_may_go_to_other_threads_and_futures_too() {
    fn send<T: Send>(_: &T) {}
    fn share<T: Send + Sync>() {}
    share::<Queue<u8>>();
    share::<Permit<u8>>();
    share::<Work<u8>>();
    let tasks = Queue::<std::cell::Cell<u8>>::unbounded().tasks();
    send(&tasks.get());
    send(&tasks.get_many(1));
    send(&tasks.put(Default::default()));
    send(&tasks.put_many([]));
    send(&tasks.reserve());
    send(&tasks.join());
    send(&tasks.stream());
}
