use crate::native::ForeignProtocol;
use std::fmt;
use thiserror::Error;

/// A security mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// No authentication.
    Null,
    /// A name and a password, in plain text.
    Plain,
}

impl Mechanism {
    /// Its name, as it stands in the greeting.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::Null => "NULL",
            Mechanism::Plain => "PLAIN",
        }
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The first 64 bytes of either side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Greeting {
    /// The minor version: 0 of ZMTP 3.0, 1 of ZMTP 3.1. Later ones count as 1, for a side
    /// speaks what the older of the two can.
    pub minor: u8,
    /// The mechanism that the side demands.
    pub mechanism: Mechanism,
    /// Whether the side is the server of its mechanism. Always `false` with NULL.
    pub as_server: bool,
}

/// A peer whose protocol is not spoken here, with the remedy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GreetingError {
    /// It does not begin as ZMTP 2 and later do.
    #[error("{}", not_zmtp(.0))]
    NotZmtp(Vec<u8>),
    /// ZMTP 2 or older.
    #[error("the peer speaks ZMTP {}, this side 3.0 and 3.1; use libzmq 4 or later there", revision(*.0))]
    Old(u8),
    /// An unknown mechanism.
    #[error("the peer demands the mechanism {}, which is not known here; use NULL or PLAIN there", .0.escape_ascii())]
    Unknown(Vec<u8>),
}

fn not_zmtp(first: &[u8]) -> String {
    let shown = first.escape_ascii();
    match speaks(first) {
        Some(protocol) => format!("the peer speaks {protocol}, not ZMTP: its first bytes are {shown}"),
        None => format!(
            "the peer does not speak ZMTP: its first bytes are {shown}; is something else listening there, or a libzmq older than 3?"
        ),
    }
}

/// The protocol of a peer that begins so: as a client of it does, or as a server.
fn speaks(first: &[u8]) -> Option<String> {
    let four = *first.first_chunk()?;
    let foreign = ForeignProtocol::recognize(four)
        .or_else(|| ForeignProtocol::recognize_name(first))
        .or_else(|| ForeignProtocol::recognize_answer(four));
    // A frame with a channel's name, nearly all of which begin with a slash.
    let is_native = || four[0] == 0 && u32::from_be_bytes(four) > 0 && first.get(4) == Some(&b'/');
    match foreign {
        // The signature is wrong behind these bytes.
        Some(ForeignProtocol::Zmtp) => None,
        Some(foreign) => Some(foreign.to_string()),
        None => is_native().then(|| "Switchboard's native protocol".to_owned()),
    }
}

fn revision(byte: u8) -> &'static str {
    if byte == 0 { "1.0" } else { "2" }
}

const SIGNATURE: usize = 10;
const MECHANISM: usize = 20;

impl Greeting {
    /// Its bytes.
    pub const SIZE: usize = 64;
    /// Its bytes up to the version.
    pub(super) const VERSIONED: usize = 12;

    /// Into bytes, as of ZMTP 3.1.
    #[must_use]
    pub fn encode(&self) -> [u8; Greeting::SIZE] {
        let mut bytes = [0; Greeting::SIZE];
        bytes[0] = 0xff;
        // An older peer takes this for the length of a frame of one byte.
        bytes[8] = 1;
        bytes[9] = 0x7f;
        bytes[10] = 3;
        bytes[11] = self.minor;
        let name = self.mechanism.name().as_bytes();
        bytes[12..12 + name.len()].copy_from_slice(name);
        bytes[32] = u8::from(self.as_server);
        bytes
    }

    /// The greeting at the start of `input`; `None` if it is not wholly there.
    ///
    /// # Errors
    ///
    /// [`GreetingError`], as soon as the byte that is wrong is there: an older peer waits for us before
    /// it sends the rest.
    pub fn decode(input: &[u8]) -> Result<Option<Greeting>, GreetingError> {
        if input.first().is_some_and(|first| *first != 0xff) || input.get(9).is_some_and(|last| last & 1 == 0) {
            return Err(GreetingError::NotZmtp(input[..input.len().min(SIGNATURE)].to_vec()));
        }
        if let Some(&major) = input.get(SIGNATURE)
            && major < 3
        {
            return Err(GreetingError::Old(major));
        }
        let Some(greeting) = input.first_chunk::<{ Greeting::SIZE }>() else { return Ok(None) };
        let name = &greeting[12..12 + MECHANISM];
        let name = &name[..name.iter().position(|byte| *byte == 0).unwrap_or(MECHANISM)];
        let mechanism = match name {
            b"NULL" => Mechanism::Null,
            b"PLAIN" => Mechanism::Plain,
            other => return Err(GreetingError::Unknown(other.to_vec())),
        };
        // A later major version understands this one.
        let minor = if greeting[SIGNATURE] > 3 { 1 } else { greeting[11].min(1) };
        Ok(Some(Greeting { minor, mechanism, as_server: greeting[32] & 1 == 1 }))
    }
}
