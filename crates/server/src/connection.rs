//! One connection of the native protocol: its own task.

#[cfg(test)]
mod tests;

use crate::hub::Hub;
use crate::native::Session;
use crate::peer::{Closing, Peer};
use std::cell::RefCell;
use std::io::{self, ErrorKind, IoSliceMut};
use std::sync::Arc;
use std::time::Duration;
use switchboard_broker::{CloseReason, Command};
use tokio::io::Interest;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

const READ: usize = 512 << 10;
const READ_PRESSED: usize = 4 << 10;
/// How long a connection that is being closed may take for its last bytes, in each direction.
const LINGER: Duration = Duration::from_secs(2);

thread_local! {
    /// What a read needs is borrowed, never across an await: an idle connection owns no buffer.
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch { buffer: vec![0; READ], commands: Vec::new() });
}

struct Scratch {
    buffer: Vec<u8>,
    commands: Vec<Command>,
}

/// One line about a connection, unless there were too many this second.
macro_rules! told {
    ($hub:expr, $peer:expr, $level:ident, $($line:tt)+) => {
        if $hub.log_quota().allows() {
            tracing::$level!(connection = $peer.id().0, peer = %$peer.origin(), $($line)+);
        }
    };
}

enum Read {
    /// Nothing is there.
    Nothing,
    Some,
    End,
    Failed(io::Error),
    Wrong(crate::native::NativeError),
}

/// How a connection ends.
enum Ending {
    /// The peer is gone: nothing can be written.
    Gone,
    /// What waits is written if that goes quickly, then the peer gets time to read it.
    Rest,
    /// The same, for a peer that gets nothing more.
    NoRest,
}

pub(crate) async fn run(hub: Arc<Hub>, peer: Arc<Peer>, handshake: Duration, permit: OwnedSemaphorePermit) {
    hub.connect(&peer);
    // Also when this task is dropped or panics, the broker has to know.
    let gone = Gone { hub: &hub, peer: &peer };
    let ending = serve(&hub, &peer, handshake, permit).await;
    if matches!(ending, Ending::Rest) {
        let _ = timeout_at(Instant::now() + LINGER, flush_rest(&hub, &peer)).await;
    }
    // Queues get back at once what was not written, whatever the peer does in its last seconds.
    drop(gone);
    if !matches!(ending, Ending::Gone) && !hub.is_stopped() {
        let _ = timeout_at(Instant::now() + LINGER, linger(&peer)).await;
    }
}

struct Gone<'a> {
    hub: &'a Hub,
    peer: &'a Arc<Peer>,
}

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        self.hub.disconnect(self.peer);
    }
}

async fn serve(hub: &Hub, peer: &Arc<Peer>, handshake: Duration, permit: OwnedSemaphorePermit) -> Ending {
    let mut session = Session::new(hub.limits());
    let mut permit = Some(permit);
    let deadline = Instant::now() + handshake;
    // The peer has shut its side down, after it had ended the session.
    let mut finished = false;
    loop {
        hub.pump(vec![peer.clone()]);
        if hub.is_stopped() || peer.has_failed() {
            told!(hub, peer, info, "disconnected");
            return Ending::Gone;
        }
        if let Some(closing) = peer.closing() {
            return close(hub, peer, closing);
        }
        let reads = !finished && !peer.is_paused() && !hub.is_draining();
        // A reset is to be noticed also where nothing is to be read or written.
        let mut interest = Interest::ERROR;
        if reads {
            interest |= Interest::READABLE;
        }
        if peer.is_blocked() {
            interest |= Interest::WRITABLE;
        }
        let ready = tokio::select! {
            ready = peer.socket().ready(interest) => ready,
            () = peer.woken() => continue,
            () = tokio::time::sleep_until(deadline), if permit.is_some() => {
                let seconds = handshake.as_secs_f32();
                told!(hub, peer, warn, "closed: no whole first frame within {seconds} s (limit: handshake)");
                return Ending::Rest;
            }
        };
        if ready.as_ref().is_ok_and(|ready| ready.is_writable()) && peer.owes_sign() {
            hub.apply(peer.id(), &mut vec![Command::Credit { bytes: 0 }]);
        }
        match ready {
            Ok(ready) if reads && (ready.is_readable() || ready.is_read_closed()) => {}
            Ok(ready) if ready.is_error() => {
                let error = peer.socket().take_error().ok().flatten();
                return failed(hub, peer, &error.unwrap_or_else(|| ErrorKind::ConnectionReset.into()));
            }
            Ok(_) => continue,
            Err(error) => return failed(hub, peer, &error),
        }
        match read(hub, peer, &mut session) {
            Read::Nothing | Read::Some => {}
            Read::End => {
                if !session.is_ended() {
                    let mut commands = Vec::new();
                    session.shut_down(&mut commands);
                    hub.apply(peer.id(), &mut commands);
                }
                if !session.is_ended() {
                    match session.missing() {
                        0 => told!(hub, peer, info, "disconnected"),
                        missing => told!(
                            hub,
                            peer,
                            warn,
                            "disconnected in the middle of a frame: at least {missing} bytes are missing"
                        ),
                    }
                    return Ending::Gone;
                }
                finished = true;
            }
            Read::Failed(error) => return failed(hub, peer, &error),
            Read::Wrong(error) => {
                told!(hub, peer, warn, "closed: {error}");
                return Ending::Rest;
            }
        }
        if session.is_begun() {
            permit = None;
        }
    }
}

