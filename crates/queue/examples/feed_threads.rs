//! Tasks feed threads that do heavy work, the most urgent first, and wait until all of it is done.

use std::thread;

use switchboard_queue::Queue;

struct Job {
    urgency: u8,
    number: u64,
}

fn main() {
    // Bounded, so that a source that is faster than the workers waits instead of filling the memory.
    let queue = Queue::priority_by(Some(100), |a: &Job, b| b.urgency.cmp(&a.urgency));
    let workers: Vec<_> = (0..2)
        .map(|worker| {
            let face = queue.blocking();
            thread::spawn(move || {
                while let Ok(job) = face.get_work() {
                    let divisors = (1..=job.number).filter(|divisor| job.number % divisor == 0).count();
                    println!("worker {worker}, urgency {}: {} has {divisors} divisors", job.urgency, job.number);
                }
            })
        })
        .collect();
    smol::block_on(async {
        let tasks = queue.tasks();
        for number in 0..20 {
            let job = Job { urgency: (number % 3) as u8, number: 720_720 + number };
            tasks.put(job).await.unwrap_or_else(|_| panic!("only this side shuts it down"));
        }
        tasks.join().await;
        println!("Done.");
    });
    queue.shutdown();
    workers.into_iter().for_each(|worker| worker.join().expect("a worker"));
}
