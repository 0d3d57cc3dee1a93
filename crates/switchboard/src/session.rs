//! A connection to a broker, over the native protocol.

use crate::cli::Peer;
use crate::output::note;
use anyhow::{Context, Result, anyhow, bail};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::time::Duration;
use switchboard_wire::native::{self, Split};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// The channel that sends back what it is sent, behind everything queued for the sender.
const ECHO: &[u8] = b"/switchboard/echo";
const READ: usize = 64 << 10;
/// How long a silence may be before the broker is asked whether it still is there.
const SILENCE: Duration = Duration::from_secs(15);
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// One connection. When it fails, it is dropped and another one is made.
pub(crate) struct Session {
    stream: TcpStream,
    input: Vec<u8>,
    /// How much of `input` was handed out already.
    taken: usize,
    /// Distinguishes our echoes from messages, on a connection that gets both.
    token: String,
    echoes: u64,
    /// Whether silence is to be broken by an echo. Not by one who sends: to hold a publisher is the
    /// broker's right, for as long as it takes, and a held connection answers nothing.
    pub(crate) heartbeat: bool,
}

/// What came in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    Message(Vec<u8>),
    /// The answer to the echo of this number.
    Echo(u64),
    /// The broker ended the session.
    End,
}

impl Session {
    /// Connects and subscribes; until it succeeds, unless it is to be tried once.
    pub(crate) async fn connect(peer: &Peer, channel: &[u8]) -> Result<Session> {
        let mut wait = SHORTEST;
        loop {
            match Session::try_connect(peer, channel).await {
                Ok(session) => return Ok(session),
                Err(error) if peer.once => {
                    return Err(error).with_context(|| format!("cannot connect to {}:{}", peer.host, peer.port));
                }
                Err(error) => {
                    if wait == SHORTEST {
                        note(format_args!("Cannot connect to {}:{} yet ({error}); trying on.", peer.host, peer.port));
                    }
                    sleep(jitter(wait)).await;
                    wait = (wait * 2).min(LONGEST);
                }
            }
        }
    }

    async fn try_connect(peer: &Peer, channel: &[u8]) -> io::Result<Session> {
        let stream = timeout(LONGEST, TcpStream::connect((peer.host.as_str(), peer.port))).await??;
        stream.set_nodelay(true)?;
        let token = format!("switchboard echo {:016x}{:016x} ", random(), random());
        let mut session = Session { stream, input: Vec::new(), taken: 0, token, echoes: 0, heartbeat: false };
        let mut first = Vec::new();
        native::encode(channel, &mut first);
        session.stream.write_all(&first).await?;
        Ok(session)
    }

    /// Writes whole frames.
    pub(crate) async fn write(&mut self, frames: &[u8]) -> Result<()> {
        self.stream.write_all(frames).await.context("the connection broke")
    }

    /// Asks for an echo; its number comes back behind everything that was queued before.
    pub(crate) async fn echo(&mut self) -> Result<u64> {
        self.echoes += 1;
        let mut frames = Vec::new();
        native::encode(ECHO, &mut frames);
        native::encode(format!("{}{}", self.token, self.echoes).as_bytes(), &mut frames);
        self.write(&frames).await?;
        Ok(self.echoes)
    }

    /// Ends the session: the broker reads everything that was sent before.
    pub(crate) async fn end(mut self) {
        let mut last = Vec::new();
        native::encode(b"", &mut last);
        // What mattered is confirmed already.
        let _ = self.stream.write_all(&last).await;
    }

    /// What came in, if it has arrived wholly; else waits for it. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Result<Incoming> {
        let mut asked = false;
        loop {
            if let Some(incoming) = self.arrived()? {
                return Ok(incoming);
            }
            self.input.drain(..self.taken);
            self.taken = 0;
            self.input.reserve(READ);
            let patience = if self.heartbeat { SILENCE } else { Duration::MAX };
            match timeout(patience, self.stream.read_buf(&mut self.input)).await {
                Ok(Ok(0)) if self.input.is_empty() => return Ok(Incoming::End),
                Ok(Ok(0)) => bail!("the connection ended within a message"),
                Ok(Ok(_)) => asked = false,
                Ok(Err(error)) => return Err(error).context("the connection broke"),
                Err(_) if asked => bail!("the broker has not answered for {} s", SILENCE.as_secs()),
                Err(_) => {
                    // Bounded, for a peer that is gone does not read either.
                    timeout(SILENCE, self.echo()).await.map_err(|_| anyhow!("the broker does not read"))??;
                    asked = true;
                }
            }
        }
    }

    /// What has arrived wholly, without waiting.
    pub(crate) fn arrived(&mut self) -> Result<Option<Incoming>> {
        // The broker has a limit of its own; what it lets through is not ours to refuse.
        match native::split(&self.input[self.taken..], u32::MAX as usize)? {
            Split::Need(_) => Ok(None),
            Split::Frame { body, consumed } => {
                let echo = body.strip_prefix(self.token.as_bytes());
                let number = echo.and_then(|number| std::str::from_utf8(number).ok()?.parse().ok());
                let incoming = number.map_or_else(|| Incoming::Message(body.to_vec()), Incoming::Echo);
                self.taken += consumed;
                Ok(Some(incoming))
            }
        }
    }
}

/// Between half of it and all of it, so that many clients do not come back in step.
pub(crate) fn jitter(wait: Duration) -> Duration {
    wait / 2 + (wait / 2).mul_f64(random() as f64 / u64::MAX as f64)
}

/// The standard library's hash keys are random, which is random enough for names and jitter.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
