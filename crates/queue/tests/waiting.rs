//! Waiters: which of them is woken, and the end of a wait. Polled by hand, so that every
//! moment can be chosen.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_core::Stream;
use switchboard_queue::{GetError, PutError, Queue};

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A future, and how often it was woken.
struct Polled<'a, R> {
    future: Pin<Box<dyn Future<Output = R> + 'a>>,
    woken: Arc<Count>,
}

impl<'a, R> Polled<'a, R> {
    /// Polled once.
    fn pending(future: impl Future<Output = R> + 'a) -> Self {
        let mut polled = Self { future: Box::pin(future), woken: Arc::default() };
        assert!(polled.poll().is_none(), "it does not wait");
        polled
    }

    fn poll(&mut self) -> Option<R> {
        let waker = Waker::from(Arc::clone(&self.woken));
        match self.future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(result) => Some(result),
            Poll::Pending => None,
        }
    }

    fn woken(&self) -> usize {
        self.woken.0.load(Ordering::SeqCst)
    }
}

#[test]
fn getters_are_woken_in_order_one_an_item() {
    let queue = Queue::unbounded();
    let tasks = queue.tasks();
    let mut first = Polled::pending(tasks.get());
    let mut second = Polled::pending(tasks.get());
    let third = Polled::pending(tasks.get());
    queue.try_put(1).unwrap();
    assert_eq!((first.woken(), second.woken()), (1, 0));
    queue.try_put(2).unwrap();
    assert_eq!((first.woken(), second.woken(), third.woken()), (1, 1, 0));
    assert_eq!((first.poll(), second.poll()), (Some(Ok(1)), Some(Ok(2))));
}

#[test]
fn a_batch_wakes_as_many_getters_as_it_has_items() {
    let queue = Queue::unbounded();
    let tasks = queue.tasks();
    let getters: Vec<_> = (0..4).map(|_| Polled::pending(tasks.get())).collect();
    queue.try_put_many([1, 2, 3]).unwrap();
    let woken: Vec<_> = getters.iter().map(Polled::woken).collect();
    assert_eq!(woken, [1, 1, 1, 0]);
}

#[test]
fn a_woken_getter_that_is_dropped_wakes_the_next() {
    let queue = Queue::unbounded();
    let tasks = queue.tasks();
    let first = Polled::pending(tasks.get());
    let second = Polled::pending(tasks.get());
    let mut third = Polled::pending(tasks.get());
    queue.try_put_many([1, 2]).unwrap();
    drop(first);
    assert_eq!(third.woken(), 1);
    assert_eq!(third.poll(), Some(Ok(1)));
    drop(second);
    assert_eq!(queue.try_get(), Ok(2));
}

#[test]
fn a_getter_that_is_dropped_before_it_is_woken_leaves_the_others_in_order() {
    let queue = Queue::unbounded();
    let tasks = queue.tasks();
    let first = Polled::pending(tasks.get());
    let second = Polled::pending(tasks.get());
    let third = Polled::pending(tasks.get());
    drop(second);
    queue.try_put_many([1, 2]).unwrap();
    assert_eq!((first.woken(), third.woken()), (1, 1));
}

#[test]
fn a_newcomer_may_overtake_and_the_overtaken_keeps_its_turn() {
    let queue = Queue::unbounded();
    let tasks = queue.tasks();
    let mut first = Polled::pending(tasks.get());
    let second = Polled::pending(tasks.get());
    queue.try_put(1).unwrap();
    assert_eq!(queue.try_get(), Ok(1));
    assert_eq!(first.poll(), None);
    queue.try_put(2).unwrap();
    assert_eq!((first.woken(), second.woken()), (2, 0));
    assert_eq!(first.poll(), Some(Ok(2)));
}

#[test]
fn a_future_that_moves_to_another_task_wakes_that_one() {
    let queue = Queue::unbounded();
    let tasks = queue.tasks();
    let mut getter = Polled::pending(tasks.get());
    let before = std::mem::take(&mut getter.woken);
    assert_eq!(getter.poll(), None);
    queue.try_put(1).unwrap();
    assert_eq!((before.0.load(Ordering::SeqCst), getter.woken()), (0, 1));
}

#[test]
fn a_put_that_is_dropped_while_it_waits_has_put_nothing() {
    let queue = Queue::bounded(1);
    let tasks = queue.tasks();
    queue.try_put(Arc::new(1)).unwrap();
    let item = Arc::new(2);
    let putter = Polled::pending(tasks.put(Arc::clone(&item)));
    drop(putter);
    assert_eq!(Arc::strong_count(&item), 1);
    assert_eq!(queue.try_get().as_deref(), Ok(&1));
    assert!(queue.is_empty());
}

