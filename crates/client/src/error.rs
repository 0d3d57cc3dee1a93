use crate::{Doubt, Reason};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use switchboard_driver::quantity::plural;

/// An error, and what to do about it. A clone is the same error.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address of the broker, or an option in it, makes no sense.
    #[error(
        "{url:?} is not the address of a broker: {problem}; it looks like switchboard://localhost:25000 or stomp://localhost:61613"
    )]
    Url {
        /// The given URL, without login and passcode.
        url: String,
        /// The fault.
        problem: String,
    },
    /// The broker could not be reached. Only the first connection fails so: later ones are tried again.
    #[error("cannot connect to {address}: {source}; {} (retry_first=true waits for it)", advice(source))]
    Connect {
        /// Target.
        address: String,
        /// Why not.
        source: Arc<io::Error>,
    },
    /// The address is another server's. Only the first connection fails so, and it does so at once.
    #[error("{address} speaks {protocol}, not {expected}, whose port is {port} unless it is configured otherwise")]
    WrongProtocol {
        /// Target.
        address: String,
        /// The protocol of its server.
        protocol: String,
        /// The protocol of this client.
        expected: &'static str,
        /// Its usual port.
        port: u16,
    },
    /// It has taken too long. What was asked for may still happen.
    #[error("{what} has not happened within {} s; ask again, or raise the option {option}", after.as_secs_f32())]
    TimedOut {
        /// The operation.
        what: &'static str,
        /// For how long.
        after: Duration,
        /// The option that says how long.
        option: &'static str,
    },
    /// A message cannot be sent, now or later.
    #[error(
        "message of {length} bytes is over the limit of {limit} bytes; split it, or raise max_frame here and in the broker"
    )]
    MessageTooLong {
        /// Its bytes.
        length: usize,
        /// The maximum.
        limit: usize,
    },
    /// A channel's name must have from one byte to as many as this. Nothing was sent.
    #[error(
        "a channel name of {length} bytes: from 1 to {limit} bytes are allowed (limits: max_channel of the client's address, channel-name of the broker)"
    )]
    ChannelName {
        /// Its bytes.
        length: usize,
        /// The maximum.
        limit: usize,
    },
    /// The broker does not take messages as fast as they are published, or is away. The message was
    /// not accepted.
    #[error(
        "no room for the message: {buffered} of {limit} are used ({option}); publish less, later, or raise {option}"
    )]
    Full {
        /// Current use: bytes, or publishes that wait.
        buffered: usize,
        /// The maximum.
        limit: usize,
        /// The option that says so: `buffer` or `waiting`.
        option: &'static str,
    },
    /// A connection broke after these messages were written to it and before the broker had confirmed
    /// them. They may have arrived or not. Publish them again if a message may come twice; the option
    /// `resend` makes the client do so.
    #[error("the connection broke with {} ({}) in doubt; publish them again if they may come twice (option resend)", plural(.0.messages, "message"), plural(.0.bytes, "byte"))]
    InDoubt(Doubt),
    /// The broker ended the connection within this message, and so often, or it is so long, that it was given up: it has not
    /// arrived. All others have, except for those in doubt.
    #[error(
        "the broker closed the connection within a message of {length} bytes, which was given up; its limit is {} bytes \
         unless it is configured otherwise (setting message)",
        crate::native::LIMIT
    )]
    Rejected {
        /// Its bytes.
        length: usize,
        /// As in [`Error::InDoubt`].
        in_doubt: Doubt,
    },
    /// The broker has reported an error, in these words (STOMP's ERROR): it did not take a message, or ended the connection.
    #[error("the broker reports an error: {message}{}", doubtful(.in_doubt))]
    Server {
        /// Its words.
        message: String,
        /// As in [`Error::InDoubt`].
        in_doubt: Doubt,
    },
    /// The protocol of the connection lacks what was asked for. Over STOMP (`stomp://`, version 1.1 or 1.2) there is all of it.
    #[error("{protocol} has not got {what}")]
    Unsupported {
        /// The feature.
        what: &'static str,
        /// The protocol.
        protocol: &'static str,
    },
    /// A header cannot be sent, or is missing.
    #[error("header {name:?}: {problem}")]
    Header {
        /// Its name.
        name: String,
        /// The fault.
        problem: &'static str,
    },
    /// The connection that a message came over has ended, so that the message cannot be settled any more: the broker
    /// delivers it again.
    #[error("the connection of this message has ended; the broker delivers it again")]
    Stale,
    /// A connection broke before the broker had confirmed these acks, or the broker did not take them: it may deliver their
    /// messages again.
    #[error("{} lost with a connection, or not taken by the broker: the messages may be delivered again", plural(*messages, "ack"))]
    Unsettled {
        /// Count.
        messages: u64,
    },
    /// The broker ended the connection before the subscription was in force. Without `reconnect`, and where the broker
    /// has said why (STOMP's ERROR), that is an error: else it is tried again.
    #[error("the broker refused the subscription: {reason}")]
    Refused {
        /// Why the connection has ended.
        reason: Reason,
    },
    /// `wait()` was called where the result could never come. The operation goes on.
    #[error(
        "wait() was called {place}, where it would wait for ever: await it, use on_done, or connect with driver=shared"
    )]
    CannotWait {
        /// Place.
        place: &'static str,
    },
    /// A field of [`Options`](crate::Options) has a value that cannot work.
    #[error("option {option}: {problem}")]
    Option {
        /// Which.
        option: &'static str,
        /// The fault.
        problem: &'static str,
    },
    /// The client was closed, or the runtime that it lived on has ended. Connect a new one.
    #[error("the client is closed; connect a new one")]
    Closed,
    /// The thread for input and output could not be started.
    #[error(transparent)]
    NoThread(Arc<switchboard_driver::NoThread>),
}

fn doubtful(doubt: &Doubt) -> String {
    if doubt.messages > 0 { format!(" (in doubt: {})", plural(doubt.messages, "message")) } else { String::new() }
}

fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::ConnectionRefused => "nobody listens there: start the broker with `switchboard`",
        _ => "is the broker running there?",
    }
}
