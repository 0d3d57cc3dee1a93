//! One connection, in whichever protocol: its own task.

mod ending;
mod missing;
mod read_size;
mod speaker;
#[cfg(test)]
mod tests;
mod waiting;
mod web_socket;

use crate::dirty::Dirty;
use crate::handle::ConnectionHandle;
use crate::hub::Hub;
use crate::slice::Slice;
use crate::stomp::Entry;
use ending::Ending;
use missing::Missing;
use read_size::{READ_MAX, READ_MIN};
use speaker::{Speaker, Wrong};
use std::cell::RefCell;
use std::io::{self, ErrorKind, IoSliceMut};
use std::sync::Arc;
use std::time::Duration;
use switchboard_broker::Command;
use tokio::io::Ready;
use tokio::sync::Semaphore;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};
use waiting::reserve_nothing;
use web_socket::WebSocket;

/// Commands that are made of a read at a time. The rest of its bytes waits.
const COMMANDS: usize = 256;

thread_local! {
    /// Buffers of a read are borrowed, never across an await: an idle connection owns none.
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch { buffer: vec![0; READ_MAX], commands: Vec::new() });
}

struct Scratch {
    buffer: Vec<u8>,
    commands: Vec<Command>,
}

/// One line about a connection, unless there were too many of its kind this second.
macro_rules! log {
    ($hub:expr, $handle:expr, $kind:ident, $level:ident, $($line:tt)+) => {
        if $crate::log::allows!($hub.log_quota(), $kind, $level) {
            tracing::$level!(connection = $handle.id().0, peer = %$handle.origin(), $($line)+);
        }
    };
}
use log;

/// State shared by all connections.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) hub: Arc<Hub>,
    /// Time limit for the first frame.
    pub(crate) handshake: Duration,
    /// Time limit without progress for a frame that was begun; 0 for none.
    pub(crate) read_timeout: Duration,
    /// Send buffer of a queue's consumer, in bytes; 0 for the system's.
    pub(crate) send_buffer: usize,
    /// The place of HTTP, in words, for those who speak it here.
    pub(crate) http: Option<String>,
    /// Connections over the limit that may wait for their peer to hear it.
    pub(crate) refused: Semaphore,
}

/// Enough for a few at a time that come by mistake, and too few for a flood to use up the files.
pub(crate) const REFUSED: usize = 16;

/// Serves a connection until it has ended. `begun` is dropped as soon as the first frame is there.
pub(crate) async fn run<T>(context: Arc<Context>, handle: Arc<ConnectionHandle>, begun: T) {
    let hub = &context.hub;
    hub.connect(&handle);
    // Also when this task is dropped or panics, the broker has to know.
    let gone = Gone { hub, handle: &handle };
    let ending = Connection::new(&context, &handle).serve(begun).await;
    ending.carry_out(&context, &handle, gone).await;
}

/// Disconnects when it is dropped.
struct Gone<'a> {
    hub: &'a Hub,
    handle: &'a Arc<ConnectionHandle>,
}

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        self.hub.disconnect(self.handle);
    }
}

/// Result of a read.
enum Read {
    Nothing,
    Some,
    End,
    Failed(io::Error),
}

struct Connection<'a> {
    context: &'a Context,
    hub: &'a Hub,
    handle: &'a Arc<ConnectionHandle>,
    session: Speaker,
    web_socket: Option<Box<WebSocket>>,
    /// Commands that the last turn left.
    commands: Vec<Command>,
    dirty: Dirty,
    /// The peer broke the protocol; what it had asked for before is still carried out.
    wrong: Option<Wrong>,
    /// Bytes of the next read.
    read_size: usize,
    /// Time worked since others had their turn.
    spent: Duration,
    /// When a byte of the frame that was begun came last, or reading was taken up again.
    progress: Option<Instant>,
    /// Whether it was read when the time of `progress` was looked at last.
    was_read: bool,
    /// Whether the kernel is asked for a queue's consumer what was acknowledged.
    is_consumer: bool,
    /// Persistent messages that are counted. At the first it is logged that nothing is stored.
    persistent: u64,
    /// The peer was seen to have shut its side down while it was not read.
    has_departed: bool,
    /// When to ask the kernel again what was acknowledged, and how long to wait after that.
    asks: Option<(Instant, Duration)>,
}

