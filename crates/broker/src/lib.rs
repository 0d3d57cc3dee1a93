//! The rules of the broker, and nothing else.
//!
//! A [`Broker`] is a deterministic state machine. Commands go in with the time at which they
//! came, events come out; the caller does all input and output:
//!
//! ```
//! use switchboard_broker::{AckMode, Batch, Broker, Command, ConnectionId, Event, Limits, SubscriptionId, Time};
//!
//! let mut broker = Broker::new(Limits::default(), Vec::new());
//! let (now, listener, sender) = (Time::ZERO, ConnectionId(1), ConnectionId(2));
//! broker.handle(now, listener, Command::Connect { transport_acks: false });
//! broker.handle(now, listener, Command::Subscribe {
//!     subscription: SubscriptionId(0),
//!     pattern: "/topic/foo".into(),
//!     ack: AckMode::Auto,
//! });
//! broker.handle(now, sender, Command::Connect { transport_acks: false });
//! broker.handle(now, sender, Command::Publish { channel: "/topic/foo".into(), batch: Batch::one(b"hello") });
//! let Some(Event::Deliver { connection, batch, .. }) = broker.poll() else { panic!("a delivery") };
//! assert_eq!(connection, listener);
//! assert_eq!(batch.iter().collect::<Vec<_>>(), [b"hello"]);
//! ```
//!
//! There is no I/O, no clock, no thread and no randomness here, and no protocol is known: the
//! same commands at the same times give the same events.

mod attributes;
mod batch;
mod command;
mod cost;
mod delivery;
mod event;
mod headers;
mod limits;
mod name;
mod queues;
mod status;
mod time;

mod ages;
mod backlog;
mod budget;
mod hash;
mod lease;
mod leases;
mod list;
mod meter;
mod outbox;
mod slots;
mod trie;
mod words;

mod broker;

pub use attributes::Attributes;
pub use batch::{Batch, MalformedBatch, Packer};
pub use broker::Broker;
pub use command::{AckMode, Command, ConnectionId, DeliveryTag, SubscriptionId};
pub use delivery::{Delivery, DeliveryRule};
pub use event::{CloseReason, Event, PauseReason, Refusal};
pub use headers::{Headers, HeadersBuilder};
pub use limits::{ChannelRule, LimitError, Limits, OverflowPolicy, QueueOverflow};
pub use name::{ECHO, Kind, Pattern, durable_queue, is_dead, is_durable, is_temporary, own_name, temporary_queue};
pub use queues::{
    Browse, BrowseQuery, Browsed, MoveError, MoveOrder, NoPosition, Position, QueueStatus, Queues, StayReason,
};
pub use status::{ChannelStatus, ConnectionStatus, Page, Status, StatusQuery, Totals, Unheard};
pub use time::Time;
