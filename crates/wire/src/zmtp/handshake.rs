use super::frame::{self, FrameError};
use super::greeting::{Greeting, GreetingError};
use super::metadata::{self, MetadataError};
use super::{Command, CommandError, Limits, Mechanism, Security, SocketType};
use std::fmt;
use thiserror::Error;

/// This side.
#[derive(Debug, Clone)]
pub struct Local {
    /// Its type.
    pub socket_type: SocketType,
    /// Its identity; often empty.
    pub identity: Vec<u8>,
    /// Its mechanism.
    pub security: Security,
}

/// The other side, by its own account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its type.
    pub socket_type: SocketType,
    /// Its identity; often empty.
    pub identity: Vec<u8>,
    /// 0 of ZMTP 3.0, 1 of ZMTP 3.1.
    pub minor: u8,
    /// With PLAIN, for the server: the client's name.
    pub username: Vec<u8>,
}

/// The reason why a peer was not admitted, with the remedy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HandshakeError {
    /// It does not speak this protocol.
    #[error(transparent)]
    Greeting(#[from] GreetingError),
    /// The two demand different things.
    #[error("the peer demands the mechanism {peer}, this side {local}; use the same on both")]
    Mechanism {
        /// The mechanism that it demands.
        peer: Mechanism,
        /// The mechanism that is demanded here.
        local: Mechanism,
    },
    /// Both are the server, or neither.
    #[error("both sides are {} of the mechanism PLAIN; one of them must be the server, the other the client", if *.0 { "servers" } else { "clients" })]
    Roles(bool),
    /// It was refused by this side.
    #[error("the password of {} is not right", .0.escape_ascii())]
    Password(Vec<u8>),
    /// This side was refused.
    #[error("the peer refuses: {}", .0.escape_ascii())]
    Refused(Vec<u8>),
    /// The two types cannot be connected.
    #[error("the peer is a {}, which does not talk to a {local}", .peer.escape_ascii())]
    SocketType {
        /// The peer's type.
        peer: Vec<u8>,
        /// The type of this side.
        local: SocketType,
    },
    /// Its metadata has no type.
    #[error("the peer does not say its type of socket")]
    NoSocketType,
    /// Its identity is too long.
    #[error("the peer's identity has {0} bytes, at most 255 are allowed")]
    Identity(usize),
    /// Not a command, or not the one that is due.
    #[error("the peer sends {found} where {due} is due")]
    Unexpected {
        /// The received command.
        found: &'static str,
        /// The expected command.
        due: &'static str,
    },
    /// A command longer than allowed.
    #[error("command of {length} bytes is over the limit of {limit} bytes")]
    CommandTooLong {
        /// Its bytes.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// No frame begins so.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A command that cannot be decoded.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// Its metadata cannot be decoded.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
}

/// The handshake, from the first byte to the last one before messages: a state machine without I/O. Give it what was received
/// ([`received`](Handshake::received)), and send its output ([`take_output`](Handshake::take_output)) after each call and after
/// `new`.
pub struct Handshake {
    local: Local,
    limits: Limits,
    due: Due,
    minor: u8,
    username: Vec<u8>,
    output: Vec<u8>,
    /// The rest of our greeting, until the peer's version is there.
    rest: Vec<u8>,
}

/// Without what was received and what is to be sent: there may be a password in it.
impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake").field("local", &self.local).field("due", &self.due).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Greeting,
    Ready,
    Hello,
    Welcome,
    Initiate,
    /// Of the server, after our INITIATE.
    Admission,
}

impl Due {
    fn name(self) -> &'static str {
        match self {
            Due::Greeting => "the greeting",
            Due::Ready | Due::Admission => "READY",
            Due::Hello => "HELLO",
            Due::Welcome => "WELCOME",
            Due::Initiate => "INITIATE",
        }
    }
}

impl Handshake {
    /// Begins one; its greeting is there to be sent.
    #[must_use]
    pub fn new(local: Local, limits: Limits) -> Handshake {
        let greeting =
            Greeting { minor: 1, mechanism: local.security.mechanism(), as_server: local.security.is_server() };
        let mut output = greeting.encode().to_vec();
        let rest = output.split_off(Greeting::VERSIONED);
        Handshake { local, limits, due: Due::Greeting, minor: 1, username: Vec::new(), output, rest }
    }

