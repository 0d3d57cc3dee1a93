use super::frame;
use thiserror::Error;

/// What the two sides say to each other besides messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command<'a> {
    /// NULL, and the end of PLAIN: who this side is, as metadata.
    Ready(&'a [u8]),
    /// The handshake is over, for this reason.
    Error(&'a [u8]),
    /// PLAIN: who the client is.
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
    /// Messages that begin so are wanted.
    Subscribe(&'a [u8]),
    /// Messages that begin so are wanted no more.
    Cancel(&'a [u8]),
    /// Are you there?
    Ping {
        /// In tenths of a second: who hears nothing for so long takes the other for dead. 0 is never.
        ttl: u16,
        /// Comes back with the answer; at most 16 bytes.
        context: &'a [u8],
    },
    /// Yes.
    Pong(&'a [u8]),
    /// One that is not known here, by its name. Such commands are ignored.
    Other(&'a [u8]),
}

/// A command's body that makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CommandError {
    /// The name is not there.
    #[error("a command of {0} bytes ends within its name")]
    NoName(usize),
    /// What stands behind the name.
    #[error("the command {0} has a body that makes no sense")]
    Body(&'static str),
}

/// A ping's context.
const CONTEXT: usize = 16;

impl<'a> Command<'a> {
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
