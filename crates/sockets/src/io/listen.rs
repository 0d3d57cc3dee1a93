use super::bind::{Accepted, SharedListener};
use super::connection::{Ending, begin};
use super::handshake::shake;
use super::lifecycle;
use crate::core::{Core, Registered};
use crate::peer::Peer;
use crate::{Event, PeerId};
use bytes::BytesMut;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::sleep;

/// Accepts peers until the endpoint is unbound.
pub(crate) async fn listen(core: Arc<Core>, of: Registered, listener: SharedListener) {
    let endpoint = &of.endpoint;
    loop {
        let accepted = tokio::select! {
            accepted = poll_fn(|context| listener.poll_accept(context)) => accepted,
            _ = lifecycle::closing(&of.lifecycle) => return,
        };
        match accepted {
            Ok(Accepted::Tcp(stream, address)) => {
                // One that is gone already is found out later.
                let _ = stream.set_nodelay(true);
                if let Some(admitted) = admit(&core, &of, Some(address)) {
                    core.spawn(&of, receive(admitted, stream, TcpStream::into_split));
                }
            }
            Ok(Accepted::Unix(stream)) => {
                if let Some(admitted) = admit(&core, &of, None) {
                    core.spawn(&of, receive(admitted, stream, UnixStream::into_split));
                }
            }
            Err(error) => {
                core.announce(&Event::AcceptFailed { endpoint: endpoint.clone(), reason: error.to_string() });
                // The usual reason is that the process has no file descriptor left; that takes a while to change.
                tokio::select! {
                    () = sleep(Duration::from_millis(100)) => {}
                    _ = lifecycle::closing(&of.lifecycle) => return,
                }
            }
        }
    }
}

/// A peer within the limit.
struct Admitted {
    core: Arc<Core>,
    of: Registered,
    id: PeerId,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.core.connections.fetch_sub(1, Ordering::SeqCst);
    }
}

fn admit(core: &Arc<Core>, of: &Registered, address: Option<SocketAddr>) -> Option<Admitted> {
    let limit = core.options.max_connections;
    let before = core.connections.fetch_add(1, Ordering::SeqCst);
    let admitted = Admitted { core: core.clone(), of: of.clone(), id: core.new_peer(address) };
    let (endpoint, peer) = (of.endpoint.clone(), admitted.id);
    if before >= limit {
        let reason = format!("{before} peers are connected, the limit is {limit} (max_connections)");
        core.announce(&Event::Refused { endpoint, peer, reason });
        return None;
    }
    core.announce(&Event::Accepted { endpoint, peer });
    Some(admitted)
}

async fn receive<S, R, W>(admitted: Admitted, stream: S, split: fn(S) -> (R, W))
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let Admitted { core, of, id } = &admitted;
    let (mut reader, mut writer) = split(stream);
    let mut input = BytesMut::new();
    let shaken = tokio::select! {
        shaken = shake(core, &mut reader, &mut writer, &mut input) => shaken,
        _ = lifecycle::closing(&of.lifecycle) => return,
    };
    let other = match shaken {
        Ok(other) => other,
        Err(reason) => {
            core.announce(&Event::HandshakeFailed { endpoint: of.endpoint.clone(), peer: *id, reason });
            return;
        }
    };
    let mut peer = Peer::new(core);
    let ending = begin(&mut peer, of, *id, other, (&mut reader, &mut writer), input).await;
    drop(peer);
    if let Ending::Broken(reason) = ending {
        core.announce(&Event::Disconnected { endpoint: of.endpoint.clone(), peer: *id, reason });
    }
}
