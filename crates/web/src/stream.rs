//! A TCP connection with time limits, as hyper reads and writes it.

use crate::Limits;
use crate::connections::Slot;
use crate::head::{Head, Refusal};
use socket2::SockRef;
use std::future::Future;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

/// Bytes that a client which makes the server wait must read within the write time-out.
const PROGRESS: usize = 16 << 10;
/// Limits for reading the rest of a request that was answered before its end: a reset instead would take the
/// answer with it.
const LINGER: (Duration, usize) = (Duration::from_secs(2), 1 << 20);

/// While a head is awaited ([`Slot::generation`] is even) reading has a deadline; while the socket takes no byte, writing has.
#[derive(Debug)]
pub(crate) struct Stream {
    socket: TcpStream,
    slot: Arc<Slot>,
    header_timeout: Duration,
    idle_timeout: Duration,
    write_timeout: Duration,
    head: Head,
    /// Of the head that is awaited.
    generation: u64,
    /// Since when that is awaited, or since its first byte.
    since: Instant,
    head_timer: Timer,
    /// Since when the client has not read enough, and how much it has read since.
    blocked: Option<(Instant, usize)>,
    write_timer: Timer,
    /// Whether hyper still has something to write.
    unflushed: bool,
    outcome: Outcome,
}

/// The server's way of ending a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Orderly,
    /// It was idle for too long, or an error: nothing is said.
    Silent,
    /// The client does not read: what is buffered for it is thrown away.
    Unread,
}

#[derive(Debug, Default)]
struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    /// Ready when it is this late; else the task is woken then, or before.
    ///
    /// A deadline moves on with each request. The timer stays, and moves when it is due: a request costs none of its locks.
    fn poll(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if sleep.deadline() > at {
            sleep.as_mut().reset(at);
        }
        ready!(sleep.as_mut().poll(cx));
        if sleep.deadline() < at {
            sleep.as_mut().reset(at);
            return sleep.as_mut().poll(cx);
        }
        Poll::Ready(())
    }
}

impl Stream {
    pub(crate) fn new(socket: TcpStream, slot: Arc<Slot>, limits: &Limits) -> Stream {
        Stream {
            socket,
            slot,
            header_timeout: limits.header_timeout,
            idle_timeout: limits.idle_timeout,
            write_timeout: limits.write_timeout,
            head: Head::new(limits.header),
            generation: 0,
            since: Instant::now(),
            head_timer: Timer::default(),
            blocked: None,
            write_timer: Timer::default(),
            unflushed: false,
            outcome: Outcome::Orderly,
        }
    }

    /// Whether all that hyper wrote is in the socket.
    pub(crate) fn is_flushed(&self) -> bool {
        !self.unflushed
    }

    /// The connection for whoever goes on with it, without this service's time limits.
    pub(crate) fn into_socket(self) -> TcpStream {
        if let Err(error) = SockRef::from(&self.socket).set_tcp_user_timeout(None) {
            tracing::debug!("socket options: {error}");
        }
        self.socket
    }

    /// Ends the connection so that a client can read the last answer even if it was still sending.
    pub(crate) async fn close(mut self) {
        match self.outcome {
            Outcome::Orderly => {}
            Outcome::Silent => return,
            Outcome::Unread => {
                let _ = SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
                return;
            }
        }
        let (time, most) = LINGER;
        let _ = timeout(time, async {
            self.socket.shutdown().await?;
            let (mut buffer, mut read) = ([0; 4096], 0);
            while read < most {
                match self.socket.read(&mut buffer).await? {
                    0 => break,
                    count => read += count,
                }
            }
            io::Result::Ok(())
        })
        .await;
    }

    fn refuse(&mut self, refusal: Refusal) -> Poll<io::Result<()>> {
        // An answer before this one may be unread still, and this one must not cut into it.
        if self.unflushed {
            self.outcome = Outcome::Silent;
        } else {
            let _ = self.socket.try_write(refusal.answer().as_bytes());
        }
        Poll::Ready(Err(io::Error::new(ErrorKind::InvalidData, "refused")))
    }

