//! The task of a subscription: a connection of its own.

use super::dial::Open;
use super::dial::{Reader, Writer};
use super::outgoing::Outgoing;
use super::session::Session;
use super::shared::Shared;
use crate::completion::Completer;
use crate::core::Effect;
use crate::inbox::{Inbox, Taker, Unread};
use crate::options::MAX_CHANNEL;
use crate::stomp::{Acks, Subscribing};
use crate::{Doubt, Error, Event, Link, Options, Reason, Subscription, protocol};
use bytes::BytesMut;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use switchboard_driver::{Backoff, Deadline};
use tokio::io::AsyncReadExt;
use tokio::time::{sleep, sleep_until, timeout};

/// The size of a read follows the last reads, between these bounds.
const SMALL: usize = 4 << 10;
const LARGE: usize = 64 << 10;
/// When nothing is due.
const LONG: Duration = Duration::from_secs(3600);

/// A call of `subscribe`.
pub(crate) struct SubscribeRequest {
    pub(crate) subscribing: Arc<Subscribing>,
    pub(crate) acks: Arc<Acks>,
    pub(crate) inbox: Arc<Inbox>,
    /// Until the subscription is in force for the first time.
    pub(crate) first: Option<(Completer<Subscription>, Subscription)>,
    /// A message has come over the connection.
    pub(crate) has_received: bool,
}

enum Ending {
    /// The subscription has ended: it was dropped or drained, or the client was closed.
    Finished,
    Disconnected(Reason),
    /// The connection ended before the subscription was in force.
    Refused(Reason),
}

/// Receives until the subscription ends; connects again as often as it has to.
pub(crate) async fn run(shared: Arc<Shared>, mut request: SubscribeRequest) {
    let inbox = request.inbox.clone();
    let _ended = Ended(&inbox);
    let options = &shared.options;
    let link = Link::Subscription(request.subscribing.destination.clone());
    let mut backoff = Backoff::new(options.backoff_min, options.backoff_max);
    let deadline = Deadline::after(Instant::now(), options.timeout);
    loop {
        let dialled = tokio::select! {
            dialled = shared.dial.open_for_subscription() => dialled,
            () = given_up(&shared, &request, deadline) => return late(&shared, request),
        };
        let began = Instant::now();
        let failure = match dialled {
            Ok(open) => match follow(&shared, &mut request, open, deadline).await {
                Ok(Ending::Finished) => return,
                Err(()) => return late(&shared, request),
                Ok(Ending::Disconnected(reason)) => {
                    // A broker that answers and then closes each connection is not to be asked ten times a second.
                    if std::mem::take(&mut request.has_received) || began.elapsed() >= options.backoff_max {
                        backoff.reset();
                    }
                    shared.emit(&Event::Disconnected { link: link.clone(), reason, in_doubt: Doubt::default() });
                    if !options.reconnect {
                        return;
                    }
                    None
                }
                // The next pause is longer: a broker that refuses is not to be asked ten times a second.
                Ok(Ending::Refused(reason)) => {
                    if let Some(error) = cannot_heal(options, &request.subscribing.destination, &reason)
                        && let Some((completer, _)) = request.first.take()
                    {
                        return completer.complete(Err(error));
                    }
                    Some(format!("the subscription was refused: {reason}"))
                }
            },
            Err(error) => Some(error.to_string()),
        };
        let after = backoff.pause(fastrand::f64());
        shared.emit(&Event::Reconnecting { link: link.clone(), after, failure });
        tokio::select! {
            () = sleep(after) => {}
            () = given_up(&shared, &request, deadline) => return late(&shared, request),
        }
    }
}

/// Why it is of no use to try again.
fn cannot_heal(options: &Options, pattern: &[u8], reason: &Reason) -> Option<Error> {
    if *reason == Reason::Closed && pattern.len() > MAX_CHANNEL {
        return Some(Error::ChannelName { length: pattern.len(), limit: MAX_CHANNEL });
    }
    let has_said_why = matches!(reason, Reason::Error(_));
    (!options.reconnect || has_said_why).then(|| Error::Refused { reason: reason.clone() })
}

