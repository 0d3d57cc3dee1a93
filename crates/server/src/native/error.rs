use switchboard_wire::native::ForeignProtocol;

/// A peer's violation of the native protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NativeError {
    /// A frame that names a channel is too long.
    #[error("a channel name of {length} bytes is over the limit of {limit} (limit: channel-name)")]
    ChannelTooLong {
        /// Announced length, in bytes.
        length: usize,
        /// In bytes.
        limit: usize,
    },
    /// The first bytes are those of another protocol.
    #[error("{protocol} was spoken at a port for the native protocol and STOMP")]
    OtherProtocol {
        /// Which one.
        protocol: ForeignProtocol,
    },
    /// A frame that carries data is too long.
    #[error("a message of {length} bytes is over the limit of {limit} (limit: message)")]
    DataTooLong {
        /// Announced length, in bytes.
        length: usize,
        /// In bytes.
        limit: usize,
    },
}
