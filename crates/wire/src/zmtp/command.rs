use super::frame;
use std::fmt;
use thiserror::Error;

/// A command: what the two sides exchange besides messages. `Debug` prints no password and no body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Command<'a> {
    /// NULL, and the end of PLAIN: this side's metadata.
    Ready(&'a [u8]),
    /// The handshake is over, for this reason.
    Error(&'a [u8]),
    /// PLAIN: the client's credentials.
    Hello {
        /// At most 255 bytes.
        username: &'a [u8],
        /// At most 255 bytes.
        password: &'a [u8],
    },
    /// PLAIN: the client may go on.
    Welcome,
    /// PLAIN: the client's metadata.
    Initiate(&'a [u8]),
    /// Subscribes to messages that begin with this prefix.
    Subscribe(&'a [u8]),
    /// Unsubscribes from this prefix.
    Cancel(&'a [u8]),
    /// A heartbeat, to be answered.
    Ping {
        /// In tenths of a second: the receiver gives the sender up after so long a silence. 0 is never.
        ttl: u16,
        /// Comes back with the answer; at most 16 bytes.
        context: &'a [u8],
    },
    /// The answer to a PING, with its context.
    Pong(&'a [u8]),
    /// An unknown command, by its name. Such commands are ignored.
    Other(&'a [u8]),
}

impl fmt::Debug for Command<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Command::Other(name) => write!(f, "{}", name.escape_ascii()),
            known => f.write_str(known.name()),
        }
    }
}

/// A command's body that cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CommandError {
    /// The name is not there.
    #[error("a command of {0} bytes ends within its name")]
    NoName(usize),
    /// The part behind the name is invalid.
    #[error("the command {0} has an invalid body")]
    Body(&'static str),
}

/// A ping's context.
const CONTEXT: usize = 16;

impl<'a> Command<'a> {
    /// Its name, as it stands in the frame; of an unknown one "another command".
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Command::Ready(_) => "READY",
            Command::Error(_) => "ERROR",
            Command::Hello { .. } => "HELLO",
            Command::Welcome => "WELCOME",
            Command::Initiate(_) => "INITIATE",
            Command::Subscribe(_) => "SUBSCRIBE",
            Command::Cancel(_) => "CANCEL",
            Command::Ping { .. } => "PING",
            Command::Pong(_) => "PONG",
            Command::Other(_) => "another command",
        }
    }

    /// The command of a command frame's body.
    ///
    /// # Errors
    ///
    /// [`CommandError`] if it has no name, or not what belongs to its name.
    pub fn decode(body: &'a [u8]) -> Result<Command<'a>, CommandError> {
        let no_name = CommandError::NoName(body.len());
        let (&length, rest) = body.split_first().ok_or(no_name)?;
        let (name, rest) = rest.split_at_checked(usize::from(length)).ok_or(no_name)?;
        Ok(match name {
            b"" => return Err(no_name),
            b"READY" => Command::Ready(rest),
            b"ERROR" => {
                Command::Error(short(rest).filter(|(_, rest)| rest.is_empty()).ok_or(CommandError::Body("ERROR"))?.0)
            }
            b"HELLO" => {
                let error = CommandError::Body("HELLO");
                let (username, rest) = short(rest).ok_or(error)?;
                let (password, rest) = short(rest).ok_or(error)?;
                if !rest.is_empty() {
                    return Err(error);
                }
                Command::Hello { username, password }
            }
            b"WELCOME" => Command::Welcome,
            b"INITIATE" => Command::Initiate(rest),
            b"SUBSCRIBE" => Command::Subscribe(rest),
            b"CANCEL" => Command::Cancel(rest),
            b"PING" => match rest.split_first_chunk::<2>() {
                Some((ttl, context)) if context.len() <= CONTEXT => {
                    Command::Ping { ttl: u16::from_be_bytes(*ttl), context }
                }
                _ => return Err(CommandError::Body("PING")),
            },
            b"PONG" => Command::Pong(rest),
            _ => Command::Other(name),
        })
    }

    /// Appends it as a frame to `out`.
    ///
    /// # Panics
    ///
    /// If an ERROR's reason, a name, or a password is longer than 255 bytes, or it is an `Other`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut body = Vec::new();
        let begin = |body: &mut Vec<u8>, name: &str| {
            body.push(name.len() as u8);
            body.extend_from_slice(name.as_bytes());
        };
        let simple: (&str, &[u8]) = match *self {
            Command::Ready(metadata) => ("READY", metadata),
            Command::Initiate(metadata) => ("INITIATE", metadata),
            Command::Welcome => ("WELCOME", b""),
            Command::Subscribe(prefix) => ("SUBSCRIBE", prefix),
            Command::Cancel(prefix) => ("CANCEL", prefix),
            Command::Pong(context) => ("PONG", context),
            Command::Error(reason) => {
                begin(&mut body, "ERROR");
                push_short(reason, &mut body);
                return frame::encode_command(&body, out);
            }
            Command::Hello { username, password } => {
                begin(&mut body, "HELLO");
                push_short(username, &mut body);
                push_short(password, &mut body);
                return frame::encode_command(&body, out);
            }
            Command::Ping { ttl, context } => {
                begin(&mut body, "PING");
                body.extend_from_slice(&ttl.to_be_bytes());
                body.extend_from_slice(context);
                return frame::encode_command(&body, out);
            }
            Command::Other(_) => panic!("a command that is not known is not sent"),
        };
        begin(&mut body, simple.0);
        body.extend_from_slice(simple.1);
        frame::encode_command(&body, out);
    }
}

fn short(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = input.split_first()?;
    rest.split_at_checked(usize::from(length))
}

fn push_short(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(u8::try_from(bytes.len()).expect("at most 255 bytes"));
    out.extend_from_slice(bytes);
}