impl<'a> Connection<'a> {
    fn new(context: &'a Context, handle: &'a Arc<ConnectionHandle>) -> Connection<'a> {
        let hub = &*context.hub;
        Connection {
            context,
            hub,
            handle,
            session: Speaker::new(handle, hub),
            web_socket: handle.is_web_socket().then(Box::default),
            commands: Vec::new(),
            dirty: Dirty::default(),
            wrong: None,
            read_size: READ_MAX,
            spent: Duration::ZERO,
            progress: None,
            was_read: true,
            is_consumer: false,
            persistent: 0,
            has_departed: false,
            asks: None,
        }
    }

    /// By reference: the task of an idle connection would have room for it twice.
    async fn serve<T>(&mut self, begun: T) -> Ending {
        let &mut Connection { context, hub, handle, .. } = self;
        let mut begun = Some(begun);
        let handshake_ends = Instant::now() + context.handshake;
        // The peer has shut its side down, after it had ended the session.
        let mut finished = false;
        self.take_first();
        if self.session.is_begun() {
            begun = None;
        }
        loop {
            let more = self.work();
            if hub.is_stopped() || handle.has_failed() {
                log!(hub, handle, Coming, debug, "disconnected");
                return Ending::Gone;
            }
            if let Some(mode) = handle.closing().filter(|mode| !more || Ending::is_abrupt(mode)) {
                return self.end_as(&mode);
            }
            if more || Slice::after(self.spent).is_over() {
                yield_now().await;
                self.spent = Duration::ZERO;
                if more {
                    continue;
                }
            }
            match self.wrong.take().or_else(|| self.take_broken()) {
                None => {}
                Some(Wrong::Native(error)) => return Ending::wrong(context, handle, error),
                Some(Wrong::Stomp(error)) => return Ending::wrong_stomp(hub, handle, error),
            }
            if self.is_closed_by_peer() && !finished {
                if !self.end_session() {
                    return Ending::left(hub, handle, self.session.lacks());
                }
                finished = true;
                continue;
            }
            let reads = !finished && self.reads();
            let ends = if begun.is_some() {
                Some(handshake_ends)
            } else {
                self.progress_ends(reads, !finished && !hub.is_draining())
            };
            let asks = self.asks();
            let Ok(beats) = self.beats(reads) else { return self.silent() };
            if !self.dirty.is_empty() {
                continue;
            }
            let timer = [ends, asks, beats].into_iter().flatten().min();
            let ready = tokio::select! {
                ready = handle.socket().ready(self.interest(reads)) => ready,
                () = handle.woken() => continue,
                () = sleep_until(timer.unwrap_or(handshake_ends)), if timer.is_some() => Ok(Ready::EMPTY),
            };
            let late = ends.is_some_and(|ends| ends <= Instant::now());
            if late && !reads && begun.is_none() {
                match self.handle.socket().unread() {
                    // The rest of the frame has not come: the peer is late, not us.
                    Some(unread) if unread.is_all && unread.bytes < self.session.missing() => {
                        return Ending::left(hub, handle, self.session.lacks().less(unread.bytes));
                    }
                    Some(unread) if unread.bytes == 0 => {
                        return Ending::late(context, handle, false, self.session.lacks());
                    }
                    _ => self.progress = None,
                }
                continue;
            }
            if ready.as_ref().is_ok_and(|ready| ready.is_writable()) && handle.owes_sign() {
                self.commands.push(Command::Credit { bytes: 0 });
            }
            self.note_departure(ready.as_ref().is_ok_and(|ready| !reads && !finished && ready.is_read_closed()));
            match ready {
                // Input that came in time counts, though no task had time to read it.
                Ok(ready) if reads && (late || ready.is_readable() || ready.is_read_closed()) => {}
                Ok(ready) if ready.is_error() => {
                    let error = handle.socket().take_error().ok().flatten();
                    return Ending::failed(hub, handle, &error.unwrap_or_else(|| ErrorKind::ConnectionReset.into()));
                }
                Ok(_) if late => return Ending::late(context, handle, begun.is_some(), self.session.lacks()),
                Ok(_) => continue,
                Err(error) => return Ending::failed(hub, handle, &error),
            }
            match self.read() {
                Read::Nothing if late => return Ending::late(context, handle, begun.is_some(), self.session.lacks()),
                Read::Nothing => {}
                Read::Some => {
                    self.progress = None;
                    if let Some(heartbeat) = self.session.stomp().and_then(|session| session.heartbeat()) {
                        heartbeat.heard(std::time::Instant::now());
                    }
                }
                Read::End => {
                    if !self.end_session() {
                        return Ending::left(hub, handle, self.session.lacks());
                    }
                    finished = true;
                }
                Read::Failed(error) => return Ending::failed(hub, handle, &error),
            }
            if self.session.is_begun() {
                begun = None;
            }
        }
    }

    /// The peer sends nothing more. Returns whether that ends its session in order.
    fn end_session(&mut self) -> bool {
        if !self.session.is_ended() {
            self.session.shut_down(&mut self.commands);
        }
        self.session.is_ended()
    }

    /// Works on what there is, for a slice at most. Returns whether more is left.
    fn work(&mut self) -> bool {
        let slice = Slice::after(self.spent);
        self.dirty.push(self.handle);
        let more = self.work_until(&slice);
        self.spent += slice.elapsed();
        more
    }

    fn work_until(&mut self, slice: &Slice) -> bool {
        loop {
            if !self.hub.pump(&mut self.dirty, slice) {
                return true;
            }
            if self.hub.is_stopped() || self.handle.has_failed() {
                return false;
            }
            if !self.commands.is_empty() {
                let id = self.handle.id();
                self.hub.apply(id, &mut self.commands, &mut self.dirty, slice);
            } else if self.session.has_backlog() && self.wrong.is_none() && self.resumes() {
                SCRATCH.with_borrow_mut(|Scratch { commands, .. }| {
                    let parsed = self.session.resume(COMMANDS, commands);
                    self.take(parsed, commands, slice);
                });
            } else {
                return false;
            }
            if slice.is_over() {
                return true;
            }
        }
    }

    /// One read, and what comes of it.
    fn read(&mut self) -> Read {
        let slice = Slice::after(self.spent);
        let read = SCRATCH.with_borrow_mut(|Scratch { buffer, commands }| {
            let size = self.read_size.min(self.read_limit());
            // A WebSocket's bytes are masked, and cannot be read to where they belong.
            let spare = if self.web_socket.is_some() { &mut [][..] } else { self.session.spare() };
            let direct = spare.len();
            let result = self
                .handle
                .socket()
                .try_read_vectored(&mut [IoSliceMut::new(spare), IoSliceMut::new(&mut buffer[..size])]);
            let bytes = match result {
                Ok(0) => return Read::End,
                Ok(bytes) => bytes,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                    return Read::Nothing;
                }
                Err(error) => return Read::Failed(error),
            };
            self.session.filled(bytes.min(direct));
            let input = &mut buffer[..bytes.saturating_sub(direct)];
            if self.web_socket.is_some() {
                self.take_web_socket(input, commands, &slice);
                return Read::Some;
            }
            let input = &*input;
            self.session.recognize(input, self.handle, self.hub);
            let parsed = self.session.received_up_to(input, COMMANDS, commands);
            if self.session.has_backlog() {
                // Less at a time costs nothing where each message is a command of its own.
                self.read_size = (self.read_size.min(self.read_limit()) / 2).max(READ_MIN);
            } else if input.len() == size {
                self.read_size = self.read_size.saturating_mul(2).min(READ_MAX);
            }
            self.take(parsed, commands, &slice);
            Read::Some
        });
        self.spent += slice.elapsed();
        read
    }

    /// Carries out what was parsed, as far as the slice reaches.
    fn take(&mut self, parsed: Result<(), Wrong>, commands: &mut Vec<Command>, slice: &Slice) {
        self.wrong = parsed.err();
        if let (Some(Command::Subscribe { pattern, .. }), Speaker::Native(_)) = (commands.first(), &self.session) {
            log!(self.hub, self.handle, Coming, debug, "connected, listens to {}", pattern.escape_ascii());
        }
        if !self.is_consumer && self.session.is_consumer() {
            self.consume();
        }
        if let Some(reply) = self.session.reply() {
            if let Entry::Connected(version, _) = &reply {
                log!(self.hub, self.handle, Coming, debug, "connected, speaks STOMP {version}");
                if self.session.stomp().is_some_and(|session| session.names_login()) {
                    log!(self.hub, self.handle, Coming, info, "login and passcode are accepted and not checked");
                }
            }
            self.handle.incoming_stomp(reply);
            self.dirty.push(self.handle);
        }
        let persistent = self.session.stomp().map_or(0, |session| session.persistent());
        if persistent > self.persistent {
            if self.persistent == 0 {
                log!(self.hub, self.handle, Coming, info, "persistent messages are kept in memory like all others");
            }
            self.hub.count_persistent(persistent - self.persistent);
            self.persistent = persistent;
        }
        if self.hub.is_draining() && self.session.stomp().is_some() {
            reserve_nothing(commands);
        }
        if !commands.is_empty() {
            self.hub.apply(self.handle.id(), commands, &mut self.dirty, slice);
        }
        if !commands.is_empty() {
            self.commands = std::mem::take(commands);
        }
    }

    /// The peer takes from a queue, without acks of its own. What the kernel has ahead of it is lost with it, unless the
    /// peer's machine takes it.
    fn consume(&mut self) {
        self.is_consumer = true;
        self.handle.set_window(self.hub.limits().initial_window());
        self.handle.set_consumes();
        let bytes = self.context.send_buffer;
        if bytes > 0
            && let Err(error) = self.handle.socket().set_send_buffer(bytes)
        {
            tracing::debug!(peer = %self.handle.origin(), "send buffer: {error}");
        }
    }
}