/// Ends the inbox also when the runtime is shut down.
struct Ended<'a>(&'a Inbox);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Ready when there is no reason to connect any more.
async fn given_up(shared: &Shared, request: &SubscribeRequest, deadline: Deadline) {
    let mut closed = shared.closed.subscribe();
    let stopped = async {
        while request.inbox.taker() == Taker::Listening {
            request.inbox.changed().await;
        }
    };
    tokio::select! {
        () = stopped => {}
        _ = closed.wait_for(|closed| *closed) => {}
        () = deadline.wait(), if request.first.is_some() => {}
    }
}

fn late(shared: &Shared, request: SubscribeRequest) {
    if let Some((completer, _)) = request.first
        && !*shared.closed.borrow()
    {
        completer.complete(Err(Error::TimedOut {
            what: "subscribe",
            after: shared.options.timeout,
            option: "timeout",
        }));
    }
}

/// One connection, to its end; an error if it took too long until the subscription was in force.
async fn follow(shared: &Shared, request: &mut SubscribeRequest, open: Open, deadline: Deadline) -> Result<Ending, ()> {
    let options = &shared.options;
    let mut outgoing = Outgoing::new();
    let mut core = Session::begin(shared, request, &open, &mut outgoing);
    let Open { mut reader, mut writer, .. } = open;
    let mut closed = shared.closed.subscribe();
    let mut closing = false;
    let mut confirmed = false;
    let mut alarm = pin!(sleep_until(ring(core.timeout())));
    let (mut input, mut chunks) = (BytesMut::new(), Vec::new());
    let (mut size, mut need) = (SMALL, 0);
    // No server may keep a subscription from ending: without a message for so long it is over.
    let mut late = Deadline::NEVER;
    loop {
        let full = request.inbox.is_full();
        if full && closing {
            // The program has not taken what is here; the server is not silent.
            late = Deadline::after(Instant::now(), options.timeout);
        }
        match request.inbox.taker() {
            Taker::Left => {
                leave(shared, request, core, (reader, writer, outgoing, input)).await;
                return Ok(Ending::Finished);
            }
            Taker::Draining if !closing => {
                late = late.earlier(Deadline::after(Instant::now(), options.timeout));
                if !core.must_settle(request) || late.has_passed(Instant::now()) {
                    closing = true;
                    core.drain(&mut outgoing);
                    late = Deadline::after(Instant::now(), options.timeout);
                }
            }
            Taker::Listening if !closing && *closed.borrow() => {
                // Messages in flight are still received.
                closing = true;
                core.end(&mut outgoing);
                late = Deadline::after(Instant::now(), options.timeout);
            }
            Taker::Draining | Taker::Listening => {}
        }
        core.write(&mut outgoing);
        let due = ring(core.timeout());
        if alarm.is_elapsed() || due < alarm.deadline() {
            alarm.as_mut().reset(due);
        }
        // A small rest is not worth a read.
        if input.capacity() - input.len() < size / 4 || input.capacity() < need {
            input.reserve(size.max(need.saturating_sub(input.len())));
        }
        tokio::select! {
            // Writing never keeps reading waiting, nor the other way round: the broker may do the one only
            // after the other. Reading comes before the alarm: what has arrived was no silence.
            biased;
            written = outgoing.write(&mut writer), if outgoing.is_due() => {
                if let Err(error) = written {
                    return ended(confirmed, error.to_string().into());
                }
            }
            read = reader.read_buf(&mut input), if !full => {
                match read {
                    Ok(0) if closing => return Ok(Ending::Finished),
                    Ok(0) if input.is_empty() => return ended(confirmed, Reason::Closed),
                    Ok(0) => return ended(confirmed, "the connection ended within a message".to_owned().into()),
                    Ok(bytes) => size = (bytes * 2).clamp(size / 2, LARGE).max(SMALL),
                    Err(_) if closing => return Ok(Ending::Finished),
                    Err(error) => return ended(confirmed, error.to_string().into()),
                }
                let result = core.received(&mut input, &mut chunks, Instant::now());
                for message in core.take_reported() {
                    let link = Link::Subscription(request.subscribing.destination.clone());
                    shared.emit(&Event::ServerError { link, message });
                }
                if closing && !chunks.is_empty() {
                    late = Deadline::after(Instant::now(), options.timeout);
                }
                request.has_received |= !chunks.is_empty();
                request.inbox.put(chunks.drain(..));
                // Before the inbox counts as full: only the holder of the subscription can empty it.
                if !confirmed && core.is_confirmed() {
                    confirmed = true;
                    shared.emit(&Event::Connected(Link::Subscription(request.subscribing.destination.clone())));
                    if let Some((completer, subscription)) = request.first.take() {
                        completer.complete(Ok(subscription));
                    }
                }
                match result {
                    Ok(bytes) => need = bytes,
                    Err(_) if closing => return Ok(Ending::Finished),
                    Err(reason) => return ended(confirmed, reason),
                }
                if core.is_done() {
                    return Ok(Ending::Finished);
                }
            }
            () = request.acks.changed.notified() => {}
            () = late.wait(), if closing && !full => return Ok(Ending::Finished),
            () = late.wait(), if !closing && request.inbox.taker() == Taker::Draining => {}
            () = request.inbox.changed() => {
                core.resumed(Instant::now());
                if closing {
                    late = Deadline::after(Instant::now(), options.timeout);
                }
            }
            _ = closed.changed(), if !closing => {}
            () = deadline.wait(), if request.first.is_some() => return Err(()),
            () = alarm.as_mut(), if !alarm.is_elapsed() => {
                let now = Instant::now();
                if full {
                    core.resumed(now);
                }
                match core.handle_timeout(now, outgoing.is_due()) {
                    Effect::Nothing => {}
                    Effect::Check(_) if closing => {}
                    Effect::Check(check) => outgoing.push(|bytes| bytes.extend_from_slice(&check)),
                    Effect::Disconnect if closing => return Ok(Ending::Finished),
                    Effect::Disconnect => {
                        let seconds = options.heartbeat.as_secs_f32();
                        return ended(confirmed, format!("no answer for {seconds} s (option heartbeat)").into());
                    }
                }
            }
        }
    }
}

