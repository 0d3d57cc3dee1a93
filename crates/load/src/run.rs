//! One run of a plan.

use crate::publish::{Batch, NOTICE};
use crate::subscribe::{Board, Received, Subscriber, receive};
use crate::{Channel, Outcome, Plan, Protocol};
use std::io::{self, ErrorKind};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

/// More threads would only take turns with the broker's.
const RECEIVING_THREADS: usize = 2;
/// When nothing has come for so long after the last publish, what is missing is lost.
const IDLE: Duration = Duration::from_millis(500);

/// Publishes as planned, and returns when everything was delivered, or nothing comes any more.
///
/// # Errors
///
/// Those of the connections while they are opened, and bytes that are not of this protocol. A
/// connection that ends during the run is not an error but counted.
///
/// # Panics
///
/// If a plan has no publisher, no subscriber or no channel.
pub fn run<P: Protocol>(protocol: &P, plan: &Plan) -> io::Result<Outcome> {
    run_until(protocol, plan, &AtomicBool::new(false))
}

/// As [`run`], but ends early once `stop` is true, with what was measured by then.
///
/// # Errors
///
/// Those of [`run`].
///
/// # Panics
///
/// As [`run`].
pub fn run_until<P: Protocol>(protocol: &P, plan: &Plan, stop: &AtomicBool) -> io::Result<Outcome> {
    assert!(plan.publishers > 0 && plan.subscribers > 0 && plan.channels > 0, "a plan for nobody");
    let channels = plan.channel_names();
    let groups = subscribe(protocol, plan, &channels)?;
    let publishers = open(plan.publishers, |i| protocol.publisher(&channels[i % channels.len()]))?;
    for stream in &publishers {
        stream.set_write_timeout(Some(NOTICE))?;
    }
    let start = Instant::now();
    let board = Board {
        start,
        delivered: AtomicU64::new(0),
        last: AtomicU64::new(0),
        gone: AtomicUsize::new(0),
        stop: AtomicBool::new(false),
    };
    let (received, sent, publish_seconds, undrained) = thread::scope(|scope| {
        let board = &board;
        let receivers: Vec<_> =
            groups.into_iter().map(|group| scope.spawn(move || receive(protocol, plan, group, board))).collect();
        let senders: Vec<_> = publishers
            .iter()
            .enumerate()
            .map(|(i, stream)| {
                let batch = Batch::new(protocol, &channels[i % channels.len()], i as u16, plan.size());
                scope.spawn(move || send(batch, stream, plan, start, stop))
            })
            .collect();
        let sent: Vec<_> = senders.into_iter().map(join).collect();
        let publish_seconds = start.elapsed().as_secs_f64();
        let expected = plan.expected(&sent.iter().map(|(sent, _)| *sent).collect::<Vec<_>>());
        let undrained = !wait(plan, board, expected, stop);
        board.stop.store(true, Relaxed);
        let received: io::Result<Vec<Received>> = receivers.into_iter().map(join).collect();
        (received, sent, publish_seconds, undrained)
    });
    let is_end = |error: &io::Error| !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
    let failed = sent.iter().filter(|(_, result)| result.as_ref().is_err_and(is_end)).count();
    let sent: Vec<u64> = sent.into_iter().map(|(sent, _)| sent).collect();
    let mut outcome = Outcome {
        sent: sent.iter().sum(),
        expected: plan.expected(&sent),
        seconds: board.last.load(Relaxed) as f64 / 1e9,
        publish_seconds,
        undrained,
        disconnected: failed + board.gone.load(Relaxed),
        ..Outcome::default()
    };
    collect(&mut outcome, plan.queue, received?);
    Ok(outcome)
}

fn subscribe<P: Protocol>(protocol: &P, plan: &Plan, channels: &[Channel]) -> io::Result<Vec<Vec<Subscriber>>> {
    let streams = open(plan.subscribers, |i| protocol.subscriber(&channels[i % channels.len()]))?;
    let threads = RECEIVING_THREADS.min(plan.subscribers);
    let mut groups: Vec<Vec<Subscriber>> = (0..threads).map(|_| Vec::new()).collect();
    for (i, stream) in streams.into_iter().enumerate() {
        groups[i % threads].push(Subscriber::new(stream, plan));
    }
    Ok(groups)
}

fn open(count: usize, one: impl FnMut(usize) -> io::Result<TcpStream>) -> io::Result<Vec<TcpStream>> {
    (0..count).map(one).collect()
}

fn send(batch: Batch, stream: &TcpStream, plan: &Plan, start: Instant, stop: &AtomicBool) -> (u64, io::Result<()>) {
    let end = start + plan.time;
    match plan.rate {
        Some(rate) => batch.pace(stream, start, end, rate / plan.publishers as f64, stop),
        None => batch.flood(stream, end, stop),
    }
}

/// Returns whether all came that will come: buffers on the way may hold more than a slow broker delivers
/// in minutes, and its rate is known without them. A queue is emptied all the same, for it would keep what is left: also
/// of what a publisher was stopped in the middle of, so until nothing comes any more.
fn wait(plan: &Plan, board: &Board, expected: u64, stop: &AtomicBool) -> bool {
    let end = Instant::now() + plan.time.max(IDLE * 2);
    let mut seen = (0, Instant::now());
    loop {
        let delivered = board.delivered.load(Relaxed);
        let is_all = delivered >= expected && !(plan.queue && stop.load(Relaxed));
        if is_all || board.gone.load(Relaxed) == plan.subscribers {
            return true;
        }
        if delivered != seen.0 {
            seen = (delivered, Instant::now());
        } else if seen.1.elapsed() > IDLE {
            return true;
        } else if !plan.queue && (Instant::now() > end || stop.load(Relaxed)) {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn collect(outcome: &mut Outcome, queue: bool, received: Vec<Received>) {
    let mut received = received.into_iter();
    let Some(mut first) = received.next() else { return };
    let mut add = |received: &Received| {
        for subscriber in &received.subscribers {
            outcome.tally.add(&subscriber.checker.tally());
            outcome.skipped += if queue { 0 } else { subscriber.checker.skipped() };
        }
    };
    add(&first);
    let mut doubled = 0;
    for other in received {
        add(&other);
        doubled += first.seen.merge(&other.seen);
        first.latency.merge(&other.latency);
    }
    outcome.tally.doubled += doubled;
    outcome.latency = first.latency;
}

fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
