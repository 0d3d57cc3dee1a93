//! What the tasks and the callers share.

use super::metrics::Counters;
use super::options::Options;
use super::refresh::Queue;
use crate::cache::{Cache, TableId, Usage};
use crate::database::{Identity, Pool};
use crate::table::Table;
use crate::{Database, Error, TableSpec, clock};
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{Notify, watch};

const TABLES: usize = 1000;

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) database: Database,
    pub(super) pool: Arc<Pool>,
    pub(super) options: Options,
    pub(super) cache: Arc<Cache>,
    pub(super) tables: Vec<TableSlot>,
    names: HashMap<String, TableId>,
    pub(super) identity: Mutex<Option<Identity>>,
    pub(super) phase: watch::Sender<Phase>,
    pub(super) markers: Markers,
    pub(super) refresh: Queue,
    pub(super) changes: broadcast::Sender<RowChange>,
    pub(super) metrics: Counters,
}

/// Markers, numbered from 1 over all connections.
#[derive(Debug)]
pub(super) struct Markers {
    /// Number of the newest that was begun.
    pub(super) begun: AtomicU64,
    /// Number of the newest that came back.
    pub(super) done: watch::Sender<u64>,
    /// Somebody waits for one.
    pub(super) demand: Notify,
}

#[derive(Clone, Debug)]
pub(super) enum Phase {
    Starting,
    Live,
    Down(Error),
}

#[derive(Debug)]
pub(super) struct TableSlot {
    pub(super) spec: TableSpec,
    state: RwLock<TableState>,
}

#[derive(Clone, Debug)]
struct TableState {
    table: Option<Arc<Table>>,
    problem: Option<Error>,
}

impl TableSlot {
    pub(super) fn name(&self) -> String {
        self.spec.name.clone()
    }

    /// The table, if it can be served at all.
    pub(super) fn table(&self) -> Result<Arc<Table>, Error> {
        let state = self.state.read();
        match (&state.table, &state.problem) {
            (Some(table), _) => Ok(table.clone()),
            (None, Some(problem)) => Err(problem.clone()),
            (None, None) => Err(Error::unavailable("it has not answered yet")),
        }
    }

    /// Why the table is not cached.
    pub(super) fn problem(&self) -> Option<Error> {
        self.state.read().problem.clone()
    }

    pub(super) fn is_cached(&self) -> bool {
        self.state.read().problem.is_none()
    }

    pub(super) fn set(&self, table: Option<Arc<Table>>, problem: Option<Error>) {
        *self.state.write() = TableState { table, problem };
    }

    /// Stops caching until [`TableSlot::set`].
    pub(super) fn suspend(&self, problem: Error) {
        self.state.write().problem = Some(problem);
    }
}

impl Inner {
    pub(super) fn new(
        database: Database,
        pool: Arc<Pool>,
        specs: Vec<TableSpec>,
        options: Options,
    ) -> Result<Arc<Inner>, Error> {
        let wrong = |reason: &str| Err(Error::refused(reason));
        if specs.is_empty() {
            return wrong("there is no table to serve");
        }
        if specs.len() > TABLES {
            return wrong("more than 1,000 tables cannot be served");
        }
        let mut names = HashMap::new();
        for (at, spec) in specs.iter().enumerate() {
            let id = TableId(u16::try_from(at).expect("there are at most 1,000"));
            if names.insert(spec.name.clone(), id).is_some() {
                return wrong(&format!("table {} was given twice", spec.name));
            }
        }
        let count = u16::try_from(specs.len()).expect("there are at most 1,000");
        let cache = Cache::with_disabled(count, options.limits, options.disabled.cache);
        let state =
            || RwLock::new(TableState { table: None, problem: Some(Error::unavailable("it has not answered yet")) });
        let tables = specs.into_iter().map(|spec| TableSlot { spec, state: state() }).collect();
        Ok(Arc::new(Inner {
            database,
            pool,
            cache,
            tables,
            names,
            identity: Mutex::default(),
            phase: watch::Sender::new(Phase::Starting),
            markers: Markers { begun: AtomicU64::new(0), done: watch::Sender::new(0), demand: Notify::new() },
            refresh: Queue::default(),
            changes: broadcast::channel(options.changes).0,
            metrics: Counters::default(),
            options,
        }))
    }

    pub(super) fn id(&self, table: &str) -> Result<TableId, Error> {
        let id = self.names.get(table).copied();
        id.ok_or_else(|| Error::table(table, "it is not among the tables that are served"))
    }

    pub(super) fn slot(&self, id: TableId) -> &TableSlot {
        &self.tables[usize::from(id.0)]
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = TableId> {
        (0..u16::try_from(self.tables.len()).expect("there are at most 1,000")).map(TableId)
    }

    pub(super) fn subscribe(&self) -> Changes {
        Changes(self.changes.subscribe())
    }

    pub(super) fn tell(&self, change: RowChange) {
        // An error means that nobody listens.
        let _ = self.changes.send(change);
    }

    pub(super) fn status(&self) -> Status {
        let tables = self.tables.iter().map(|slot| TableStatus { name: slot.name(), problem: slot.problem() });
        Status {
            problem: match &*self.phase.borrow() {
                Phase::Live => None,
                Phase::Starting => Some(Error::unavailable("it has not answered yet")),
                Phase::Down(error) => Some(error.clone()),
            },
            age: self.cache.age(clock::now()),
            identity: *self.identity.lock(),
            tables: tables.collect(),
            usage: self.cache.usage(),
        }
    }
}

/// How a cache is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// Why the change feed is down, if it is.
    pub problem: Option<Error>,
    /// Age that no cached row exceeds; `None` while reads go to the database.
    pub age: Option<Duration>,
    /// The database.
    pub identity: Option<Identity>,
    /// The tables, in the order in which they were given.
    pub tables: Vec<TableStatus>,
    /// What is cached.
    pub usage: Usage,
}

/// How one table is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TableStatus {
    /// Its name.
    pub name: String,
    /// Why it is not cached, if it is not.
    pub problem: Option<Error>,
}

/// A change that somebody made, or a gap in what is known of them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RowChange {
    /// An event, as the trigger sent it.
    Event {
        /// The table.
        table: TableId,
        /// JSON: `{"table","id","type","data"}`.
        event: Arc<str>,
    },
    /// Changes were missed: the feed was lost, or this subscriber was slow and `missed` events were dropped.
    Gap {
        /// Events dropped; 0 after a lost feed, where nobody counts.
        missed: u64,
    },
}

/// The changes of all tables, in the order of the feed.
#[derive(Debug)]
pub struct Changes(broadcast::Receiver<RowChange>);

impl Changes {
    /// Waits for the next change; `None` once the cache has ended.
    pub async fn next(&mut self) -> Option<RowChange> {
        match self.0.recv().await {
            Ok(change) => Some(change),
            Err(RecvError::Lagged(missed)) => Some(RowChange::Gap { missed }),
            Err(RecvError::Closed) => None,
        }
    }
}
