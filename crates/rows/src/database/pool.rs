//! Sessions for reads and writes. Each is of the database that the change feed listens to.

use super::{Database, Identity, Session};
use crate::Error;
use parking_lot::Mutex;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

#[derive(Debug)]
pub(crate) struct Pool {
    database: Database,
    settings: String,
    permits: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Session>,
    /// The feed's database, once it is known.
    identity: Option<Identity>,
    /// Counts the feed's connections: a session from before one may lead elsewhere.
    generation: u64,
}

impl Pool {
    pub(crate) fn new(database: Database, size: usize, settings: String) -> Arc<Pool> {
        let permits = Arc::new(Semaphore::new(size.clamp(1, Semaphore::MAX_PERMITS)));
        Arc::new(Pool { database, settings, permits, state: Mutex::default() })
    }

    /// The feed has a new connection: earlier sessions are closed.
    pub(crate) fn renew(&self, identity: Identity) {
        let mut state = self.state.lock();
        state.identity = Some(identity);
        state.generation += 1;
        state.idle.clear();
    }

    /// Takes a session, and waits for one for at most `time`.
    pub(crate) async fn take(self: &Arc<Self>, time: Duration) -> Result<Pooled, Error> {
        let permit = timeout(time, self.permits.clone().acquire_owned()).await;
        let permit = match permit {
            Ok(Ok(permit)) => permit,
            _ => return Err(Error::unavailable("every connection is busy")),
        };
        let (generation, expected) = {
            let mut state = self.state.lock();
            while let Some(session) = state.idle.pop() {
                if session.is_usable() {
                    let generation = state.generation;
                    return Ok(Pooled { session: Some(session), generation, pool: self.clone(), _permit: permit });
                }
            }
            (state.generation, state.identity)
        };
        let session = self.database.session(&self.settings).await?;
        if let Some(expected) = expected
            && expected != session.identity
        {
            expected.check_next(session.identity)?;
            // The feed will follow, and then this is the right one.
            return Err(Error::unavailable("another server was promoted"));
        }
        Ok(Pooled { session: Some(session), generation, pool: self.clone(), _permit: permit })
    }
}

/// A session that goes back to its pool, unless a statement of it was abandoned.
#[derive(Debug)]
pub(crate) struct Pooled {
    session: Option<Session>,
    generation: u64,
    pool: Arc<Pool>,
    _permit: OwnedSemaphorePermit,
}

impl Deref for Pooled {
    type Target = Session;

    fn deref(&self) -> &Session {
        self.session.as_ref().expect("taken in drop alone")
    }
}

impl DerefMut for Pooled {
    fn deref_mut(&mut self) -> &mut Session {
        self.session.as_mut().expect("taken in drop alone")
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else { return };
        let mut state = self.pool.state.lock();
        if session.is_usable() && state.generation == self.generation {
            state.idle.push(session);
        }
    }
}