    /// Takes the bytes to be sent now, also after an error: the peer is told the reason.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// Takes what has come from `input`, and says how many bytes of it are done with; the rest comes again with
    /// more behind it. With a [`Peer`] it is over, and what is left of the input is for the
    /// [`Decoder`](super::Decoder).
    ///
    /// # Errors
    ///
    /// [`HandshakeError`]; the connection is of no use after it.
    pub fn received(&mut self, input: &[u8]) -> Result<(usize, Option<Peer>), HandshakeError> {
        let mut done = 0;
        loop {
            let rest = &input[done..];
            if self.due == Due::Greeting {
                let greeting = Greeting::decode(rest);
                let foreign = matches!(greeting, Err(GreetingError::NotZmtp(_) | GreetingError::Old(_)));
                // libzmq ends the connection when it sees a mechanism that it does not want; before that it must have sent its
                // own, or nobody here would know what it wants.
                if rest.len() >= Greeting::VERSIONED - 1 && !foreign {
                    self.output.append(&mut self.rest);
                }
                let Some(greeting) = greeting? else { return Ok((done, None)) };
                self.greeted(greeting)?;
                done += Greeting::SIZE;
                continue;
            }
            let Some(header) = frame::header(rest)? else { return Ok((done, None)) };
            if !header.command {
                return Err(HandshakeError::Unexpected { found: "a message", due: self.due.name() });
            }
            if header.length > self.limits.command {
                return Err(HandshakeError::CommandTooLong { length: header.length, limit: self.limits.command });
            }
            let end = header.size + header.length;
            let Some(body) = rest.get(header.size..end) else { return Ok((done, None)) };
            done += end;
            if let Some(peer) = self.command(Command::decode(body)?)? {
                return Ok((done, Some(peer)));
            }
        }
    }

    fn greeted(&mut self, peer: Greeting) -> Result<(), HandshakeError> {
        let local = self.local.security.mechanism();
        if peer.mechanism != local {
            return Err(HandshakeError::Mechanism { peer: peer.mechanism, local });
        }
        self.minor = peer.minor;
        self.due = match &self.local.security {
            Security::Null => {
                Command::Ready(&self.metadata()).encode(&mut self.output);
                Due::Ready
            }
            // libzmq's servers do not say that they are, so two clients find out by their commands.
            Security::PlainServer(_) if peer.as_server => return Err(HandshakeError::Roles(true)),
            Security::PlainClient { username, password } => {
                Command::Hello { username, password }.encode(&mut self.output);
                Due::Welcome
            }
            Security::PlainServer(_) => Due::Hello,
        };
        Ok(())
    }

    fn command(&mut self, command: Command<'_>) -> Result<Option<Peer>, HandshakeError> {
        match (self.due, command) {
            (_, Command::Error(reason)) => Err(HandshakeError::Refused(reason.to_vec())),
            (Due::Ready | Due::Admission, Command::Ready(metadata)) => self.peer(metadata).map(Some),
            (Due::Hello, Command::Hello { username, password }) => {
                if let Security::PlainServer(check) = &self.local.security
                    && !check.passes(username, password)
                {
                    Command::Error(b"wrong name or password").encode(&mut self.output);
                    return Err(HandshakeError::Password(username.to_vec()));
                }
                self.username = username.to_vec();
                Command::Welcome.encode(&mut self.output);
                self.due = Due::Initiate;
                Ok(None)
            }
            (Due::Welcome, Command::Welcome) => {
                Command::Initiate(&self.metadata()).encode(&mut self.output);
                self.due = Due::Admission;
                Ok(None)
            }
            (Due::Initiate, Command::Initiate(metadata)) => {
                let peer = self.peer(metadata)?;
                Command::Ready(&self.metadata()).encode(&mut self.output);
                Ok(Some(peer))
            }
            (Due::Welcome, Command::Hello { .. }) => Err(HandshakeError::Roles(false)),
            (due, other) => Err(HandshakeError::Unexpected { found: other.name(), due: due.name() }),
        }
    }

    fn metadata(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        metadata::encode("Socket-Type", self.local.socket_type.name().as_bytes(), &mut bytes);
        metadata::encode("Identity", &self.local.identity, &mut bytes);
        bytes
    }

    fn peer(&mut self, metadata: &[u8]) -> Result<Peer, HandshakeError> {
        let (mut kind, mut identity) = (None, Vec::new());
        metadata::decode(metadata, |name, value| {
            // Names know no case.
            if name.eq_ignore_ascii_case(b"Socket-Type") {
                kind = Some(value);
            } else if name.eq_ignore_ascii_case(b"Identity") {
                identity = value.to_vec();
            }
        })?;
        let kind = kind.ok_or(HandshakeError::NoSocketType)?;
        if identity.len() > 255 {
            return Err(HandshakeError::Identity(identity.len()));
        }
        let local = self.local.socket_type;
        match SocketType::named(kind) {
            Some(socket_type) if socket_type.talks_to(local) => {
                Ok(Peer { socket_type, identity, minor: self.minor, username: std::mem::take(&mut self.username) })
            }
            _ => {
                let reason = format!("a {local} does not talk to this type of socket");
                Command::Error(reason.as_bytes()).encode(&mut self.output);
                Err(HandshakeError::SocketType { peer: kind.to_vec(), local })
            }
        }
    }
}
