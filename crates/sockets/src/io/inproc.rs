//! Sockets of one process: no wire between them, and no handshake. What one side would write, the other takes as
//! if it had read it, so that both keep to the same rules.

use super::connection::Ending;
use super::dial::backoff;
use super::lifecycle;
use crate::core::{Core, Lifecycle, Registered};
use crate::peer::Peer;
use crate::session::{Incoming, Session};
use crate::subscriptions::Subscriptions;
use crate::{Endpoint, Error, Event};
use bytes::BytesMut;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::sync::{Arc, LazyLock};
use std::time::Instant;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

/// The bound sockets, by name.
static LISTENERS: LazyLock<Mutex<HashMap<String, Listener>>> = LazyLock::new(Mutex::default);
/// Notified when a name is bound.
static NEW: Notify = Notify::const_new();

#[derive(Clone)]
struct Listener {
    core: Arc<Core>,
    lifecycle: watch::Receiver<Lifecycle>,
}

/// A name that is free again when this is dropped.
pub(crate) struct BoundName(String);

impl Drop for BoundName {
    fn drop(&mut self) {
        let listener = LISTENERS.lock().remove(&self.0);
        // Without the lock: it may be the last owner of its socket.
        drop(listener);
    }
}

pub(crate) fn bind(core: &Arc<Core>, name: &str, of: &Registered) -> Result<BoundName, Error> {
    let mut listeners = LISTENERS.lock();
    if listeners.contains_key(name) {
        let source = io::Error::new(io::ErrorKind::AddrInUse, "another socket of this process listens there");
        return Err(Error::Bind { endpoint: of.endpoint.to_string(), source: Arc::new(source) });
    }
    listeners.insert(name.into(), Listener { core: core.clone(), lifecycle: of.lifecycle.clone() });
    drop(listeners);
    NEW.notify_waiters();
    Ok(BoundName(name.into()))
}

/// Connects, and connects again, until the endpoint is disconnected.
pub(crate) async fn connect(core: Arc<Core>, mut peer: Peer, of: Registered) {
    let Endpoint::Inproc(name) = &of.endpoint else { unreachable!("of another kind") };
    let endpoint = &of.endpoint;
    let mut backoff = backoff(&core.options);
    loop {
        let listener = tokio::select! {
            listener = listener(name) => listener,
            () = lifecycle::over(&of.lifecycle, || peer.unsent()) => return,
        };
        let ids = [core.new_peer(None), listener.core.new_peer(None)];
        let both = [(&core, ids[0], listener.core.kind), (&listener.core, ids[1], core.kind)];
        if core.kind.talks_to(listener.core.kind) {
            for (core, peer, socket_type) in both {
                let (endpoint, identity) = (endpoint.clone(), Vec::new());
                core.announce(&Event::HandshakeSucceeded { endpoint, peer, socket_type, minor: 1, identity });
            }
            let ending = serve(&core, &mut peer, &listener, &of.lifecycle).await;
            peer.end();
            let Ending::Broken(reason) = ending else { return };
            for (core, peer, _) in both {
                core.announce(&Event::Disconnected { endpoint: endpoint.clone(), peer, reason: reason.clone() });
            }
            backoff.reset();
        } else {
            let reason = format!("a {} does not talk to a {}", listener.core.kind, core.kind);
            core.announce(&Event::HandshakeFailed { endpoint: endpoint.clone(), peer: ids[0], reason });
        }
        drop(listener);
        let after = backoff.pause(fastrand::f64());
        core.announce(&Event::RetryIn { endpoint: endpoint.clone(), after });
        tokio::select! {
            () = sleep(after) => {}
            () = lifecycle::over(&of.lifecycle, || peer.unsent()) => return,
        }
    }
}

async fn listener(name: &str) -> Listener {
    loop {
        let new = NEW.notified();
        let listener = LISTENERS.lock().get(name).cloned();
        if let Some(listener) = listener.filter(|listener| *listener.lifecycle.borrow() == Lifecycle::Open) {
            return listener;
        }
        new.await;
    }
}

/// Moves messages both ways, until one of the two is closed.
async fn serve(
    core: &Arc<Core>,
    peer: &mut Peer,
    listener: &Listener,
    lifecycle: &watch::Receiver<Lifecycle>,
) -> Ending {
    let other_lifecycle = &listener.lifecycle;
    let listener = &listener.core;
    let _counted = listener.count();
    let mut other = Peer::new(listener);
    peer.begin();
    other.begin();
    let now = Instant::now();
    let mut session = Session::new(core.kind, 1, &core.options, now);
    let mut other_session = Session::new(listener.kind, 1, &listener.options, now);
    let (mut input, mut other_input) = (BytesMut::new(), BytesMut::new());
    loop {
        let moved =
            transfer((peer, &mut session), (&mut other, &mut other_session, &listener.subscriptions), &mut other_input);
        let back = transfer((&mut other, &mut other_session), (peer, &mut session, &core.subscriptions), &mut input);
        let moved = match (moved, back) {
            (Ok(moved), Ok(back)) => moved || back,
            (Err(reason), _) | (_, Err(reason)) => return Ending::Broken(reason),
        };
        if moved {
            tokio::task::yield_now().await;
            continue;
        }
        let (this, that) = (lifecycle::end(lifecycle), lifecycle::end(other_lifecycle));
        if that.is_some() {
            other.retire();
        }
        if this.is_some_and(|end| peer.unsent() == 0 || end.has_passed(Instant::now())) {
            return Ending::Finished;
        }
        if that.is_some_and(|end| other.unsent() == 0 || end.has_passed(Instant::now())) {
            return Ending::Broken("the other socket was closed".into());
        }
        tokio::select! {
            () = peer.wake.notified() => {}
            () = other.wake.notified() => {}
            () = lifecycle::over(lifecycle, || usize::from(this.is_some())) => {}
            () = lifecycle::over(other_lifecycle, || usize::from(that.is_some())) => {}
        }
    }
}

/// Moves what there is, as one would write and the other read. Returns true if there was anything.
fn transfer(
    (from, from_session): (&mut Peer, &mut Session),
    (to, to_session, subscriptions): (&mut Peer, &mut Session, &Subscriptions),
    input: &mut BytesMut,
) -> Result<bool, String> {
    if !to.lane.has_room() {
        return Ok(false);
    }
    from.fill(from_session);
    let mut slices = [IoSlice::new(&[]); 16];
    let count = from.flight.slices(&mut slices);
    if count == 0 {
        return Ok(false);
    }
    slices[..count].iter().for_each(|slice| input.extend_from_slice(slice));
    let moved = slices[..count].iter().map(|slice| slice.len()).sum();
    from.flight.advance(moved);
    let mut incoming = Incoming::default();
    to_session.received(input, subscriptions, Instant::now(), &mut incoming).map_err(|fault| fault.to_string())?;
    to.deliver(&mut incoming).map_err(|error| error.to_string())?;
    Ok(true)
}
