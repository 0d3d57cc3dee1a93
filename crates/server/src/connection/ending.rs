//! End of a connection.

use super::waiting::LATER;
use super::{Context, Gone, Missing, SCRATCH, log};
use crate::dirty::Dirty;
use crate::handle::{CloseMode, ConnectionHandle};
use crate::hub::Hub;
use crate::native::NativeError;
use crate::slice::Slice;
use crate::stomp::{Entry, GOING_AWAY, NORMAL, Signal, StompError};
use std::io::{self, ErrorKind, IoSlice};
use std::sync::Arc;
use std::time::Duration;
use switchboard_broker::{CloseReason, Refusal};
use switchboard_wire::native::ForeignProtocol;
use tokio::io::Interest;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, timeout_at};

/// Time limit for a closing connection's last bytes, in each direction.
const LINGER: Duration = Duration::from_secs(2);

/// Treatment of a connection that ends.
pub(super) enum Ending {
    /// The peer is gone, or was never there: nothing is written.
    Gone,
    /// Pending output is written if that is quick, then the peer gets time to read it.
    Rest,
    /// The peer seems to be gone, and is told why if it takes that.
    Error,
    /// The same as `Rest`, for a peer that gets nothing more.
    NoRest,
    /// The same, for a queue's consumer that has shut its side down: it keeps what its machine takes in time.
    Taken,
    /// Nothing is written to a peer that is one too many, which should hear an end and no reset.
    Refused,
}

impl Ending {
    /// Whether what the peer has sent already is not even carried out.
    pub(super) fn is_abrupt(mode: &CloseMode) -> bool {
        match mode {
            CloseMode::Broker(reason) => {
                matches!(reason, CloseReason::Slow | CloseReason::Unfinished | CloseReason::Departed)
            }
            CloseMode::Refused(..) | CloseMode::Kicked | CloseMode::Evicted | CloseMode::Vanished => true,
        }
    }

    /// The server wants it.
    pub(super) fn asked_for(hub: &Hub, handle: &ConnectionHandle, mode: &CloseMode) -> Ending {
        match mode {
            CloseMode::Broker(reason @ (CloseReason::Finished | CloseReason::Drained)) => {
                log!(hub, handle, Coming, debug, "disconnected: {reason}");
                Ending::Rest
            }
            CloseMode::Broker(reason @ (CloseReason::Slow | CloseReason::Unfinished)) => {
                log!(hub, handle, Slow, warn, "closed: {reason}");
                Ending::told(handle, reason.to_string(), Ending::NoRest)
            }
            CloseMode::Broker(reason @ CloseReason::Departed) => {
                let unread = handle.socket().unread().map_or(0, |unread| unread.bytes);
                log!(
                    hub,
                    handle,
                    Limit,
                    warn,
                    "closed: {reason}; they are dropped, and {unread} unread bytes with them"
                );
                Ending::told(handle, reason.to_string(), Ending::Gone)
            }
            CloseMode::Refused(refusal, channel) => {
                match channel {
                    Some(channel) => log!(hub, handle, Limit, warn, "closed: {}: {refusal}", channel.escape_ascii()),
                    None => log!(hub, handle, Limit, warn, "closed: {refusal}"),
                }
                if matches!(refusal, Refusal::Connections { .. }) { Ending::Refused } else { Ending::Rest }
            }
            CloseMode::Kicked => {
                let reason = "asked for over HTTP";
                log!(hub, handle, Limit, warn, "closed: {reason}");
                Ending::told(handle, reason.to_owned(), Ending::NoRest)
            }
            CloseMode::Evicted => {
                log!(
                    hub,
                    handle,
                    Handshake,
                    warn,
                    "closed: a newer connection took the place of its unfinished handshake (limits: handshakes, handshakes-per-address)"
                );
                Ending::Gone
            }
            CloseMode::Vanished => {
                let seconds = hub.limits().write_timeout.as_secs_f32();
                log!(
                    hub,
                    handle,
                    Slow,
                    warn,
                    "closed: the peer's machine has not answered for {seconds} s (limit: write-timeout)"
                );
                Ending::Gone
            }
        }
    }

