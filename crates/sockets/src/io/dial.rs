use super::connection::{Ending, begin};
use super::handshake::shake;
use super::life;
use crate::core::{Core, Life};
use crate::peer::Peer;
use crate::{Endpoint, Event, Options};
use bytes::BytesMut;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// How long to wait until a connection is tried again.
pub(super) struct Backoff {
    first: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(options: &Options) -> Backoff {
        let first = options.reconnect;
        Backoff { first, most: options.reconnect_max.unwrap_or(first).max(first), next: first }
    }

    /// `random` is from 0 to 1: which part of one half is left out.
    pub(super) fn pause(&mut self, random: f64) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.most);
        pause - (pause / 2).mul_f64(random)
    }

    pub(super) fn reset(&mut self) {
        self.next = self.first;
    }
}

/// Connects, and connects again, until the endpoint is let go of. The peer stays the same, with what waits for it.
pub(crate) async fn dial(core: Arc<Core>, endpoint: Endpoint, mut peer: Peer, life: watch::Receiver<Life>) {
    let mut backoff = Backoff::new(&core.options);
    loop {
        let tried = tokio::select! {
            tried = attempt(&core, &endpoint) => tried,
            () = life::over(&life, || peer.unsent()) => return,
        };
        let met = match tried {
            Ok(Stream::Tcp(mut stream)) => {
                let (reader, writer) = stream.split();
                meet(&core, &endpoint, &mut peer, &life, reader, writer).await
            }
            Ok(Stream::Unix(mut stream)) => {
                let (reader, writer) = stream.split();
                meet(&core, &endpoint, &mut peer, &life, reader, writer).await
            }
            Err(reason) => {
                core.tell(&Event::ConnectFailed { endpoint: endpoint.clone(), reason });
                Met::Not
            }
        };
        match met {
            Met::Finished => return,
            Met::Once => backoff.reset(),
            Met::Not => {}
        }
        let after = backoff.pause(fastrand::f64());
        core.tell(&Event::RetryIn { endpoint: endpoint.clone(), after });
        tokio::select! {
            () = sleep(after) => {}
            () = life::over(&life, || peer.unsent()) => return,
        }
    }
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

async fn attempt(core: &Core, endpoint: &Endpoint) -> Result<Stream, String> {
    let limit = core.options.connect_timeout;
    let connecting = async {
        match endpoint {
            Endpoint::Tcp { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                // Batches are our own business.
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
            Endpoint::Ipc(path) => UnixStream::connect(path).await.map(Stream::Unix),
            Endpoint::Inproc(_) => unreachable!("not dialled"),
        }
    };
    match timeout(limit, connecting).await {
        Ok(result) => result.map_err(|error: io::Error| error.to_string()),
        Err(_) => Err(format!("no answer within {} s (connect_timeout)", limit.as_secs_f32())),
    }
}

/// What came of a connection.
enum Met {
    /// Not even a handshake.
    Not,
    Once,
    Finished,
}

async fn meet<R, W>(
    core: &Arc<Core>,
    endpoint: &Endpoint,
    peer: &mut Peer,
    life: &watch::Receiver<Life>,
    mut reader: R,
    mut writer: W,
) -> Met
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    core.tell(&Event::Connected(endpoint.clone()));
    let mut input = BytesMut::new();
    let shaken = tokio::select! {
        shaken = shake(core, &mut reader, &mut writer, &mut input) => shaken,
        () = life::over(life, || peer.unsent()) => return Met::Finished,
    };
    let other = match shaken {
        Ok(other) => other,
        Err(reason) => {
            core.tell(&Event::HandshakeFailed { endpoint: endpoint.clone(), reason });
            return Met::Not;
        }
    };
    let ending = begin(peer, endpoint, other, (&mut reader, &mut writer), input, life.clone()).await;
    peer.end();
    match ending {
        Ending::Finished => Met::Finished,
        Ending::Broken(reason) => {
            core.tell(&Event::Disconnected { endpoint: endpoint.clone(), reason });
            Met::Once
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_stay_the_same_or_double_up_to_the_longest() {
        let ms = Duration::from_millis;
        let pauses = |reconnect_max| {
            let mut backoff = Backoff::new(&Options { reconnect_max, ..Options::default() });
            let mut pauses: Vec<_> = (0..4).map(|_| backoff.pause(0.0)).collect();
            backoff.reset();
            pauses.push(backoff.pause(1.0));
            pauses
        };
        assert_eq!(pauses(None), [100, 100, 100, 100, 50].map(ms));
        assert_eq!(pauses(Some(ms(300))), [100, 200, 300, 300, 50].map(ms));
        assert_eq!(pauses(Some(ms(3))), [100, 100, 100, 100, 50].map(ms));
    }
}
