//! Subscribers: several to a thread, which counts and checks where the read has put the bytes.

use crate::{Checker, Histogram, Plan, Protocol, Seen};
use rustix::event::{Timespec, epoll};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

const READ: usize = 256 * 1024;

/// State shared by the threads of a run.
#[derive(Debug)]
pub(crate) struct Board {
    pub(crate) start: Instant,
    /// Deliveries so far.
    pub(crate) delivered: AtomicU64,
    /// When the last one was, in nanoseconds from `start`.
    pub(crate) last: AtomicU64,
    /// Subscribers whose connection has ended.
    pub(crate) gone: AtomicUsize,
    pub(crate) stop: AtomicBool,
}

pub(crate) struct Subscriber {
    stream: TcpStream,
    /// The beginning of a message of which the rest has not come yet.
    rest: Vec<u8>,
    pub(crate) checker: Checker,
}

impl Subscriber {
    pub(crate) fn new(stream: TcpStream, plan: &Plan) -> Subscriber {
        Subscriber { stream, rest: Vec::new(), checker: Checker::new(plan.publishers) }
    }
}

/// Results of one thread.
pub(crate) struct Received {
    pub(crate) subscribers: Vec<Subscriber>,
    pub(crate) seen: Seen,
    pub(crate) latency: Histogram,
}

/// Reads for all of `subscribers` until the board says stop.
pub(crate) fn receive<P: Protocol>(
    protocol: &P,
    plan: &Plan,
    subscribers: Vec<Subscriber>,
    board: &Board,
) -> io::Result<Received> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for (i, subscriber) in subscribers.iter().enumerate() {
        epoll::add(&epoll, &subscriber.stream, epoll::EventData::new_u64(i as u64), epoll::EventFlags::IN)?;
    }
    let mut received = Received { subscribers, seen: Seen::new(plan.publishers), latency: Histogram::default() };
    // One buffer for all of a thread's subscribers: it stays in the cache.
    let mut buffer = vec![0; READ.max(2 * plan.size())];
    let mut events = Vec::with_capacity(64);
    let timeout = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
    while !board.stop.load(Relaxed) {
        events.clear();
        match epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => continue,
            result => result?,
        };
        for event in &events {
            let i = event.data.u64() as usize;
            if let Err(error) = received.read(protocol, plan, board, i, &mut buffer) {
                if error.kind() == ErrorKind::InvalidData {
                    return Err(error);
                }
                epoll::delete(&epoll, &received.subscribers[i].stream)?;
                board.gone.fetch_add(1, Relaxed);
            }
        }
    }
    Ok(received)
}

impl Received {
    fn read<P: Protocol>(
        &mut self,
        protocol: &P,
        plan: &Plan,
        board: &Board,
        i: usize,
        buffer: &mut [u8],
    ) -> io::Result<()> {
        let Subscriber { stream, rest, checker } = &mut self.subscribers[i];
        let kept = rest.len();
        buffer[..kept].copy_from_slice(rest);
        let bytes = stream.read(&mut buffer[kept..])?;
        if bytes == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let input = &buffer[..kept + bytes];
        let now = board.start.elapsed().as_nanos() as u64;
        let before = checker.tally().delivered;
        let mut answer = Vec::new();
        let (seen, latency) = (&mut self.seen, &mut self.latency);
        let used = match (plan.rate, plan.queue) {
            (None, false) => protocol.scan(input, &mut answer, |payload| checker.topic(payload))?,
            (None, true) => protocol.scan(input, &mut answer, |payload| checker.queue(payload, seen))?,
            (Some(_), queue) => protocol.scan(input, &mut answer, |payload| {
                if queue {
                    checker.queue(payload, seen);
                } else {
                    checker.topic(payload);
                }
                if let Some(due) = payload.get(8..).and_then(<[u8]>::first_chunk) {
                    latency.record(now.saturating_sub(u64::from_le_bytes(*due)));
                }
            })?,
        };
        rest.clear();
        rest.extend_from_slice(&input[used..]);
        board.delivered.fetch_add(checker.tally().delivered - before, Relaxed);
        board.last.fetch_max(now, Relaxed);
        if !answer.is_empty() {
            stream.write_all(&answer)?;
        }
        Ok(())
    }
}