/// When to look at the time again; too early does no harm.
fn ring(deadline: Deadline) -> tokio::time::Instant {
    deadline.instant().unwrap_or_else(|| Instant::now() + LONG).into()
}

fn ended(confirmed: bool, reason: Reason) -> Result<Ending, ()> {
    Ok(if confirmed { Ending::Disconnected(reason) } else { Ending::Refused(reason) })
}

/// The subscription was dropped. The broker is told by a half-close: of a queue's messages it keeps those that it
/// has not sent yet, for other consumers. Those that it has sent are counted.
async fn leave(
    shared: &Shared,
    request: &SubscribeRequest,
    mut core: Session,
    (mut reader, mut writer, mut outgoing, mut input): (Reader, Writer, Outgoing, BytesMut),
) {
    let pattern = &request.subscribing.destination;
    let mut unread = request.inbox.unread();
    core.drain(&mut outgoing);
    let leaving = async {
        let mut chunks = Vec::new();
        while !core.is_done() {
            core.write(&mut outgoing);
            input.reserve(LARGE);
            tokio::select! {
                written = outgoing.write(&mut writer), if outgoing.is_due() => {
                    if written.is_err() {
                        return;
                    }
                }
                read = reader.read_buf(&mut input) => {
                    if !matches!(read, Ok(1..)) {
                        return;
                    }
                    let received = core.received(&mut input, &mut chunks, Instant::now());
                    chunks.drain(..).for_each(|chunk| unread.add(&chunk));
                    if received.is_err() {
                        return;
                    }
                }
            }
        }
    };
    let _ = timeout(shared.options.connect_timeout, leaving).await;
    if unread.messages > 0 && core.discards() && protocol::is_queue(pattern) {
        let Unread { messages, bytes } = unread;
        shared.emit(&Event::Discarded { pattern: pattern.clone(), messages, bytes });
    }
}
