use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// An error, with the remedy in its text. A clone is the same error.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The endpoint makes no sense.
    #[error(
        "{endpoint:?} is not an endpoint: {problem}; they look like tcp://127.0.0.1:5555, ipc:///tmp/feed.ipc, or inproc://feed"
    )]
    Endpoint {
        /// The given text.
        endpoint: String,
        /// The fault of it.
        problem: String,
    },
    /// An option cannot be so.
    #[error("the option {option} cannot be {value}: {problem}")]
    Option {
        /// Which.
        option: &'static str,
        /// The given text.
        value: String,
        /// The fault of it.
        problem: &'static str,
    },
    /// Nobody can connect there.
    #[error("cannot listen on {endpoint}: {source}")]
    Bind {
        /// The endpoint.
        endpoint: String,
        /// Why not.
        source: Arc<io::Error>,
    },
    /// The socket has no such endpoint to unbind or disconnect.
    #[error("{endpoint} is not {what} by this socket; give the endpoint as it was given, or as bind returned it")]
    NoSuchEndpoint {
        /// The given text.
        endpoint: String,
        /// `bound` or `connected`.
        what: &'static str,
    },
    /// The message can never be sent.
    #[error(
        "message of {length} bytes is over the limit of {limit} bytes; split it, or raise max_message on both sides"
    )]
    MessageTooLong {
        /// Its bytes.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// The message can never be sent.
    #[error("message of {parts} parts: from 1 to {limit} are allowed; raise max_parts on both sides")]
    Parts {
        /// The number of its parts.
        parts: usize,
        /// The limit.
        limit: usize,
    },
    /// A message of an XSUB must be a subscription: one part, a byte 1 (or 0 to end it), and the prefix.
    #[error("an XSUB sends subscriptions: one part of a byte 1 or 0 and the prefix; use subscribe() and unsubscribe()")]
    NotASubscription,
    /// There is nobody with room for it now.
    #[error("no peer has room for the message now; wait with send(), or raise send_hwm or send_bytes")]
    WouldBlock,
    /// It has taken too long. Nothing has happened.
    #[error("timed out after {} s", .0.as_secs_f32())]
    TimedOut(Duration),
    /// The socket was closed before all could be sent.
    #[error("the socket was closed with {messages} messages unsent; raise linger to wait longer for their peers")]
    Unsent {
        /// The number of lost messages.
        messages: usize,
    },
    /// The runtime that the socket was made on has ended.
    #[error(
        "the runtime that the socket's I/O ran on has ended; make sockets on one that lives longer, or with runtime: Runtime::Shared"
    )]
    Ended,
    /// There is no thread for input and output.
    #[error(transparent)]
    NoThread(Arc<switchboard_driver::NoThread>),
}

/// Makes an [`Endpoint`](crate::Endpoint) as good for `bind` and `connect` as its text.
impl From<Infallible> for Error {
    fn from(never: Infallible) -> Error {
        match never {}
    }
}
