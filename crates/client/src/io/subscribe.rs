//! The task of a subscription: a connection of its own.

use super::dial::{Reader, Writer, new_token};
use super::shared::Shared;
use crate::clock::later;
use crate::core::{Backoff, Beat, Subscriber};
use crate::mailbox::Mailbox;
use crate::reply::Promise;
use crate::{Doubt, Error, Event, Link, Reason, Subscription, protocol};
use bytes::{Bytes, BytesMut};
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, sleep_until, timeout};

/// What is read at a time: as much as the last reads have brought, between these.
const SMALL: usize = 4 << 10;
const LARGE: usize = 64 << 10;

/// What somebody has subscribed to.
pub(crate) struct Order {
    pub(crate) pattern: Bytes,
    pub(crate) inbox: Arc<Mailbox<Bytes>>,
    /// Until it is in force for the first time.
    pub(crate) first: Option<(Promise<Subscription>, Subscription)>,
}

enum Ending {
    /// Nobody listens any more, or the client was closed.
    Finished,
    Cut(Reason),
}

/// Receives until nobody listens any more; connects again as often as it has to.
pub(crate) async fn run(shared: Arc<Shared>, mut order: Order) {
    let inbox = order.inbox.clone();
    let _ended = Ended(&inbox);
    let options = &shared.options;
    let link = Link::Subscription(order.pattern.clone());
    let mut backoff = Backoff::new(options.backoff_min, options.backoff_max);
    let deadline = later(Instant::now(), options.timeout).into();
    loop {
        let dialled = tokio::select! {
            dialled = shared.dial.connect() => dialled,
            () = given_up(&shared, &order, deadline) => return late(&shared, order),
        };
        let failure = match dialled {
            Ok((reader, writer)) => match follow(&shared, &mut order, reader, writer, deadline).await {
                Ok(Ending::Finished) => return,
                Err(()) => return late(&shared, order),
                Ok(Ending::Cut(reason)) => {
                    backoff.reset();
                    shared.tell(&Event::Disconnected { link: link.clone(), reason, in_doubt: Doubt::default() });
                    // Until it was in force for the first time, `subscribe` goes on.
                    if !options.reconnect && order.first.is_none() {
                        return;
                    }
                    None
                }
            },
            Err(error) => Some(error.to_string()),
        };
        let after = backoff.pause(fastrand::f64());
        shared.tell(&Event::Reconnecting { link: link.clone(), after, failure });
        tokio::select! {
            () = sleep(after) => {}
            () = given_up(&shared, &order, deadline) => return late(&shared, order),
        }
    }
}

/// Those who listen see the end, also when the runtime is shut down.
struct Ended<'a>(&'a Mailbox<Bytes>);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Ready when there is no reason to connect any more.
async fn given_up(shared: &Shared, order: &Order, deadline: tokio::time::Instant) {
    let mut closed = shared.closed.subscribe();
    let left = async {
        while !order.inbox.has_left() {
            order.inbox.changed().await;
        }
    };
    tokio::select! {
        () = left => {}
        _ = closed.wait_for(|closed| *closed) => {}
        () = sleep_until(deadline), if order.first.is_some() => {}
    }
}

fn late(shared: &Shared, order: Order) {
    if let Some((promise, _)) = order.first
        && !*shared.closed.borrow()
    {
        promise.fulfil(Err(Error::TimedOut { what: "subscribe", after: shared.options.timeout, option: "timeout" }));
    }
}

/// One connection, to its end; an error if it took too long until the subscription was in force.
async fn follow(
    shared: &Shared,
    order: &mut Order,
    mut reader: Reader,
    mut writer: Writer,
    deadline: tokio::time::Instant,
) -> Result<Ending, ()> {
    let options = &shared.options;
    let (mut core, first) =
        Subscriber::new(&order.pattern, new_token(), options.heartbeat, options.max_frame, Instant::now());
    if let Err(error) = say(options.connect_timeout, &mut writer, &first).await {
        return broken(error);
    }
    let mut closed = shared.closed.subscribe();
    let mut closing = false;
    let mut confirmed = false;
    let mut alarm = pin!(sleep_until(core.timeout().into()));
    let (mut input, mut messages) = (BytesMut::new(), Vec::new());
    let (mut size, mut need) = (SMALL, 0);
    loop {
        let full = order.inbox.is_full();
        if order.inbox.has_left() || (*closed.borrow() && !closing) {
            let mut last = Vec::new();
            protocol::end(&mut last);
            // A peer that is gone does not mind.
            let _ = say(options.connect_timeout, &mut writer, &last).await;
            if order.inbox.has_left() {
                return Ok(Ending::Finished);
            }
            // What was on its way to us is still received.
            closing = true;
        }
        if alarm.is_elapsed() {
            alarm.as_mut().reset(core.timeout().into());
        }
        // A small rest is not worth a read.
        if input.capacity() - input.len() < size / 4 || input.capacity() < need {
            input.reserve(size.max(need.saturating_sub(input.len())));
        }
        tokio::select! {
            read = reader.read_buf(&mut input), if !full => {
                match read {
                    Ok(0) if closing => return Ok(Ending::Finished),
                    Ok(0) if input.is_empty() => return Ok(Ending::Cut(Reason::Closed)),
                    Ok(0) => return broken("the connection ended within a message"),
                    Ok(bytes) => size = (bytes * 2).clamp(size / 2, LARGE).max(SMALL),
                    Err(error) => return broken(error),
                }
                let result = core.received(&mut input, &mut messages, Instant::now());
                order.inbox.put(messages.drain(..).map(|bytes| (bytes.len(), bytes)));
                match result {
                    Ok(bytes) => need = bytes,
                    Err(error) => return broken(error),
                }
                if !confirmed && core.is_confirmed() {
                    confirmed = true;
                    shared.tell(&Event::Connected(Link::Subscription(order.pattern.clone())));
                    if let Some((promise, subscription)) = order.first.take() {
                        promise.fulfil(Ok(subscription));
                    }
                }
            }
            () = order.inbox.changed() => core.resumed(Instant::now()),
            _ = closed.changed(), if !closing => {}
            () = sleep_until(deadline), if order.first.is_some() => return Err(()),
            () = alarm.as_mut(), if !alarm.is_elapsed() => {
                let now = Instant::now();
                if full {
                    core.resumed(now);
                }
                match core.handle_timeout(now) {
                    Beat::Nothing => {}
                    Beat::Ask(bytes) => {
                        if let Err(error) = say(options.heartbeat, &mut writer, &bytes).await {
                            return broken(error);
                        }
                    }
                    Beat::Dead if closing => return Ok(Ending::Finished),
                    Beat::Dead => {
                        let seconds = options.heartbeat.as_secs_f32();
                        return broken(format!("no answer for {seconds} s (option heartbeat)"));
                    }
                }
            }
        }
    }
}

fn broken(why: impl ToString) -> Result<Ending, ()> {
    Ok(Ending::Cut(Reason::Broken(why.to_string())))
}

async fn say(limit: std::time::Duration, writer: &mut Writer, bytes: &[u8]) -> std::io::Result<()> {
    let saying = async {
        writer.write_all(bytes).await?;
        writer.flush().await
    };
    timeout(limit, saying).await.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))?
}
