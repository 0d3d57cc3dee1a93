//! How connections are made: TCP, or whatever the program brings.

use crate::Options;
use crate::protocol::{self, Incoming, Token};
use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

pub(crate) type Reader = Box<dyn AsyncRead + Send + Unpin>;
pub(crate) type Writer = Box<dyn AsyncWrite + Send + Unpin>;
type Dialing = Pin<Box<dyn Future<Output = io::Result<(Reader, Writer)>> + Send>>;

#[derive(Clone)]
pub(crate) struct Dial {
    make: Arc<dyn Fn() -> Dialing + Send + Sync>,
    pub(crate) options: Arc<Options>,
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
}

/// The peer speaks another protocol, which no further attempt changes.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0} is spoken there, not the broker's native protocol")]
pub(crate) struct WrongProtocol(pub(crate) String);

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
        Dial { make: Arc::new(make), options }
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
                let (reader, writer) = tokio::io::split(in_time(&limits, "connecting", dialing).await?);
                Ok((Box::new(reader) as Reader, Box::new(writer) as Writer))
            })
        };
        Dial { make: Arc::new(make), options }
    }

    /// Connects. Each address of a name has `connect_timeout` for itself.
    pub(crate) async fn connect(&self) -> io::Result<(Reader, Writer)> {
        (self.make)().await
    }

    /// Connects, subscribes to nothing, and waits until the broker has answered: a connection that
    /// was accepted by a kernel alone would only put messages in doubt.
    pub(crate) async fn open(&self) -> io::Result<Open> {
        let (mut reader, mut writer) = self.connect().await?;
        in_time(&self.options, "connecting", async {
            let token = new_token();
            let mut bytes = Vec::new();
            protocol::hello(protocol::NOTHING, &mut bytes);
            protocol::barrier(token, 0, &mut bytes);
            writer.write_all(&bytes).await?;
            writer.flush().await?;
            let mut input = Vec::with_capacity(64);
            loop {
                if let Some(protocol) = protocol::another(&input) {
                    return Err(io::Error::new(ErrorKind::InvalidData, WrongProtocol(protocol)));
                }
                match protocol::incoming(&input, token, self.options.max_frame) {
                    Ok(Incoming::Barrier { .. }) => return Ok(Open { reader, writer, token }),
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
}

async fn in_time<T>(options: &Options, what: &str, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(options.connect_timeout, work).await.unwrap_or_else(|_| {
        let seconds = options.connect_timeout.as_secs_f32();
        let text = format!("{what} took more than {seconds} s (option connect_timeout)");
        Err(io::Error::new(ErrorKind::TimedOut, text))
    })
}

pub(crate) fn new_token() -> Token {
    Token(fastrand::u128(..))
}
