//! A source that blocks feeds tasks: ten random waits, and `Done.`
//!
//! `cargo run --example feed_tasks [MILLISECONDS]`, the unit of the waits, 1000 unless given.

use std::hash::{BuildHasher, RandomState};
use std::thread;
use std::time::Duration;

use switchboard_queue::{Blocking, Queue};

fn main() {
    let unit = std::env::args().nth(1).map_or(1000, |unit| unit.parse().expect("a number of milliseconds"));
    let queue = Queue::bounded(10);
    let source = thread::spawn({
        let face = queue.blocking();
        move || wait_ten_times(&face, Duration::from_millis(unit))
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().build().expect("a runtime");
    runtime.block_on(async {
        let tasks = queue.tasks();
        while let Ok(waited) = tasks.get().await {
            println!("Got {waited} off queue");
        }
        println!("Done.");
    });
    source.join().expect("the source");
}

/// Stands for a library that knows nothing of tasks.
fn wait_ten_times(face: &Blocking<u64>, unit: Duration) {
    for number in 0..10 {
        // Every `RandomState` has other keys, which is random enough for this.
        let wait = RandomState::new().hash_one(number) % 5;
        thread::sleep(unit * wait as u32);
        face.put(wait).expect("only this side shuts it down");
    }
    face.shutdown();
}
