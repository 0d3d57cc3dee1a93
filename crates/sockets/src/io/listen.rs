use super::connection::{Ending, begin};
use super::handshake::shake;
use super::life;
use crate::core::{Core, Life};
use crate::peer::Peer;
use crate::{Endpoint, Error, Event};
use bytes::BytesMut;
use socket2::{Domain, Socket, Type};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::time::sleep;

/// Where peers may connect.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, #[allow(dead_code, reason = "for its end")] Left),
}

/// What is left behind, and removed with its listener.
#[derive(Debug)]
pub(crate) struct Left(PathBuf);

impl Drop for Left {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;

impl Listener {
    /// Listens, and says where: with the port that was free. Must be called where the socket's I/O runs.
    pub(crate) fn bind(endpoint: &Endpoint) -> Result<(Listener, Endpoint), Error> {
        let bound = match endpoint {
            Endpoint::Tcp { host, port } => bind_tcp(host, *port),
            Endpoint::Ipc(path) => bind_unix(path).map(|listener| (listener, endpoint.clone())),
            Endpoint::Inproc(_) => unreachable!("needs no listener"),
        };
        bound.map_err(|error| Error::Bind { endpoint: endpoint.to_string(), source: Arc::new(error) })
    }
}

fn bind_tcp(host: &str, port: u16) -> io::Result<(Listener, Endpoint)> {
    let host = if host == "*" { "0.0.0.0" } else { host };
    let mut error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (host, port).to_socket_addrs()? {
        match listen_on(address) {
            Ok(listener) => {
                let port = listener.local_addr()?.port();
                return Ok((Listener::Tcp(listener), Endpoint::Tcp { host: host.into(), port }));
            }
            Err(other) => error = other,
        }
    }
    Err(error)
}

fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // So that a program that starts again finds its port.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// A path that somebody has left behind is in the way; one that somebody listens on is not to be taken from them.
fn bind_unix(path: &Path) -> io::Result<Listener> {
    use std::os::unix::fs::FileTypeExt;
    use std::os::unix::net::UnixStream;
    let stale = |path: &Path| {
        std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
            && UnixStream::connect(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    };
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && stale(path) => {
            std::fs::remove_file(path)?;
            UnixListener::bind(path)?
        }
        result => result?,
    };
    Ok(Listener::Unix(listener, Left(path.into())))
}

/// Accepts peers until the endpoint is let go of. Those that are there by then stay.
pub(crate) async fn listen(core: Arc<Core>, endpoint: Endpoint, listener: Listener, life: watch::Receiver<Life>) {
    loop {
        let accepting = async {
            match &listener {
                Listener::Tcp(listener) => {
                    let (stream, address) = listener.accept().await?;
                    // One that is gone already is found out later.
                    let _ = stream.set_nodelay(true);
                    if let Some(admitted) = admit(&core, &endpoint, address.to_string()) {
                        core.spawn(receive(admitted, stream, tokio::net::TcpStream::into_split));
                    }
                }
                Listener::Unix(listener, _) => {
                    let (stream, _) = listener.accept().await?;
                    if let Some(admitted) = admit(&core, &endpoint, "a local peer".into()) {
                        core.spawn(receive(admitted, stream, tokio::net::UnixStream::into_split));
                    }
                }
            }
            io::Result::Ok(())
        };
        let accepted = tokio::select! {
            accepted = accepting => accepted,
            _ = life::closing(&life) => return,
        };
        if let Err(error) = accepted {
            core.tell(&Event::AcceptFailed { endpoint: endpoint.clone(), reason: error.to_string() });
            // The usual reason is that the process has no file left; that takes a while to change.
            tokio::select! {
                () = sleep(Duration::from_millis(100)) => {}
                _ = life::closing(&life) => return,
            }
        }
    }
}

/// A peer that was let in.
struct Admitted {
    core: Arc<Core>,
    endpoint: Endpoint,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.core.connections.fetch_sub(1, Ordering::SeqCst);
    }
}

fn admit(core: &Arc<Core>, endpoint: &Endpoint, peer: String) -> Option<Admitted> {
    let limit = core.options.max_connections;
    let before = core.connections.fetch_add(1, Ordering::SeqCst);
    let admitted = Admitted { core: core.clone(), endpoint: endpoint.clone() };
    let endpoint = endpoint.clone();
    if before >= limit {
        let reason = format!("{before} peers are connected, the limit is {limit} (max_connections)");
        core.tell(&Event::Refused { endpoint, reason });
        return None;
    }
    core.tell(&Event::Accepted { endpoint, peer });
    Some(admitted)
}

async fn receive<S, R, W>(admitted: Admitted, stream: S, split: fn(S) -> (R, W))
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let Admitted { core, endpoint } = &admitted;
    let (mut reader, mut writer) = split(stream);
    let life = core.life.subscribe();
    let mut input = BytesMut::new();
    let shaken = tokio::select! {
        shaken = shake(core, &mut reader, &mut writer, &mut input) => shaken,
        _ = life::closing(&life) => return,
    };
    let other = match shaken {
        Ok(other) => other,
        Err(reason) => {
            core.tell(&Event::HandshakeFailed { endpoint: endpoint.clone(), reason });
            return;
        }
    };
    let mut peer = Peer::new(core);
    let ending = begin(&mut peer, endpoint, other, (&mut reader, &mut writer), input, life).await;
    drop(peer);
    if let Ending::Broken(reason) = ending {
        core.tell(&Event::Disconnected { endpoint: endpoint.clone(), reason });
    }
}
