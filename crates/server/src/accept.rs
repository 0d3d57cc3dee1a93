//! Listeners, and who may come in how fast.

use crate::connection;
use crate::connector::Arrival;
use crate::hub::Hub;
use crate::peer::Peer;
use crate::socket::{Origin, Socket};
use socket2::{SockRef, TcpKeepalive};
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use switchboard_broker::ConnectionId;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep, sleep_until};

/// How long to wait for file descriptors to come free.
const PAUSE: Duration = Duration::from_millis(100);

/// What all listeners share.
#[derive(Debug)]
pub(crate) struct Gate {
    hub: Arc<Hub>,
    handshake: Duration,
    handshakes: Arc<Semaphore>,
    rate: Mutex<Rate>,
    next: AtomicU64,
    /// Closed when the last connection has ended.
    alive: mpsc::Sender<()>,
}

impl Gate {
    pub(crate) fn new(
        hub: Arc<Hub>,
        handshake: Duration,
        handshakes: usize,
        rate: u32,
        alive: mpsc::Sender<()>,
    ) -> Gate {
        Gate {
            hub,
            handshake,
            handshakes: Arc::new(Semaphore::new(handshakes.clamp(1, Semaphore::MAX_PERMITS))),
            rate: Mutex::new(Rate::new(rate, Instant::now())),
            next: AtomicU64::new(1),
            alive,
        }
    }

    /// Accepts for ever.
    pub(crate) async fn run(self: Arc<Gate>, listener: TcpListener) {
        let mut told: Option<Instant> = None;
        loop {
            let (socket, address) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) if is_about_one_connection(&error) => continue,
                Err(error) => {
                    let now = Instant::now();
                    if told.is_none_or(|told| now - told > Duration::from_secs(5)) {
                        told = Some(now);
                        tracing::error!("cannot accept connections, and tries again every 0.1 s: {error}");
                    }
                    sleep(PAUSE).await;
                    continue;
                }
            };
            if let Err(error) = prepare(&socket) {
                tracing::debug!(peer = %address, "socket options: {error}");
            }
            self.admit(Socket::Tcp(socket), Origin::Address(address)).await;
        }
    }

    /// Accepts this process's own, as long as there may be any.
    pub(crate) async fn run_arrivals(self: Arc<Gate>, mut arrivals: mpsc::Receiver<Arrival>) {
        while let Some((pipe, service)) = arrivals.recv().await {
            match UnixStream::from_std(pipe) {
                Ok(pipe) => self.admit(Socket::Pipe(pipe), Origin::Service(service)).await,
                Err(error) => tracing::error!("cannot accept {}: {error}", Origin::Service(service)),
            }
        }
    }

    /// Serves a connection, in a task of its own, when it is its turn.
    async fn admit(&self, socket: Socket, origin: Origin) {
        // Behind the accept: a listener where nobody comes would keep what it took from the
        // others for ever. Who is too many waits in the kernel, but for one a listener.
        let Ok(permit) = self.handshakes.clone().acquire_owned().await else { return };
        let turn = self.rate.lock().unwrap_or_else(PoisonError::into_inner).turn(Instant::now());
        // Only then: a timer that is due sleeps for a millisecond all the same.
        if turn > Instant::now() {
            sleep_until(turn).await;
        }
        let id = ConnectionId(self.next.fetch_add(1, Ordering::Relaxed));
        let peer = Arc::new(Peer::new(id, origin, socket));
        let (hub, handshake, alive) = (self.hub.clone(), self.handshake, self.alive.clone());
        tokio::spawn(async move {
            connection::run(hub, peer, handshake, permit).await;
            drop(alive);
        });
    }
}

/// Errors of a connection that was gone before it was accepted; the listener is well.
fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted)
}

fn prepare(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    // Finds peers whose machine is gone without a word.
    let keepalive =
        TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(10)).with_retries(3);
    SockRef::from(socket).set_tcp_keepalive(&keepalive)
}

/// A token bucket that holds one second's tokens.
#[derive(Debug)]
struct Rate {
    gap: Duration,
    /// When the bucket would be full again.
    full: Instant,
}

impl Rate {
    fn new(per_second: u32, now: Instant) -> Rate {
        Rate { gap: Duration::from_secs(1) / per_second.max(1), full: now }
    }

    /// Takes a token, and says when it is there.
    fn turn(&mut self, now: Instant) -> Instant {
        self.full = self.full.max(now) + self.gap;
        (self.full - Duration::from_secs(1)).max(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_may_come_at_once_and_then_one_every_gap() {
        let now = Instant::now() + Duration::from_secs(10);
        let mut rate = Rate::new(4, now);
        let turns: Vec<_> = (0..6).map(|_| rate.turn(now) - now).collect();
        let millis: Vec<_> = turns.iter().map(Duration::as_millis).collect();
        assert_eq!(millis, [0, 0, 0, 0, 250, 500]);
        let later = now + Duration::from_secs(60);
        assert_eq!(rate.turn(later), later);
    }
}
