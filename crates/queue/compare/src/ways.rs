//! The ways that items go, each timed from the first to the last.

use std::thread;
use std::time::Instant;

use tokio::task::LocalSet;

use crate::rivals::Rival;

pub type Rate = f64;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime")
}

pub fn thread_to_task<R: Rival>(capacity: Option<usize>, items: u64) -> Option<Rate> {
    if !R::SERVES_TASKS {
        return None;
    }
    let (into, mut out) = R::pair(capacity)?;
    let start = Instant::now();
    let source = thread::spawn(move || (0..items).for_each(|item| R::put(&into, item)));
    runtime().block_on(async {
        for item in 0..items {
            assert_eq!(R::get_async(&mut out).await, item);
        }
    });
    source.join().expect("the source");
    Some(items as f64 / start.elapsed().as_secs_f64())
}

pub fn task_to_thread<R: Rival>(capacity: Option<usize>, items: u64) -> Option<Rate> {
    let (into, mut out) = R::pair(capacity)?;
    let start = Instant::now();
    let sink = thread::spawn(move || (0..items).for_each(|item| assert_eq!(R::get(&mut out), item)));
    runtime().block_on(async {
        for item in 0..items {
            R::put_async(&into, item).await;
        }
    });
    sink.join().expect("the sink");
    Some(items as f64 / start.elapsed().as_secs_f64())
}

/// Two threads and two tasks put, two threads and two tasks get.
pub fn many_to_many<R: Rival>(capacity: Option<usize>, items: u64) -> Option<Rate> {
    if !R::SERVES_TASKS {
        return None;
    }
    let (into, mut out) = R::pair(capacity)?;
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(R::another(&out)?);
    }
    let each = items / 4;
    let start = Instant::now();
    let mut threads = Vec::new();
    for mut out in others.drain(..2) {
        let into = into.clone();
        threads.push(thread::spawn(move || (0..each).map(|_| R::get(&mut out)).sum::<u64>()));
        threads.push(thread::spawn(move || {
            (1..=each).for_each(|item| R::put(&into, item));
            0
        }));
    }
    let mut sum = runtime().block_on(LocalSet::new().run_until(async move {
        let mut tasks = Vec::new();
        for _ in 0..2 {
            let into = into.clone();
            tasks.push(tokio::task::spawn_local(async move {
                for item in 1..=each {
                    R::put_async(&into, item).await;
                }
                0
            }));
        }
        let mut other = others.pop().expect("a consumer");
        tasks.push(tokio::task::spawn_local(async move {
            let mut sum = 0;
            for _ in 0..each {
                sum += R::get_async(&mut other).await;
            }
            sum
        }));
        let mut sum = 0;
        for _ in 0..each {
            sum += R::get_async(&mut out).await;
        }
        for task in tasks {
            sum += task.await.expect("a task");
        }
        sum
    }));
    for thread in threads {
        sum += thread.join().expect("a thread");
    }
    assert_eq!(sum, 4 * (each * (each + 1) / 2), "items were lost or came twice");
    Some(4.0 * each as f64 / start.elapsed().as_secs_f64())
}

/// One item goes from a task to a thread and back.
pub fn ping_pong<R: Rival>(capacity: Option<usize>, items: u64) -> Option<Rate> {
    let (ping, mut at_thread) = R::pair(capacity)?;
    let (pong, mut at_task) = R::pair(capacity)?;
    let start = Instant::now();
    let thread = thread::spawn(move || {
        for _ in 0..items {
            let item = R::get(&mut at_thread);
            R::put(&pong, item);
        }
    });
    runtime().block_on(async {
        for item in 0..items {
            R::put_async(&ping, item).await;
            assert_eq!(R::get_async(&mut at_task).await, item);
        }
    });
    thread.join().expect("the thread");
    Some(items as f64 / start.elapsed().as_secs_f64())
}
