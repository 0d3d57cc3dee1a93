//! CONNECT and its answer.

use super::limits;
use crate::Options;
use std::time::Duration;
use switchboard_wire::stomp::{Decoder, Found, Frame, FrameWriter, Version};

/// The longest ERROR that is read, in bytes of its body.
const ERROR: usize = 64 << 10;
/// The longest interval that is asked for: servers keep it in a number of 32 bits.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Terms agreed by both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Agreed {
    pub(crate) version: Version,
    /// The longest time between two signs of life that we send.
    pub(crate) sends: Option<Duration>,
    /// The longest time between two that the server sends.
    pub(crate) expects: Option<Duration>,
}

/// The server has answered with ERROR.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the server reports: {0}")]
pub(crate) struct Refused(pub(crate) String);

/// Returns true if the server says that the session goes on behind its ERROR.
pub(crate) fn is_passing(frame: &Frame<'_>) -> bool {
    frame.header(b"fatal").as_deref() == Some(b"false")
}

impl Refused {
    /// The sentence of an ERROR: its `message`, and the body if that says more.
    pub(crate) fn of(frame: &Frame<'_>) -> Refused {
        const MOST: usize = 2000;
        let message = frame.header(b"message").unwrap_or_default();
        let (message, body) = (String::from_utf8_lossy(&message), String::from_utf8_lossy(frame.body));
        let body = body.trim();
        let text = match (message.trim(), body) {
            ("", "") => "an error without a message".to_owned(),
            (message, body) if body.is_empty() || message.contains(body) => message.to_owned(),
            (message, body) if body.contains(message) => body.to_owned(),
            (message, body) => format!("{message}: {body}"),
        };
        let short: String = text.chars().take(MOST).map(|c| if c.is_control() { ' ' } else { c }).collect();
        Refused(short)
    }
}

/// Reads the answer to CONNECT.
#[derive(Debug)]
pub(crate) struct Handshake {
    decoder: Decoder,
    interval: u128,
}

impl Handshake {
    /// Begins a session; later ones are of the version that the first has agreed on, for what waits to be sent is encoded in it.
    pub(crate) fn begin(options: &Options, fixed: Option<Version>, out: &mut Vec<u8>) -> Handshake {
        let versions = fixed.map_or("1.0,1.1,1.2", Version::name);
        // Zero is none at all.
        let interval = if options.heartbeat > LONGEST { 0 } else { options.heartbeat.as_millis().max(1) };
        let mut frame = FrameWriter::new(b"CONNECT", Version::V1_0, out)
            .header(b"accept-version", versions.as_bytes())
            .header(b"host", options.vhost.as_bytes())
            .header(b"heart-beat", format!("{interval},{interval}").as_bytes());
        if let Some(login) = &options.login {
            frame = frame.header(b"login", login.as_bytes());
        }
        if let Some(passcode) = &options.passcode {
            frame = frame.header(b"passcode", passcode.as_bytes());
        }
        frame.end();
        Handshake { decoder: Decoder::new(limits(ERROR)), interval }
    }

    /// Takes the answer from the beginning of `input`; `None` if it is not whole.
    pub(crate) fn answer(&mut self, input: &mut Vec<u8>) -> Result<Option<Agreed>, Failure> {
        match self.decoder.next(input) {
            Ok(Found::Need { skip, .. }) => {
                input.drain(..skip);
                Ok(None)
            }
            Ok(Found::Frame { frame, length }) => {
                let agreed = match frame.command {
                    b"CONNECTED" => self.agreed(&frame)?,
                    b"ERROR" => return Err(Failure::Refused(Refused::of(&frame))),
                    other => return Err(Failure::NotStomp(shown(other))),
                };
                input.drain(..length);
                Ok(Some(agreed))
            }
            Err(error) => Err(Failure::NotStomp(error.to_string())),
        }
    }

    fn agreed(&self, frame: &Frame<'_>) -> Result<Agreed, Failure> {
        let version = match frame.header(b"version") {
            None => Version::V1_0,
            Some(name) => std::str::from_utf8(&name)
                .ok()
                .and_then(|name| name.parse().ok())
                .ok_or_else(|| Failure::NotStomp(format!("version {}", name.escape_ascii())))?,
        };
        let beats = frame.header(b"heart-beat");
        let beats = beats.as_deref().and_then(|beats| std::str::from_utf8(beats).ok()?.split_once(','));
        let parse = |text: &str| text.trim().parse::<u64>().unwrap_or(0);
        let (can, wants) = beats.map_or((0, 0), |(can, wants)| (parse(can), parse(wants)));
        let agree = |theirs: u64| {
            (theirs > 0 && self.interval > 0).then(|| Duration::from_millis(theirs.max(self.interval as u64)))
        };
        Ok(Agreed { version, sends: agree(wants), expects: agree(can) })
    }
}

/// A reason not to go on with a connection.
#[derive(Debug)]
pub(crate) enum Failure {
    Refused(Refused),
    /// Something else is spoken there.
    NotStomp(String),
}

pub(crate) fn shown(command: &[u8]) -> String {
    format!("an unexpected frame {}", command[..command.len().min(40)].escape_ascii())
}
