//! Dials connections: TCP, or whatever the program brings.

use crate::options::{Options, Protocol};
use crate::protocol::{self, Incoming, Token};
use crate::stomp::{Agreed, Failure, Handshake};
use std::future::Future;
use std::io::{self, Cursor, ErrorKind};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use switchboard_wire::stomp::Version;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

pub(crate) type Reader = Box<dyn AsyncRead + Send + Unpin>;
pub(crate) type Writer = Box<dyn AsyncWrite + Send + Unpin>;
type Dialing = Pin<Box<dyn Future<Output = io::Result<(Reader, Writer)>> + Send>>;

#[derive(Clone)]
pub(crate) struct Dial {
    make: Arc<dyn Fn() -> Dialing + Send + Sync>,
    pub(crate) options: Arc<Options>,
    /// The version of STOMP that the first connection has agreed on.
    version: Arc<OnceLock<Version>>,
}

impl std::fmt::Debug for Dial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dial").field("address", &self.options.address()).finish_non_exhaustive()
    }
}

/// A connection on which the broker has answered.
pub(crate) struct Open {
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    pub(crate) token: Token,
    /// Over STOMP.
    pub(crate) agreed: Option<Agreed>,
}

/// The peer speaks another protocol, which no further attempt changes.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{protocol} is spoken there, not {}", .expected.name())]
pub(crate) struct WrongProtocol {
    pub(crate) protocol: String,
    pub(crate) expected: Protocol,
}

impl Dial {
    pub(crate) fn tcp(options: Arc<Options>) -> Dial {
        let target = options.clone();
        let make = move || -> Dialing {
            let target = target.clone();
            Box::pin(async move {
                let dialing = switchboard_driver::connect(&target.host, target.port, target.connect_timeout);
                let stream = dialing.await.map_err(|error| match error.kind() {
                    ErrorKind::TimedOut => io::Error::new(error.kind(), format!("{error} (option connect_timeout)")),
                    _ => error,
                })?;
                let (reader, writer) = stream.into_split();
                Ok((Box::new(reader) as Reader, Box::new(writer) as Writer))
            })
        };
        Dial { make: Arc::new(make), options, version: Arc::default() }
    }

    pub(crate) fn over<F, Fut, S>(options: Arc<Options>, factory: F) -> Dial
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let limits = options.clone();
        let make = move || -> Dialing {
            let (dialing, limits) = (factory(), limits.clone());
            Box::pin(async move {
                let (reader, writer) = tokio::io::split(in_time(&limits, "connecting took more than", dialing).await?);
                Ok((Box::new(reader) as Reader, Box::new(writer) as Writer))
            })
        };
        Dial { make: Arc::new(make), options, version: Arc::default() }
    }

    /// The version of STOMP, if that is spoken.
    pub(crate) fn version(&self) -> Option<Version> {
        self.version.get().copied()
    }

    /// Connects, for a subscription: over STOMP the session is begun, over the native protocol nothing is said yet.
    pub(crate) async fn open_for_subscription(&self) -> io::Result<Open> {
        match self.options.protocol {
            Protocol::Native => {
                let (reader, writer) = self.connect().await?;
                Ok(Open { reader, writer, token: new_token(), agreed: None })
            }
            Protocol::Stomp => self.open().await,
        }
    }

    /// Connects. Each address of a name has `connect_timeout` for itself.
    pub(crate) async fn connect(&self) -> io::Result<(Reader, Writer)> {
        (self.make)().await
    }

    /// Connects, subscribes to nothing, and waits until the broker has answered: a connection that
    /// was accepted by a kernel alone would only put messages in doubt.
    pub(crate) async fn open(&self) -> io::Result<Open> {
        let (mut reader, mut writer) = self.connect().await?;
        if self.options.protocol == Protocol::Stomp {
            return in_time(&self.options, SILENT, self.open_stomp(reader, writer)).await;
        }
        in_time(&self.options, SILENT, async {
            let token = new_token();
            let mut bytes = Vec::new();
            protocol::hello(protocol::NOTHING, &mut bytes);
            protocol::barrier(token, 0, &mut bytes);
            writer.write_all(&bytes).await?;
            writer.flush().await?;
            let mut input = Vec::with_capacity(64);
            loop {
                if let Some(protocol) = protocol::another(&input, Protocol::Native) {
                    return Err(io::Error::new(
                        ErrorKind::InvalidData,
                        WrongProtocol { protocol, expected: Protocol::Native },
                    ));
                }
                match protocol::incoming(&input, token, self.options.max_frame) {
                    Ok(Incoming::Barrier { .. }) => {
                        return Ok(Open { reader, writer, token, agreed: None });
                    }
                    Ok(Incoming::Message { consumed }) => drop(input.drain(..consumed)),
                    Ok(Incoming::Need(_)) => {
                        if reader.read_buf(&mut input).await? == 0 {
                            return Err(io::Error::new(ErrorKind::UnexpectedEof, "it closed the connection at once"));
                        }
                    }
                    Err(error) => return Err(io::Error::new(ErrorKind::InvalidData, error)),
                }
            }
        })
        .await
    }

    async fn open_stomp(&self, mut reader: Reader, mut writer: Writer) -> io::Result<Open> {
        let mut bytes = Vec::new();
        let mut handshake = Handshake::begin(&self.options, self.version(), &mut bytes);
        writer.write_all(&bytes).await?;
        writer.flush().await?;
        let invalid = |error: Box<dyn std::error::Error + Send + Sync>| io::Error::new(ErrorKind::InvalidData, error);
        let wrong = |protocol| invalid(WrongProtocol { protocol, expected: Protocol::Stomp }.into());
        let mut input = Vec::with_capacity(256);
        let agreed = loop {
            if reader.read_buf(&mut input).await? == 0 {
                return Err(io::Error::new(ErrorKind::UnexpectedEof, "it closed the connection at once"));
            }
            let (known, foreign) = (protocol::known(&input), protocol::another(&input, Protocol::Stomp));
            match handshake.answer(&mut input) {
                Ok(None) if foreign.is_none() => {}
                Ok(None) => return Err(wrong(foreign.unwrap_or_default())),
                Ok(Some(agreed)) => break agreed,
                Err(Failure::Refused(refused)) => return Err(invalid(refused.into())),
                Err(Failure::NotStomp(what)) => {
                    let what = known.unwrap_or_else(|| format!("something else ({what})"));
                    return Err(wrong(what));
                }
            }
        };
        // Pending messages are encoded in it.
        let version = *self.version.get_or_init(|| agreed.version);
        if version != agreed.version {
            let text = format!("the server speaks STOMP {} now, and no longer {version}", agreed.version);
            return Err(io::Error::new(ErrorKind::InvalidData, text));
        }
        // Input behind the answer is read again: its frames may be the last that come.
        let reader = if input.is_empty() { reader } else { Box::new(Cursor::new(input).chain(reader)) };
        Ok(Open { reader, writer, token: new_token(), agreed: Some(agreed) })
    }
}

/// The fault of a peer that a connection was made to.
const SILENT: &str = "it accepts connections and has not answered within";

async fn in_time<T>(options: &Options, what: &str, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(options.connect_timeout, work).await.unwrap_or_else(|_| {
        let seconds = options.connect_timeout.as_secs_f32();
        let text = format!("{what} {seconds} s (option connect_timeout)");
        Err(io::Error::new(ErrorKind::TimedOut, text))
    })
}

pub(crate) fn new_token() -> Token {
    Token(fastrand::u128(..))
}
