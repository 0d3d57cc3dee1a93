//! The wake-up protocol in every order in which its steps may happen, with loom:
//!
//!     RUSTFLAGS="--cfg loom" cargo test -p switchboard-queue --test loom --release
//!
//! A wake-up that is lost shows as a deadlock, and an item that is lost as one that is waited for.
#![cfg(loom)]

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use loom::future::block_on;
use loom::thread;
use switchboard_queue::{GetError, PutError, Queue};

fn model(body: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    // Bugs of this kind need two switches at bad moments, rarely three; every further one costs minutes.
    builder.preemption_bound = Some(3);
    builder.check(body);
}

/// Polls a future once, and drops it: its result if it was ready.
fn abandon<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => Some(result),
        Poll::Pending => None,
    }
}

#[test]
fn a_thread_and_a_task_hand_over_every_item() {
    model(|| {
        let queue = Queue::bounded(1);
        let source = thread::spawn({
            let face = queue.blocking();
            move || {
                face.put(1).unwrap();
                face.put(2).unwrap();
            }
        });
        let tasks = queue.tasks();
        assert_eq!(block_on(tasks.get()), Ok(1));
        assert_eq!(block_on(tasks.get()), Ok(2));
        source.join().unwrap();
    });
}

#[test]
fn a_task_and_a_thread_hand_over_every_item() {
    model(|| {
        let queue = Queue::bounded(1);
        let sink = thread::spawn({
            let face = queue.blocking();
            move || (face.get(), face.get())
        });
        let tasks = queue.tasks();
        block_on(tasks.put(1)).unwrap();
        block_on(tasks.put(2)).unwrap();
        assert_eq!(sink.join().unwrap(), (Ok(1), Ok(2)));
    });
}

#[test]
fn two_getters_are_woken_by_two_puts() {
    model(|| {
        let queue = Queue::unbounded();
        let blocked = thread::spawn({
            let face = queue.blocking();
            move || face.get().unwrap()
        });
        let awaiting = thread::spawn({
            let tasks = queue.tasks();
            move || block_on(tasks.get()).unwrap()
        });
        queue.try_put(1).unwrap();
        queue.try_put(2).unwrap();
        assert_eq!(blocked.join().unwrap() + awaiting.join().unwrap(), 3);
    });
}

#[test]
fn two_getters_are_woken_by_a_batch() {
    model(|| {
        let queue = Queue::lifo(None);
        let getters = [(); 2].map(|()| {
            let face = queue.blocking();
            thread::spawn(move || face.get().unwrap())
        });
        queue.try_put_many([1, 2]).unwrap();
        let sum: i32 = getters.into_iter().map(|getter| getter.join().unwrap()).sum();
        assert_eq!(sum, 3);
    });
}

#[test]
fn a_cancelled_get_loses_no_item_and_no_wake_up() {
    model(|| {
        let queue = Queue::unbounded();
        let patient = thread::spawn({
            let face = queue.blocking();
            move || face.get().unwrap()
        });
        let impatient = thread::spawn({
            let tasks = queue.tasks();
            move || abandon(tasks.get()).map(Result::unwrap)
        });
        queue.try_put(1).unwrap();
        if let Some(item) = impatient.join().unwrap() {
            queue.try_put(item).unwrap();
        }
        assert_eq!(patient.join().unwrap(), 1);
        assert!(queue.is_empty());
    });
}

#[test]
fn a_cancelled_put_loses_no_wake_up() {
    model(|| {
        let queue = Queue::bounded(1);
        queue.try_put(0).unwrap();
        let patient = thread::spawn({
            let face = queue.blocking();
            move || face.put(1).unwrap()
        });
        let impatient = thread::spawn({
            let tasks = queue.tasks();
            move || abandon(tasks.put(2)).is_some()
        });
        let face = queue.blocking();
        let mut sum = face.get().unwrap();
        if impatient.join().unwrap() {
            sum += face.get().unwrap();
        }
        sum += face.get().unwrap();
        patient.join().unwrap();
        assert!(sum == 1 || sum == 3, "{sum}");
        assert!(queue.is_empty());
    });
}

#[test]
fn a_permit_that_goes_wakes_a_putter() {
    model(|| {
        let queue = Queue::bounded(1);
        let permit = queue.try_reserve().unwrap();
        let putter = thread::spawn({
            let face = queue.blocking();
            move || face.put(1).unwrap()
        });
        drop(permit);
        assert_eq!(queue.blocking().get(), Ok(1));
        putter.join().unwrap();
    });
}

#[test]
fn a_shutdown_reaches_whoever_waits_or_is_about_to() {
    model(|| {
        let queue = Queue::bounded(1);
        queue.try_put(1).unwrap();
        let putter = thread::spawn({
            let face = queue.blocking();
            move || face.put(2)
        });
        let getter = thread::spawn({
            let tasks = queue.tasks();
            move || (block_on(tasks.get()), block_on(tasks.get()))
        });
        queue.shutdown();
        let put = putter.join().unwrap();
        let got = getter.join().unwrap();
        assert_eq!(got.0, Ok(1));
        assert_eq!(got.1, if put.is_ok() { Ok(2) } else { Err(GetError) });
        assert!(put.is_ok() || put == Err(PutError(2)));
    });
}

#[test]
fn a_permit_used_after_a_shutdown_is_waited_for() {
    model(|| {
        let queue = Queue::bounded(1);
        let permit = queue.try_reserve().unwrap();
        let getter = thread::spawn({
            let face = queue.blocking();
            move || (face.get(), face.get())
        });
        let sender = thread::spawn(move || permit.send(1).unwrap());
        queue.shutdown();
        assert_eq!(getter.join().unwrap(), (Ok(1), Err(GetError)));
        sender.join().unwrap();
    });
}

#[test]
fn the_end_wakes_everyone_and_accounts_for_every_item() {
    model(|| {
        let queue = Queue::bounded(1);
        let putter = thread::spawn({
            let face = queue.blocking();
            move || (face.put(1).is_ok(), face.put(2).is_ok())
        });
        let joiner = thread::spawn({
            let tasks = queue.tasks();
            move || block_on(tasks.join())
        });
        let dropped = queue.shutdown_now();
        let put = putter.join().unwrap();
        joiner.join().unwrap();
        assert_eq!(dropped.len(), usize::from(put.0) + usize::from(put.1));
        assert_eq!(queue.blocking().get(), Err(GetError));
    });
}

#[test]
fn the_last_task_wakes_those_who_join() {
    model(|| {
        let queue = Queue::unbounded();
        queue.try_put(1).unwrap();
        let worker = thread::spawn({
            let face = queue.blocking();
            move || drop(face.get_work().unwrap())
        });
        let joiner = thread::spawn({
            let tasks = queue.tasks();
            move || block_on(tasks.join())
        });
        queue.blocking().join();
        joiner.join().unwrap();
        worker.join().unwrap();
        assert_eq!(queue.unfinished(), 0);
    });
}
