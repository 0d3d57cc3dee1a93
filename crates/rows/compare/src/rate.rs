//! A fixed rate of GETs of `/patron/1` to `/patron/100`, whatever the server does: an open loop.
//! `rate HOST:PORT REQUESTS_A_SECOND SECONDS CONNECTIONS`.
//!
//! The request number `n` is due at `n / RATE`, on the connection `n % CONNECTIONS`. Its latency counts from then, so a server
//! that stops for a moment is charged with every request that was due meanwhile. The first half second is not counted.

use rustix::event::{Timespec, epoll};
use std::collections::VecDeque;
use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};
use switchboard_load::Histogram;
use switchboard_rows_compare::{get, head};

const ROWS: u64 = 100;
/// Time that is not counted.
const WARM_UP: Duration = Duration::from_millis(500);
/// Time for the last answers.
const GRACE: Duration = Duration::from_secs(5);

struct Connection {
    socket: TcpStream,
    /// Due times of requests: the first was sent, if one was.
    due: VecDeque<u64>,
    answer: Vec<u8>,
}

struct Run {
    begun: Instant,
    requests: Vec<Vec<u8>>,
    next_row: usize,
    connections: Vec<Connection>,
    latency: Histogram,
    answered: u64,
}

impl Run {
    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_nanos()).expect("less than 584 years")
    }

    fn send(&mut self, at: usize) -> Result<(), Box<dyn Error>> {
        let request = &self.requests[self.next_row];
        self.next_row = (self.next_row + 1) % self.requests.len();
        let written = self.connections[at].socket.write(request)?;
        if written < request.len() {
            return Err("a request was not taken whole".into());
        }
        Ok(())
    }

    /// Reads what has come, and sends the request that waits for it.
    fn receive(&mut self, at: usize, buffer: &mut [u8]) -> Result<(), Box<dyn Error>> {
        let connection = &mut self.connections[at];
        match connection.socket.read(buffer) {
            Ok(0) => return Err("the server has closed a connection".into()),
            Ok(count) => connection.answer.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let Some(head) = head(&connection.answer)? else { return Ok(()) };
        if connection.answer.len() < head.length {
            return Ok(());
        }
        if head.status != 200 || connection.answer.len() > head.length {
            return Err(format!("status {}: {}", head.status, String::from_utf8_lossy(&connection.answer)).into());
        }
        connection.answer.clear();
        let due = connection.due.pop_front().ok_or("an answer without a request")?;
        let waits = !connection.due.is_empty();
        self.answered += 1;
        if u128::from(due) >= WARM_UP.as_nanos() {
            let now = self.now();
            self.latency.record(now - due);
        }
        if waits { self.send(at) } else { Ok(()) }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, rate, seconds, connections] = &arguments[..] else {
        return Err("usage: rate HOST:PORT REQUESTS_A_SECOND SECONDS CONNECTIONS".into());
    };
    let (rate, seconds, count): (u64, u64, u64) = (rate.parse()?, seconds.parse()?, connections.parse()?);
    if rate == 0 || count == 0 || seconds == 0 {
        return Err("rate, seconds and connections are at least 1".into());
    }
    // Otherwise each wait is 50 us too long.
    rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?;
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let mut all = Vec::new();
    for number in 0..count {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        epoll::add(&poll, &socket, epoll::EventData::new_u64(number), epoll::EventFlags::IN)?;
        all.push(Connection { socket, due: VecDeque::new(), answer: Vec::with_capacity(1024) });
    }
    let mut run = Run {
        begun: Instant::now(),
        requests: (1..=ROWS).map(|row| get(address, &format!("/patron/{row}"))).collect(),
        next_row: 0,
        connections: all,
        latency: Histogram::default(),
        answered: 0,
    };
    let total = rate * seconds;
    let due_at = |number: u64| u64::try_from(u128::from(number) * 1_000_000_000 / u128::from(rate));
    let (mut begun, mut buffer, mut events) = (0, vec![0; 16 << 10], Vec::with_capacity(256));
    while run.answered < total {
        let now = run.now();
        while begun < total && due_at(begun)? <= now {
            let at = usize::try_from(begun % count)?;
            run.connections[at].due.push_back(due_at(begun)?);
            if run.connections[at].due.len() == 1 {
                run.send(at)?;
            }
            begun += 1;
        }
        let next = if begun < total { due_at(begun)? } else { due_at(total)? + u64::try_from(GRACE.as_nanos())? };
        let wait = next.saturating_sub(run.now());
        if wait == 0 && begun == total {
            return Err(format!("{} answers are missing", total - run.answered).into());
        }
        let wait =
            Timespec { tv_sec: i64::try_from(wait / 1_000_000_000)?, tv_nsec: i64::try_from(wait % 1_000_000_000)? };
        events.clear();
        epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), Some(&wait))?;
        for event in &events {
            run.receive(usize::try_from(event.data.u64())?, &mut buffer)?;
        }
    }
    let micros = |share| run.latency.quantile(share) as f64 / 1000.0;
    println!(
        "requests={} p50={:.1} p99={:.1} p999={:.1} max={:.1}",
        run.latency.count(),
        micros(0.5),
        micros(0.99),
        micros(0.999),
        run.latency.max() as f64 / 1000.0
    );
    Ok(())
}
