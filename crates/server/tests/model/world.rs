//! A hub with connections, and what their tasks do.

use crate::dirty::Dirty;
use crate::handle::ConnectionHandle;
use crate::hub::Hub;
use crate::slice::Slice;
use crate::socket::{Origin, Socket};
use crate::sync::Notify;
use loom::future::block_on;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use switchboard_broker::{AckMode, Batch, Command, ConnectionId, Limits, SubscriptionId};

/// Explores `body`.
pub(crate) fn model(body: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    // A bug of this kind needs two switches at bad moments; every further one costs minutes.
    builder.preemption_bound = Some(2);
    builder.max_branches = 100_000;
    builder.check(body);
}

#[derive(Clone)]
pub(crate) struct World(pub(crate) Arc<Hub>);

/// One connection with its socket.
#[derive(Clone)]
pub(crate) struct Party {
    pub(crate) hub: Arc<Hub>,
    pub(crate) handle: Arc<ConnectionHandle>,
    pub(crate) socket: Socket,
}

impl World {
    pub(crate) fn new(limits: Limits) -> World {
        World(Arc::new(Hub::new(limits, Vec::new())))
    }

    pub(crate) fn connect(&self, id: u64, socket: Socket) -> Party {
        let handle = Arc::new(ConnectionHandle::new(ConnectionId(id), Origin, socket.clone()));
        self.0.connect(&handle);
        Party { hub: self.0.clone(), handle, socket }
    }
}

impl Party {
    /// Runs commands as its task does after a read.
    pub(crate) fn does(&self, mut commands: Vec<Command>) {
        let mut dirty = Dirty::default();
        self.hub.apply(self.handle.id(), &mut commands, &mut dirty, &Slice::begin());
        assert!(self.hub.pump(&mut dirty, &Slice::begin()));
    }

    pub(crate) fn subscribes(&self, channel: &'static str) {
        let subscription = SubscriptionId(0);
        self.does(vec![Command::Subscribe { subscription, pattern: channel.into(), ack: AckMode::Auto }]);
        if channel.starts_with("/queue") {
            self.handle.set_consumes();
        }
    }

    pub(crate) fn publishes(&self, channel: &'static str, body: &str) {
        self.does(vec![publish(channel, body)]);
    }

    /// Writes as its own task does: when it is woken, and when the socket takes more. It also looks whether it is done
    /// once all others have ended, but does nothing else then.
    pub(crate) fn serves_until(&self, ended: &Notify, is_done: impl Fn() -> bool) {
        block_on(async {
            loop {
                self.pumps();
                if is_done() {
                    return;
                }
                let mut ended = pin!(ended.notified());
                let mut has_ended = false;
                let mut woken = pin!(self.handle.woken());
                let mut writable = pin!(self.socket.writable());
                poll_fn(|context| {
                    if woken.as_mut().poll(context).is_ready() {
                        return Poll::Ready(());
                    }
                    if !has_ended && ended.as_mut().poll(context).is_ready() {
                        has_ended = true;
                        if is_done() {
                            return Poll::Ready(());
                        }
                    }
                    if self.handle.is_blocked() { writable.as_mut().poll(context) } else { Poll::Pending }
                })
                .await;
                if self.handle.owes_sign() {
                    self.does(vec![Command::Credit { bytes: 0 }]);
                }
            }
        });
    }

    pub(crate) fn pumps(&self) {
        let mut dirty = Dirty::default();
        dirty.push(&self.handle);
        assert!(self.hub.pump(&mut dirty, &Slice::begin()));
    }
}

pub(crate) fn publish(channel: &'static str, body: &str) -> Command {
    Command::Publish { channel: channel.into(), batch: Batch::one(body.as_bytes()) }
}

/// The bodies of whole messages, and how many bytes of a further one there are.
pub(crate) fn messages(mut bytes: &[u8]) -> (Vec<String>, usize) {
    let mut bodies = Vec::new();
    while let Some((prefix, rest)) = bytes.split_first_chunk() {
        let length = u32::from_be_bytes(*prefix) as usize;
        let Some(body) = rest.get(..length) else { break };
        bodies.push(String::from_utf8_lossy(body).into_owned());
        bytes = &rest[length..];
    }
    (bodies, bytes.len())
}
