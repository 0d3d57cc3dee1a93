//! Sockets of one process: no wire between them, and no handshake. What one side would write, the other takes as
//! if it had read it, so that both keep to the same rules.

use super::connection::Ending;
use super::dial::Backoff;
use super::life;
use crate::core::{Core, Life};
use crate::peer::Peer;
use crate::session::{Brought, Session};
use crate::{Endpoint, Error, Event};
use bytes::BytesMut;
use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

/// Who listens, by name.
static LISTENERS: LazyLock<Mutex<HashMap<String, Arc<Core>>>> = LazyLock::new(Mutex::default);
/// Told when somebody new does.
static NEW: Notify = Notify::const_new();

fn listeners() -> MutexGuard<'static, HashMap<String, Arc<Core>>> {
    LISTENERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A name that is free again when this is dropped.
pub(crate) struct Bound(String);

impl Drop for Bound {
    fn drop(&mut self) {
        listeners().remove(&self.0);
    }
}

pub(crate) fn bind(core: &Arc<Core>, name: &str) -> Result<Bound, Error> {
    let mut listeners = listeners();
    if listeners.contains_key(name) {
        let source = io::Error::new(io::ErrorKind::AddrInUse, "another socket of this process listens there");
        return Err(Error::Bind { endpoint: format!("inproc://{name}"), source: Arc::new(source) });
    }
    listeners.insert(name.into(), core.clone());
    drop(listeners);
    NEW.notify_waiters();
    Ok(Bound(name.into()))
}

/// Listens until the endpoint is let go of.
pub(crate) async fn serve(_bound: Bound, life: watch::Receiver<Life>) {
    life::closing(&life).await;
}

/// Connects, and connects again, until the endpoint is let go of.
pub(crate) async fn connect(core: Arc<Core>, name: String, mut peer: Peer, life: watch::Receiver<Life>) {
    let endpoint = Endpoint::Inproc(name.clone());
    let mut backoff = Backoff::new(&core.options);
    loop {
        let listener = tokio::select! {
            listener = listener(&name) => listener,
            () = life::over(&life, peer.unsent()) => return,
        };
        if core.kind.talks_to(listener.kind) {
            for (core, other) in [(&core, listener.kind), (&listener, core.kind)] {
                let identity = Vec::new();
                let endpoint = endpoint.clone();
                core.tell(&Event::HandshakeSucceeded { endpoint, peer: other, minor: 1, identity });
            }
            let ending = meet(&core, &mut peer, &listener, &life).await;
            peer.end();
            let Ending::Broken(reason) = ending else { return };
            for core in [&core, &listener] {
                core.tell(&Event::Disconnected { endpoint: endpoint.clone(), reason: reason.clone() });
            }
            backoff.reset();
        } else {
            let reason = format!("a {} does not talk to a {}", listener.kind, core.kind);
            core.tell(&Event::HandshakeFailed { endpoint: endpoint.clone(), reason });
        }
        drop(listener);
        let after = backoff.pause(fastrand::f64());
        core.tell(&Event::RetryIn { endpoint: endpoint.clone(), after });
        tokio::select! {
            () = sleep(after) => {}
            () = life::over(&life, peer.unsent()) => return,
        }
    }
}

async fn listener(name: &str) -> Arc<Core> {
    loop {
        let new = NEW.notified();
        if let Some(core) = listeners().get(name).filter(|core| *core.life.borrow() == Life::Open) {
            return core.clone();
        }
        new.await;
    }
}

/// Moves messages both ways, until one of the two is closed.
async fn meet(core: &Arc<Core>, peer: &mut Peer, listener: &Arc<Core>, life: &watch::Receiver<Life>) -> Ending {
    let _counted = listener.count();
    let mut other = Peer::new(listener);
    peer.begin();
    other.begin();
    let now = Instant::now();
    let mut session = Session::new(core.kind, 1, &core.options, now);
    let mut other_session = Session::new(listener.kind, 1, &listener.options, now);
    let (mut input, mut other_input) = (BytesMut::new(), BytesMut::new());
    let other_life = listener.life.subscribe();
    loop {
        let moved = transfer((peer, &mut session), (&mut other, &mut other_session, &listener.wants), &mut other_input);
        let back = transfer((&mut other, &mut other_session), (peer, &mut session, &core.wants), &mut input);
        let moved = match (moved, back) {
            (Ok(moved), Ok(back)) => moved || back,
            (Err(reason), _) | (_, Err(reason)) => return Ending::Broken(reason),
        };
        if moved {
            tokio::task::yield_now().await;
            continue;
        }
        let (this, that) = (life::end(life), life::end(&other_life));
        if this.is_some_and(|end| peer.unsent() == 0 || end <= Instant::now()) {
            return Ending::Finished;
        }
        if that.is_some_and(|end| other.unsent() == 0 || end <= Instant::now()) {
            return Ending::Broken("the other socket was closed".into());
        }
        tokio::select! {
            () = peer.wake.notified() => {}
            () = other.wake.notified() => {}
            () = life::over(life, usize::from(this.is_some())) => {}
            () = life::over(&other_life, usize::from(that.is_some())) => {}
        }
    }
}

/// Moves what there is, as one would write and the other read. Says whether there was anything.
fn transfer(
    (from, from_session): (&mut Peer, &mut Session),
    (to, to_session, wants): (&mut Peer, &mut Session, &crate::wants::Wants),
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
    let mut brought = Brought::default();
    to_session.received(input, wants, Instant::now(), &mut brought).map_err(|fault| fault.to_string())?;
    to.brought(&mut brought).map_err(|error| error.to_string())?;
    Ok(true)
}