fn failed(hub: &Hub, peer: &Peer, error: &io::Error) -> Ending {
    told!(hub, peer, info, "disconnected: {error}");
    Ending::Gone
}

fn close(hub: &Hub, peer: &Peer, closing: Closing) -> Ending {
    match closing {
        Closing::Broker(reason @ (CloseReason::Finished | CloseReason::Drained)) => {
            told!(hub, peer, info, "disconnected: {reason}");
            Ending::Rest
        }
        Closing::Broker(reason @ CloseReason::Slow) => {
            told!(hub, peer, warn, "closed: {reason}");
            Ending::NoRest
        }
        Closing::Refused(refusal) => {
            told!(hub, peer, warn, "closed: {refusal}");
            Ending::Rest
        }
        Closing::Kicked => {
            told!(hub, peer, warn, "closed: asked for over HTTP");
            Ending::NoRest
        }
    }
}

/// So that a few connections' reads do not use up a small budget before anybody notices.
fn read_size(memory: usize) -> usize {
    (memory / 64).clamp(READ_PRESSED, READ)
}

/// One read, and everything that comes of it.
fn read(hub: &Hub, peer: &Arc<Peer>, session: &mut Session) -> Read {
    SCRATCH.with_borrow_mut(|Scratch { buffer, commands }| {
        let size = if hub.memory_pressed() { READ_PRESSED } else { read_size(hub.limits().memory) };
        let spare = session.spare();
        let direct = spare.len();
        let result =
            peer.socket().try_read_vectored(&mut [IoSliceMut::new(spare), IoSliceMut::new(&mut buffer[..size])]);
        let bytes = match result {
            Ok(0) => return Read::End,
            Ok(bytes) => bytes,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Read::Nothing;
            }
            Err(error) => return Read::Failed(error),
        };
        session.filled(bytes.min(direct));
        let parsed = session.received(&buffer[..bytes.saturating_sub(direct)], commands);
        if let Some(Command::Subscribe { pattern, .. }) = commands.first() {
            told!(hub, peer, info, "connected, listens to {}", pattern.escape_ascii());
        }
        if !commands.is_empty() {
            hub.apply(peer.id(), commands);
        }
        match parsed {
            Ok(()) => Read::Some,
            Err(error) => Read::Wrong(error),
        }
    })
}

async fn flush_rest(hub: &Hub, peer: &Arc<Peer>) {
    loop {
        hub.pump(vec![peer.clone()]);
        if peer.has_failed() || hub.is_stopped() || peer.is_flushed() {
            return;
        }
        tokio::select! {
            ready = peer.socket().ready(Interest::WRITABLE), if peer.is_blocked() => {
                if ready.is_err() {
                    return;
                }
            }
            () = peer.woken() => {}
        }
    }
}

/// Half-closes, and reads to the end: closing a socket with unread bytes in it would make the
/// kernel reset the connection, and the peer lose what it has not read.
async fn linger(peer: &Peer) {
    if peer.socket().shut_down_writing().is_err() {
        return;
    }
    loop {
        if peer.socket().ready(Interest::READABLE).await.is_err() {
            return;
        }
        let read = SCRATCH.with_borrow_mut(|scratch| peer.socket().try_read(&mut scratch.buffer));
        match read {
            Ok(0) => return,
            Err(error) if error.kind() != ErrorKind::WouldBlock => return,
            Ok(_) | Err(_) => {}
        }
    }
}