    /// The socket does not work any more.
    pub(super) fn failed(hub: &Hub, handle: &ConnectionHandle, error: &io::Error) -> Ending {
        log!(hub, handle, Coming, debug, "disconnected: {error}");
        Ending::Gone
    }

    /// The peer has shut its side down.
    pub(super) fn left(hub: &Hub, handle: &ConnectionHandle, missing: Missing) -> Ending {
        if missing == Missing::Nothing {
            log!(hub, handle, Coming, debug, "disconnected");
        } else {
            log!(hub, handle, Protocol, warn, "disconnected in the middle of a frame, {missing}");
        }
        if handle.consumes() { Ending::Taken } else { Ending::Gone }
    }

    /// A time limit is over.
    pub(super) fn late(context: &Context, handle: &ConnectionHandle, is_new: bool, missing: Missing) -> Ending {
        let hub = &context.hub;
        let reason;
        if is_new {
            let seconds = context.handshake.as_secs_f32();
            reason = format!("no whole first frame within {seconds} s (limit: handshake)");
            log!(hub, handle, Handshake, warn, "closed: {reason}");
        } else {
            let seconds = context.read_timeout.as_secs_f32();
            reason = format!("no byte came for {seconds} s of a frame that was begun, {missing} (limit: read-timeout)");
            log!(hub, handle, Protocol, warn, "closed: {reason}");
        }
        Ending::told(handle, reason, Ending::Gone)
    }

    /// Tells the peer why, where the protocol has a word for it.
    fn told(handle: &ConnectionHandle, reason: String, otherwise: Ending) -> Ending {
        if handle.stomp().is_none() {
            return otherwise;
        }
        handle.incoming_stomp(Entry::Error(StompError::new(reason)));
        if matches!(otherwise, Ending::Gone) { Ending::Error } else { Ending::Rest }
    }

    /// The peer broke the protocol.
    pub(super) fn wrong(context: &Context, handle: &ConnectionHandle, error: NativeError) -> Ending {
        let hub = &context.hub;
        let is_http = matches!(error, NativeError::OtherProtocol { protocol: ForeignProtocol::Http });
        let address = context.http.as_ref().filter(|_| is_http);
        let place = address.map_or_else(String::new, |address| format!("; HTTP is at {address}"));
        log!(hub, handle, Protocol, warn, "closed: {error}{place}");
        if is_http && handle.is_untouched() {
            // It goes into an empty send buffer, or nowhere.
            let _ = handle.socket().try_write_vectored(&[IoSlice::new(answer(address).as_bytes())]);
        }
        Ending::Rest
    }

    /// The same in STOMP, which has a word for it.
    pub(super) fn wrong_stomp(hub: &Hub, handle: &ConnectionHandle, error: StompError) -> Ending {
        match error.foreign {
            Some(protocol) => {
                log!(hub, handle, Protocol, warn, "closed: {}", NativeError::OtherProtocol { protocol });
            }
            None => {
                log!(hub, handle, Protocol, warn, "closed: STOMP: {}", error.message);
                let close = error.close;
                handle.incoming_stomp(Entry::Error(error));
                if let Some(status) = close {
                    handle.incoming_stomp(Entry::WebSocket(Signal::Close(status)));
                }
            }
        }
        Ending::Rest
    }

    /// Nothing came for two of the intervals that were agreed on.
    pub(super) fn silent(hub: &Hub, handle: &ConnectionHandle, silence: Duration) -> Ending {
        let millis = silence.as_millis();
        let reason =
            format!("nothing came for {millis} ms, which are two of the heart-beats that CONNECT has announced");
        log!(hub, handle, Slow, warn, "closed: {reason}");
        Ending::told(handle, reason, Ending::Gone)
    }

