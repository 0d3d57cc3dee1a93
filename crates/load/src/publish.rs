//! Publishers: as fast as the broker takes it, or at a rate.

use crate::sequence::stamp;
use crate::{Channel, Protocol};
use std::io::{self, ErrorKind, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Bytes of one write, at most, unless a single message is longer. About what clients of the peers
/// buffer, too.
const WRITE: usize = 64 * 1024;

/// Minimum sleep of a paced publisher. One that woke for every message would take the
/// processor from the broker that is measured.
const TICK: Duration = Duration::from_micros(100);

/// Encoded messages, of which only the numbers change from one write to the next.
pub(crate) struct Batch {
    bytes: Vec<u8>,
    /// From one message to the next.
    stride: usize,
    /// Offset of the payload in a message.
    offset: usize,
    count: usize,
    publisher: u16,
    /// The number of the message that is sent next.
    next: u64,
}

impl Batch {
    pub(crate) fn new<P: Protocol>(protocol: &P, channel: &Channel, publisher: u16, size: usize) -> Batch {
        let payload = vec![b'x'; size];
        let mut bytes = Vec::new();
        let offset = protocol.encode(channel, &payload, &mut bytes);
        let stride = bytes.len();
        let count = (WRITE / stride).max(1);
        let bytes = bytes.repeat(count);
        Batch { bytes, stride, offset, count, publisher, next: 0 }
    }

    /// Sends all of it, without a pause, until `end`. Returns how many messages were sent, and
    /// whether the broker still took them.
    pub(crate) fn flood(mut self, stream: &TcpStream, end: Instant, stop: &AtomicBool) -> (u64, io::Result<()>) {
        while Instant::now() < end && !stop.load(Relaxed) {
            let first = self.next;
            for (message, number) in self.bytes.chunks_exact_mut(self.stride).zip(first..) {
                message[self.offset..self.offset + 8].copy_from_slice(&stamp(self.publisher, number));
            }
            if let Err(error) = write(stream, &self.bytes, stop) {
                return (self.next, Err(error));
            }
            self.next += self.count as u64;
        }
        (self.next, Ok(()))
    }

    /// Sends `rate` messages a second from `start` to `end`, and into each when it was due, as
    /// nanoseconds from `start`. However late it is, none is left out: a broker that stops for a
    /// while makes all that were due meanwhile late, and that is what is to be seen. It gives up after the same time
    /// once more, or a second: at a rate that the machine never reaches the rest would take for ever.
    pub(crate) fn pace(
        mut self,
        stream: &TcpStream,
        start: Instant,
        end: Instant,
        rate: f64,
        stop: &AtomicBool,
    ) -> (u64, io::Result<()>) {
        // The kernel may wake us 50 us late otherwise, which is more than some brokers take.
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
        let due = |number: u64| (number as f64 * 1e9 / rate) as u64;
        let total = (end.duration_since(start).as_secs_f64() * rate) as u64;
        let late = end + end.duration_since(start).max(LATE);
        while self.next < total && !stop.load(Relaxed) && Instant::now() < late {
            let now = start.elapsed().as_nanos() as u64;
            let mut count = 0;
            for message in self.bytes.chunks_exact_mut(self.stride) {
                let number = self.next + count;
                let due = due(number);
                if due > now || number == total {
                    break;
                }
                let payload = &mut message[self.offset..];
                payload[..8].copy_from_slice(&stamp(self.publisher, number));
                payload[8..16].copy_from_slice(&due.to_le_bytes());
                count += 1;
            }
            if count == 0 {
                sleep(Duration::from_nanos(due(self.next).saturating_sub(now)).max(TICK));
                continue;
            }
            if let Err(error) = write(stream, &self.bytes[..count as usize * self.stride], stop) {
                return (self.next, Err(error));
            }
            self.next += count;
        }
        (self.next, Ok(()))
    }
}

/// Time that a publisher has at least for what it is late with.
const LATE: Duration = Duration::from_secs(1);

/// Longest time that a broker which takes nothing keeps a stop from being noticed.
pub(crate) const NOTICE: Duration = Duration::from_millis(100);

/// Writes all of it, to a stream with the write timeout [`NOTICE`], unless it is told to stop meanwhile.
fn write(mut stream: &TcpStream, mut bytes: &[u8], stop: &AtomicBool) -> io::Result<()> {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if stop.load(Relaxed) {
                    return Err(error);
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
