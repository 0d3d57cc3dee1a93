use std::fmt;

/// The type of a socket. Request and router types are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SocketType {
    /// Sends each message to every subscriber.
    Pub,
    /// Receives what it has subscribed to.
    Sub,
    /// As PUB, and receives subscriptions.
    XPub,
    /// As SUB, with subscriptions as messages.
    XSub,
    /// Distributes its messages round robin over its peers.
    Push,
    /// Receives from its peers round robin.
    Pull,
}

impl SocketType {
    /// All types.
    pub const ALL: [SocketType; 6] =
        [SocketType::Pub, SocketType::Sub, SocketType::XPub, SocketType::XSub, SocketType::Push, SocketType::Pull];

    /// Its name, as it stands in the handshake.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            SocketType::Pub => "PUB",
            SocketType::Sub => "SUB",
            SocketType::XPub => "XPUB",
            SocketType::XSub => "XSUB",
            SocketType::Push => "PUSH",
            SocketType::Pull => "PULL",
        }
    }

    /// The type of this name.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<SocketType> {
        SocketType::ALL.into_iter().find(|kind| kind.name().as_bytes() == name)
    }

    /// Returns true if the two may be connected.
    #[must_use]
    pub fn talks_to(self, other: SocketType) -> bool {
        use SocketType::{Pub, Pull, Push, Sub, XPub, XSub};
        match self {
            Pub | XPub => matches!(other, Sub | XSub),
            Sub | XSub => matches!(other, Pub | XPub),
            Push => other == Pull,
            Pull => other == Push,
        }
    }

    /// Returns true if it sends messages to subscribers.
    #[must_use]
    pub fn publishes(self) -> bool {
        matches!(self, SocketType::Pub | SocketType::XPub)
    }

    /// Returns true if it subscribes.
    #[must_use]
    pub fn subscribes(self) -> bool {
        matches!(self, SocketType::Sub | SocketType::XSub)
    }
}

impl fmt::Display for SocketType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