    pub(super) async fn carry_out(self, context: &Context, handle: &Arc<ConnectionHandle>, gone: Gone<'_>) {
        let hub = &*context.hub;
        let writes = matches!(self, Ending::Rest | Ending::Error);
        if writes && handle.is_web_socket() {
            let status = if hub.is_draining() { GOING_AWAY } else { NORMAL };
            handle.incoming_stomp(Entry::WebSocket(Signal::Close(status)));
        }
        // No ack is read any more, and an ERROR may wait for room.
        let is_disconnected = writes && handle.stomp().is_some() && hub.disconnect_before_error(handle);
        let waits = match self {
            Ending::Rest => true,
            Ending::Error => is_disconnected,
            Ending::NoRest => handle.consumes() && stop_writing(handle).is_ok(),
            Ending::Taken => stop_writing(handle).is_ok(),
            Ending::Gone | Ending::Refused => false,
        };
        if waits {
            let _ = timeout_at(Instant::now() + LINGER, until_taken(hub, handle, writes)).await;
        }
        if !is_disconnected && handle.consumes() && handle.sample().is_some() && handle.unacknowledged() > 0 {
            // Messages for others must not be sent by the kernel, too. Data at the peer's machine stays readable.
            let _ = handle.socket().drop_unsent_at_close();
            return;
        }
        // Queues get back at once what was not written, whatever the peer does in its last seconds.
        drop(gone);
        // Each holds a file.
        let permit = match self {
            Ending::Gone | Ending::Taken => return,
            Ending::Error if !is_disconnected => return,
            Ending::Refused => match context.refused.try_acquire() {
                Ok(permit) => Some(permit),
                Err(_) => return,
            },
            Ending::Rest | Ending::Error | Ending::NoRest => None,
        };
        if !hub.is_stopped() {
            let _ = timeout_at(Instant::now() + LINGER, linger(handle)).await;
        }
        drop(permit);
    }
}

/// Answer to a browser that opened a port for the native protocol and STOMP.
fn answer(address: Option<&String>) -> String {
    let place = address.map_or_else(String::new, |address| format!(" HTTP is at {address}"));
    let body = format!("This port speaks Switchboard's native protocol and STOMP.{place}\n");
    format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Waits until the machine of a queue's consumer has what was written: otherwise the last messages went to another
/// consumer, too. Writes what waits before, if it `writes`.
async fn until_taken(hub: &Hub, handle: &Arc<ConnectionHandle>, writes: bool) {
    let mut gap = Duration::from_millis(1);
    loop {
        let mut dirty = Dirty::default();
        if writes {
            dirty.push(handle);
        }
        while !hub.pump(&mut dirty, &Slice::begin()) {
            yield_now().await;
        }
        if handle.has_failed() || hub.is_stopped() {
            return;
        }
        let is_flushed = !writes || handle.is_flushed();
        if is_flushed && (!handle.consumes() || handle.sample().is_none() || handle.unacknowledged() == 0) {
            return;
        }
        let is_blocked = !is_flushed && handle.is_blocked();
        let interest = if is_blocked { Interest::WRITABLE } else { Interest::ERROR };
        tokio::select! {
            ready = handle.socket().ready(interest) => {
                // An error means that the peer is gone.
                if ready.is_err() || !is_blocked {
                    return;
                }
            }
            () = sleep(gap), if is_flushed => gap = (gap * 2).min(LATER),
            () = handle.woken() => {}
        }
    }
}

/// Half-closes. A message that was begun is not finished, and goes to others.
fn stop_writing(handle: &ConnectionHandle) -> io::Result<()> {
    handle.close_writer();
    handle.socket().shut_down_writing()
}

/// Half-closes, and reads to the end: closing a socket with unread bytes in it would make the
/// kernel reset the connection, and the peer lose what it has not read.
async fn linger(handle: &ConnectionHandle) {
    if handle.socket().shut_down_writing().is_err() {
        return;
    }
    loop {
        if handle.socket().ready(Interest::READABLE).await.is_err() {
            return;
        }
        let read = SCRATCH.with_borrow_mut(|scratch| handle.socket().try_read(&mut scratch.buffer));
        match read {
            Ok(0) => return,
            Err(error) if error.kind() != ErrorKind::WouldBlock => return,
            // A peer that sends for ever is not waited for at others' cost.
            Ok(_) | Err(_) => yield_now().await,
        }
    }
}