    /// Returns true while a head is awaited or read.
    fn begins_head(&mut self) -> bool {
        let generation = self.slot.generation();
        let awaits_head = generation.is_multiple_of(2);
        if awaits_head && generation != self.generation {
            self.generation = generation;
            self.since = Instant::now();
            self.head.reset();
        }
        awaits_head
    }

    fn await_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let partial = self.head.is_partial();
        let time = if partial || self.generation == 0 { self.header_timeout } else { self.idle_timeout };
        ready!(self.head_timer.poll(self.since + time, cx));
        if partial {
            return self.refuse(Refusal::TooSlow);
        }
        self.outcome = Outcome::Silent;
        Poll::Ready(Err(ErrorKind::TimedOut.into()))
    }

    fn written(&mut self, result: Poll<io::Result<usize>>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match result {
            Poll::Ready(Ok(count)) => {
                self.unflushed = true;
                if let Some((_, read)) = &mut self.blocked {
                    *read += count;
                    if *read >= PROGRESS {
                        self.unblock();
                    }
                }
            }
            Poll::Ready(Err(_)) => self.outcome = Outcome::Silent,
            Poll::Pending => {
                if self.blocked.is_none() {
                    self.blocked = Some((Instant::now(), 0));
                    self.slot.stall();
                }
                if let Some((since, _)) = self.blocked
                    && self.write_timer.poll(since + self.write_timeout, cx).is_ready()
                {
                    self.outcome = Outcome::Unread;
                    return Poll::Ready(Err(ErrorKind::TimedOut.into()));
                }
            }
        }
        result
    }

    fn unblock(&mut self) {
        if self.blocked.take().is_some() {
            self.slot.resume();
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let awaits_head = this.begins_head();
        let before = buffer.filled().len();
        let result = Pin::new(&mut this.socket).poll_read(cx, buffer);
        match result {
            Poll::Pending if awaits_head => this.await_head(cx),
            Poll::Ready(Ok(())) if awaits_head => {
                let was_partial = this.head.is_partial();
                if let Err(refusal) = this.head.feed(&buffer.filled()[before..]) {
                    buffer.set_filled(before);
                    return this.refuse(refusal);
                }
                if !was_partial && this.head.is_partial() {
                    this.since = Instant::now();
                }
                result
            }
            _ => result,
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.socket).poll_write(cx, data);
        self.written(result, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.socket).poll_write_vectored(cx, data);
        self.written(result, cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// hyper flushes when it has nothing more to write.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.unflushed = false;
        self.unblock();
        ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
        // After an answer hyper does not read again before something comes: the time of being idle begins here.
        if self.begins_head() {
            let _ = self.await_head(cx)?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connections::Connections;
    use std::task::Waker;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_timer_is_due_at_its_last_deadline_whether_that_moved_on_or_back() {
        let cx = &mut Context::from_waker(Waker::noop());
        let (past, later) = (Instant::now() - Duration::from_secs(1), Instant::now() + Duration::from_secs(3600));
        let mut timer = Timer::default();
        assert!(timer.poll(later, cx).is_pending());
        assert!(timer.poll(past, cx).is_ready());
        // It was due before, and nobody has moved it since.
        assert!(timer.poll(later, cx).is_pending());
        assert!(timer.poll(later + Duration::from_secs(1), cx).is_pending());
        assert!(timer.0.as_ref().is_some_and(|sleep| sleep.deadline() == later), "a later deadline moves no timer");
        assert!(timer.poll(past, cx).is_ready());
    }

    #[tokio::test]
    async fn a_client_that_makes_the_server_wait_has_to_read_a_part_that_is_worth_it() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (socket, _) = listener.accept().await.unwrap();
        let slot = Arc::new(Connections::new(1)).admit().unwrap();
        let mut stream = Stream::new(socket, slot, &Limits::default());
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(stream.written(Poll::Pending, cx).is_pending() && stream.blocked.is_some());
        for count in [1, PROGRESS - 2] {
            assert!(stream.written(Poll::Ready(Ok(count)), cx).is_ready() && stream.blocked.is_some(), "{count}");
        }
        // To be blocked once more does not begin the time anew.
        assert!(stream.written(Poll::Pending, cx).is_pending());
        assert!(stream.written(Poll::Ready(Ok(1)), cx).is_ready() && stream.blocked.is_none());
    }
}