#[test]
fn a_woken_putter_that_is_dropped_wakes_the_next() {
    let queue = Queue::bounded(1);
    let tasks = queue.tasks();
    queue.try_put(0).unwrap();
    let first = Polled::pending(tasks.put(1));
    let mut second = Polled::pending(tasks.put(2));
    queue.try_get().unwrap();
    assert_eq!((first.woken(), second.woken()), (1, 0));
    drop(first);
    assert_eq!(second.woken(), 1);
    assert_eq!(second.poll(), Some(Ok(())));
    assert_eq!(queue.try_get(), Ok(2));
}

#[test]
fn a_batch_that_is_taken_wakes_as_many_putters_as_it_leaves_places() {
    let queue = Queue::bounded(3);
    let tasks = queue.tasks();
    queue.try_put_many([1, 2, 3]).unwrap();
    let putters: Vec<_> = (4..8).map(|item| Polled::pending(tasks.put(item))).collect();
    assert_eq!(queue.try_get_many(2), Ok(vec![1, 2]));
    let woken: Vec<_> = putters.iter().map(Polled::woken).collect();
    assert_eq!(woken, [1, 1, 0, 0]);
}

#[test]
fn a_permit_keeps_its_place_and_gives_it_back() {
    let queue = Queue::bounded(1);
    let tasks = queue.tasks();
    let permit = queue.try_reserve().unwrap();
    assert!(queue.is_full() && queue.is_empty());
    let mut putter = Polled::pending(tasks.put(1));
    drop(permit);
    assert_eq!(putter.woken(), 1);
    assert_eq!(putter.poll(), Some(Ok(())));
}

#[test]
fn a_reserve_that_is_dropped_keeps_no_place() {
    let queue = Queue::bounded(1);
    let tasks = queue.tasks();
    queue.try_put(1).unwrap();
    let reserve = Polled::pending(tasks.reserve());
    queue.try_get().unwrap();
    drop(reserve);
    assert!(!queue.is_full());
    queue.try_put(2).unwrap();
}

#[test]
fn getters_wait_for_permits_after_a_shutdown_and_then_fail() {
    let queue = Queue::bounded(2);
    let tasks = queue.tasks();
    let (used, unused) = (queue.try_reserve().unwrap(), queue.try_reserve().unwrap());
    let mut first = Polled::pending(tasks.get());
    let mut second = Polled::pending(tasks.get());
    queue.shutdown();
    used.send(1).unwrap();
    assert_eq!(first.poll(), Some(Ok(1)));
    assert_eq!(second.poll(), None);
    drop(unused);
    assert_eq!(second.woken(), 1);
    assert_eq!(second.poll(), Some(Err(GetError)));
}

#[test]
fn a_shutdown_wakes_all_who_wait_and_gives_putters_their_items_back() {
    let queue = Queue::<u8>::bounded(1);
    let tasks = queue.tasks();
    let mut getters: Vec<_> = (0..2).map(|_| Polled::pending(tasks.get())).collect();
    queue.shutdown();
    for getter in &mut getters {
        assert_eq!((getter.woken(), getter.poll()), (1, Some(Err(GetError))));
    }

    let queue = Queue::bounded(1);
    let tasks = queue.tasks();
    queue.try_put(0).unwrap();
    let mut putters: Vec<_> = (1..3).map(|item| Polled::pending(tasks.put(item))).collect();
    let mut batch = Polled::pending(tasks.put_many([3, 4]));
    queue.shutdown();
    for (putter, item) in putters.iter_mut().zip(1..) {
        assert_eq!((putter.woken(), putter.poll()), (1, Some(Err(PutError(item)))));
    }
    assert_eq!(batch.poll(), Some(Err(PutError(vec![3, 4]))));
    assert_eq!(queue.try_get(), Ok(0));
}

#[test]
fn joiners_are_woken_by_the_last_task() {
    let queue = Queue::unbounded();
    let tasks = queue.tasks();
    queue.try_put_many([1, 2]).unwrap();
    let mut joiners: Vec<_> = (0..2).map(|_| Polled::pending(tasks.join())).collect();
    queue.task_done().unwrap();
    assert_eq!(joiners[0].woken(), 0);
    queue.task_done().unwrap();
    for joiner in &mut joiners {
        assert_eq!((joiner.woken(), joiner.poll()), (1, Some(())));
    }
}

#[test]
fn joiners_are_woken_by_the_end_whatever_is_unfinished() {
    let queue = Queue::unbounded();
    let tasks = queue.tasks();
    queue.try_put_many([1, 2]).unwrap();
    assert_eq!(queue.try_get(), Ok(1));
    let mut joiner = Polled::pending(tasks.join());
    assert_eq!(queue.shutdown_now(), [2]);
    assert_eq!((joiner.woken(), joiner.poll()), (1, Some(())));
    assert_eq!(queue.unfinished(), 1);
    queue.task_done().unwrap();
    queue.task_done().unwrap_err();
}

