use super::bind::abstract_path;
use super::connection::{Ending, begin};
use super::handshake::shake;
use super::lifecycle;
use crate::core::{Core, Registered};
use crate::endpoint::abstract_name;
use crate::peer::Peer;
use crate::{Endpoint, Event, Options};
use bytes::BytesMut;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use switchboard_driver::Backoff;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{sleep, timeout};

pub(super) fn backoff(options: &Options) -> Backoff {
    Backoff::new(options.reconnect, options.reconnect_max.unwrap_or(options.reconnect))
}

/// Connects, and connects again, until the endpoint is disconnected. The peer stays the same, with what waits for it.
pub(crate) async fn dial(core: Arc<Core>, mut peer: Peer, of: Registered) {
    let mut backoff = backoff(&core.options);
    loop {
        let tried = tokio::select! {
            tried = attempt(&core.options, &of.endpoint) => tried,
            () = lifecycle::over(&of.lifecycle, || peer.unsent()) => return,
        };
        let outcome = match tried {
            Ok(Stream::Tcp(mut stream)) => {
                let address = stream.peer_addr().ok();
                let (reader, writer) = stream.split();
                serve(&core, &of, &mut peer, address, reader, writer).await
            }
            Ok(Stream::Unix(mut stream)) => {
                let (reader, writer) = stream.split();
                serve(&core, &of, &mut peer, None, reader, writer).await
            }
            Err(error) => {
                let reason = error.to_string();
                core.announce(&Event::ConnectFailed { endpoint: of.endpoint.clone(), reason });
                Outcome::NoHandshake
            }
        };
        match outcome {
            Outcome::Finished => return,
            Outcome::Disconnected => backoff.reset(),
            Outcome::NoHandshake => {}
        }
        let after = backoff.pause(fastrand::f64());
        core.announce(&Event::RetryIn { endpoint: of.endpoint.clone(), after });
        tokio::select! {
            () = sleep(after) => {}
            () = lifecycle::over(&of.lifecycle, || peer.unsent()) => return,
        }
    }
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

async fn attempt(options: &Options, endpoint: &Endpoint) -> io::Result<Stream> {
    let limit = options.connect_timeout;
    let too_slow = |error: io::Error| match error.kind() {
        io::ErrorKind::TimedOut => io::Error::new(error.kind(), format!("{error} (connect_timeout)")),
        _ => error,
    };
    match endpoint {
        Endpoint::Tcp { host, port } => {
            switchboard_driver::connect(host, *port, limit).await.map(Stream::Tcp).map_err(too_slow)
        }
        Endpoint::Ipc(path) => {
            let path = abstract_name(path).map_or_else(|| path.clone(), abstract_path);
            match timeout(limit, UnixStream::connect(path)).await {
                Ok(result) => result.map(Stream::Unix),
                Err(_) => {
                    let text = format!("no answer within {} s (connect_timeout)", limit.as_secs_f32());
                    Err(io::Error::new(io::ErrorKind::TimedOut, text))
                }
            }
        }
        Endpoint::Inproc(_) => unreachable!("not dialed"),
    }
}

/// The result of a connection.
enum Outcome {
    NoHandshake,
    Disconnected,
    Finished,
}

async fn serve<R, W>(
    core: &Arc<Core>,
    of: &Registered,
    peer: &mut Peer,
    address: Option<SocketAddr>,
    mut reader: R,
    mut writer: W,
) -> Outcome
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let (endpoint, id) = (&of.endpoint, core.new_peer(address));
    core.announce(&Event::Connected { endpoint: endpoint.clone(), peer: id });
    let mut input = BytesMut::new();
    let shaken = tokio::select! {
        shaken = shake(core, &mut reader, &mut writer, &mut input) => shaken,
        () = lifecycle::over(&of.lifecycle, || peer.unsent()) => return Outcome::Finished,
    };
    let other = match shaken {
        Ok(other) => other,
        Err(reason) => {
            core.announce(&Event::HandshakeFailed { endpoint: endpoint.clone(), peer: id, reason });
            return Outcome::NoHandshake;
        }
    };
    let ending = begin(peer, of, id, other, (&mut reader, &mut writer), input).await;
    peer.end();
    match ending {
        Ending::Finished => Outcome::Finished,
        Ending::Broken(reason) => {
            core.announce(&Event::Disconnected { endpoint: endpoint.clone(), peer: id, reason });
            Outcome::Disconnected
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn pauses_stay_the_same_or_double_up_to_the_longest() {
        let ms = Duration::from_millis;
        let pauses = |reconnect_max| {
            let mut backoff = backoff(&Options { reconnect_max, ..Options::default() });
            (0..4).map(|_| backoff.pause(0.0)).collect::<Vec<_>>()
        };
        assert_eq!(pauses(None), [100, 100, 100, 100].map(ms));
        assert_eq!(pauses(Some(ms(300))), [100, 200, 300, 300].map(ms));
        assert_eq!(pauses(Some(ms(3))), [100, 100, 100, 100].map(ms));
    }

    #[tokio::test]
    async fn an_address_that_swallows_packets_is_given_up_with_the_setting_that_says_when() {
        use socket2::{Domain, Socket, Type};
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        // Its queue is full, so it answers no SYN.
        let _full: Vec<_> = (0..3)
            .map(|_| {
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
                socket.set_nonblocking(true).unwrap();
                let _ = socket.connect(&address);
                socket
            })
            .collect();
        let options = Options { connect_timeout: Duration::from_millis(50), ..Options::default() };
        let error = attempt(&options, &address.as_socket().unwrap().into()).await.err().expect("nobody answers");
        assert_eq!(error.to_string(), "no answer within 0.05 s (connect_timeout)");
    }
}
