//! Threads that give up, futures that are dropped, everybody at once: every item is counted.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use switchboard_queue::{Blocking, GetTimeoutError, PutTimeoutError, Queue, Tasks, TryPutError};

const EACH: u64 = 3_000;
const SOURCES: u64 = 5;

/// Polls a future a few times and then drops it: `None` if it was not ready.
async fn abandon<F: Future>(future: F, polls: u64) -> Option<F::Output> {
    let mut future = Box::pin(future);
    for _ in 0..polls {
        let polled = std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut future).poll(cx))).await;
        if let Poll::Ready(result) = polled {
            return Some(result);
        }
        tokio::task::yield_now().await;
    }
    None
}

/// Puts numbers, by puts that are given up, until each is in.
async fn impatient_source(tasks: Tasks<u64>, numbers: impl Iterator<Item = u64>) {
    for number in numbers {
        for attempt in 1.. {
            // A dropped item was not put: were it in the queue too, it would be counted twice.
            if let Some(put) = abandon(tasks.put(number), attempt % 4).await {
                put.unwrap();
                break;
            }
        }
    }
}

/// Puts numbers, each into a place that was asked for until it was given, and sometimes given back.
async fn reserving_source(tasks: Tasks<u64>, numbers: impl Iterator<Item = u64>) {
    for number in numbers {
        for attempt in 1.. {
            match abandon(tasks.reserve(), attempt % 3).await {
                Some(permit) if (number + attempt) % 5 == 0 => drop(permit.unwrap()),
                Some(permit) => {
                    permit.unwrap().send(number).unwrap();
                    break;
                }
                None => {}
            }
        }
    }
}

async fn impatient_sink(tasks: Tasks<u64>, limit: usize) -> Vec<u64> {
    let mut got = Vec::new();
    for attempt in 1.. {
        match abandon(tasks.get_many(limit), attempt % 4).await {
            Some(Ok(numbers)) => got.extend(numbers),
            Some(Err(_)) => break,
            None => {}
        }
    }
    got
}

fn impatient_thread(face: &Blocking<u64>, numbers: impl Iterator<Item = u64>) {
    for number in numbers {
        let mut left = number;
        loop {
            match face.put_timeout(left, Duration::from_micros(left % 20)) {
                Ok(()) => break,
                Err(PutTimeoutError::TimedOut(back)) => left = back,
                Err(PutTimeoutError::ShutDown(_)) => panic!("nobody shut it down"),
            }
        }
    }
}

fn batching_thread(face: &Blocking<u64>, numbers: impl Iterator<Item = u64>) {
    let numbers: Vec<u64> = numbers.collect();
    for batch in numbers.chunks(7) {
        match face.try_put_many(batch.iter().copied()) {
            Ok(()) => {}
            Err(TryPutError::Full(rest)) => face.put_many(rest).unwrap(),
            Err(TryPutError::ShutDown(_)) => panic!("nobody shut it down"),
        }
    }
}

fn impatient_sink_thread(face: &Blocking<u64>) -> Vec<u64> {
    let mut got = Vec::new();
    loop {
        match face.get_timeout(Duration::from_micros(got.len() as u64 % 20)) {
            Ok(number) => got.push(number),
            Err(GetTimeoutError::TimedOut) => {}
            Err(GetTimeoutError::ShutDown) => return got,
        }
    }
}

fn every_item_is_counted_once(queue: &Queue<u64>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let numbers = |source: u64| (0..EACH).map(move |number| number * SOURCES + source);
    let counted = Mutex::new(BTreeMap::new());
    let count = |got: Vec<u64>| {
        let mut counted = counted.lock().unwrap();
        for number in got {
            *counted.entry(number).or_insert(0) += 1;
            queue.task_done().unwrap();
        }
    };
    thread::scope(|scope| {
        let sources = [
            runtime.spawn(impatient_source(queue.tasks(), numbers(0))),
            runtime.spawn(reserving_source(queue.tasks(), numbers(1))),
            runtime.spawn(async_source(queue.tasks(), numbers(2))),
        ];
        let source_threads = [
            scope.spawn(|| impatient_thread(&queue.blocking(), numbers(3))),
            scope.spawn(|| batching_thread(&queue.blocking(), numbers(4))),
        ];
        let sinks = [1, 5].map(|limit| runtime.spawn(impatient_sink(queue.tasks(), limit)));
        let patient = runtime.spawn(patient_sink(queue.tasks()));
        scope.spawn(|| count(impatient_sink_thread(&queue.blocking())));
        scope.spawn(|| count(queue.blocking().iter().collect()));
        sources.into_iter().for_each(|source| runtime.block_on(source).unwrap());
        source_threads.into_iter().for_each(|source| source.join().unwrap());
        queue.shutdown();
        sinks.into_iter().for_each(|sink| count(runtime.block_on(sink).unwrap()));
        count(runtime.block_on(patient).unwrap());
        queue.blocking().join();
    });
    let counted = counted.into_inner().unwrap();
    assert_eq!(counted.len() as u64, EACH * SOURCES, "items were lost");
    assert!(counted.values().all(|times| *times == 1), "items came twice");
    assert_eq!((queue.len(), queue.unfinished()), (0, 0));
}

/// Waits with a runtime's own time-outs.
async fn async_source(tasks: Tasks<u64>, numbers: impl Iterator<Item = u64>) {
    for number in numbers {
        while tokio::time::timeout(Duration::from_micros(number % 50), tasks.put(number)).await.is_err() {}
    }
}

async fn patient_sink(tasks: Tasks<u64>) -> Vec<u64> {
    let mut got = Vec::new();
    while let Ok(number) = tasks.get().await {
        got.push(number);
    }
    got
}

#[test]
fn every_item_of_a_short_fifo_is_counted_once() {
    every_item_is_counted_once(&Queue::bounded(2));
}

#[test]
fn every_item_of_a_long_fifo_is_counted_once() {
    every_item_is_counted_once(&Queue::bounded(100));
}

#[test]
fn every_item_of_an_unbounded_fifo_is_counted_once() {
    every_item_is_counted_once(&Queue::unbounded());
}

#[test]
fn every_item_of_a_lifo_is_counted_once() {
    every_item_is_counted_once(&Queue::lifo(Some(3)));
}

#[test]
fn every_item_of_a_priority_queue_is_counted_once() {
    every_item_is_counted_once(&Queue::priority(Some(3)));
}