#[test]
fn a_woken_stream_that_is_dropped_wakes_the_next() {
    let queue = Queue::unbounded();
    let tasks = queue.tasks();
    let mut stream = tasks.stream();
    let mut next = Box::pin(std::future::poll_fn(move |context| Pin::new(&mut stream).poll_next(context)));
    let woken = Arc::<Count>::default();
    let waker = Waker::from(woken.clone());
    assert!(next.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let mut getter = Polled::pending(tasks.get());
    queue.try_put(1).unwrap();
    assert_eq!((woken.0.load(Ordering::SeqCst), getter.woken()), (1, 0));
    drop(next);
    assert_eq!((getter.woken(), getter.poll()), (1, Some(Ok(1))));
}

#[test]
fn a_stream_that_is_dropped_before_it_is_woken_leaves_nobody_waiting() {
    let queue = Queue::unbounded();
    let tasks = queue.tasks();
    let mut stream = tasks.stream();
    assert!(Pin::new(&mut stream).poll_next(&mut Context::from_waker(Waker::noop())).is_pending());
    let getter = Polled::pending(tasks.get());
    drop(stream);
    queue.try_put(1).unwrap();
    assert_eq!(getter.woken(), 1);
}

#[test]
fn a_thread_that_gives_up_leaves_its_turn_to_the_next() {
    use std::time::Duration;
    let queue = Queue::bounded(1);
    queue.try_put(0).unwrap();
    // Nobody takes anything, so these time out, one after the other.
    queue.blocking().put_timeout(1, Duration::from_millis(1)).unwrap_err();
    queue.blocking().reserve_timeout(Duration::from_millis(1)).unwrap_err();
    let tasks = queue.tasks();
    let mut putter = Polled::pending(tasks.put(2));
    assert_eq!(queue.try_get(), Ok(0));
    assert_eq!((putter.woken(), putter.poll()), (1, Some(Ok(()))));

    let queue = Queue::unbounded();
    queue.blocking().get_timeout(Duration::from_millis(1)).unwrap_err();
    let tasks = queue.tasks();
    let mut getter = Polled::pending(tasks.get());
    queue.try_put(3).unwrap();
    assert_eq!((getter.woken(), getter.poll()), (1, Some(Ok(3))));
}

#[test]
fn a_dropped_permit_wakes_one_putter_and_a_used_one_none() {
    let queue = Queue::bounded(2);
    let tasks = queue.tasks();
    let (used, unused) = (queue.try_reserve().unwrap(), queue.try_reserve().unwrap());
    let mut first = Polled::pending(tasks.put(1));
    let second = Polled::pending(tasks.reserve());
    used.send(0).unwrap();
    assert_eq!((first.woken(), second.woken()), (0, 0));
    drop(unused);
    assert_eq!((first.woken(), second.woken()), (1, 0));
    assert_eq!(first.poll(), Some(Ok(())));
    assert_eq!(queue.try_get_many(3), Ok(vec![0, 1]));
    assert_eq!(second.woken(), 1);
}

#[test]
fn a_joiner_that_is_dropped_is_not_waited_for() {
    let queue = Queue::unbounded();
    let tasks = queue.tasks();
    queue.try_put(1).unwrap();
    let first = Polled::pending(tasks.join());
    let mut second = Polled::pending(tasks.join());
    drop(first);
    queue.task_done().unwrap();
    assert_eq!((second.woken(), second.poll()), (1, Some(())));
}

#[test]
fn room_is_looked_for_again_when_it_seems_to_be_used_up() {
    let queue = Queue::bounded(2);
    for round in 0..10 {
        // By the producers' own figure it is full from the second round on.
        queue.try_put_many([round, round]).unwrap();
        assert!(queue.try_put(round).unwrap_err().is_full());
        assert_eq!(queue.try_get(), Ok(round));
        queue.try_put(round).unwrap();
        assert_eq!(queue.try_get_many(9), Ok(vec![round, round]));
    }
}

#[test]
fn stray_wake_ups_leave_no_waiter_behind() {
    let queue = Queue::unbounded();
    let face = queue.blocking();
    let waits = std::thread::spawn(move || face.get_timeout(std::time::Duration::from_millis(30)));
    while !waits.is_finished() {
        waits.thread().unpark();
        std::thread::yield_now();
    }
    waits.join().unwrap().unwrap_err();
    let tasks = queue.tasks();
    let mut getter = Polled::pending(tasks.get());
    queue.try_put(1).unwrap();
    assert_eq!((getter.woken(), getter.poll()), (1, Some(Ok(1))));
}
