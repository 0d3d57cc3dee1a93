//! State that tasks and callers share.

use super::events::EventLog;
use super::metrics::Counters;
use super::options::Options;
use super::refresh::Queue;
use crate::cache::{Cache, Markers, TableId};
use crate::database::{Identity, Pool};
use crate::table::Table;
use crate::{Database, Error, TableSpec};
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::sync::Arc;
use switchboard_web::LineQuota;
use tokio::sync::watch;
use tokio::time::Instant;

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
    pub(super) times: Mutex<Times>,
    /// Time of the last line about the notification queue.
    pub(super) queue_told: Mutex<Option<Instant>>,
    pub(super) markers: Markers,
    pub(super) refresh: Queue,
    pub(super) events: EventLog,
    /// Of events.
    pub(super) lines: LineQuota,
    pub(super) metrics: Counters,
}

#[derive(Clone, Debug)]
pub(super) enum Phase {
    Starting,
    Live,
    Down(Error),
}

/// When the phase came, and when the next try to connect begins.
#[derive(Debug)]
pub(super) struct Times {
    pub(super) since: Instant,
    pub(super) next_try: Instant,
}

#[derive(Debug)]
pub(super) struct TableSlot {
    pub(super) spec: TableSpec,
    /// Its name, shared by its events.
    pub(super) name: Arc<str>,
    state: RwLock<TableState>,
}

#[derive(Clone, Debug)]
struct TableState {
    table: Option<Arc<Table>>,
    problem: Option<Error>,
}

impl TableSlot {
    fn new(spec: TableSpec) -> TableSlot {
        let problem = Some(Error::unavailable("it has not answered yet"));
        TableSlot { name: spec.name.as_str().into(), spec, state: RwLock::new(TableState { table: None, problem }) }
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

    /// Asks the table, if it is cached: without a count of its users, which all threads would change.
    pub(super) fn cached<T>(&self, ask: impl FnOnce(&Table) -> Option<T>) -> Option<T> {
        let state = self.state.read();
        state.table.as_deref().filter(|_| state.problem.is_none()).and_then(ask)
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

    /// The database did not answer: reads of a table that was never read say why.
    pub(super) fn never_answered(&self, error: &Error) {
        let mut state = self.state.write();
        if state.table.is_none() && !matches!(state.problem, Some(Error::Table { .. })) {
            state.problem = Some(error.clone());
        }
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
        let now = Instant::now();
        Ok(Arc::new(Inner {
            database,
            pool,
            cache,
            tables: specs.into_iter().map(TableSlot::new).collect(),
            names,
            identity: Mutex::default(),
            phase: watch::Sender::new(Phase::Starting),
            times: Mutex::new(Times { since: now, next_try: now }),
            queue_told: Mutex::default(),
            markers: Markers::default(),
            refresh: Queue::default(),
            events: EventLog::new(options.changes),
            lines: LineQuota::new(Instant::now().into_std()),
            metrics: Counters::default(),
            options,
        }))
    }

    pub(super) fn id(&self, table: &str) -> Result<TableId, Error> {
        let id = self.names.get(table).copied();
        id.ok_or_else(|| Error::NotServed { table: table.to_owned() })
    }

    pub(super) fn slot(&self, id: TableId) -> &TableSlot {
        &self.tables[usize::from(id.0)]
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = TableId> {
        (0..u16::try_from(self.tables.len()).expect("there are at most 1,000")).map(TableId)
    }

    pub(super) fn set_phase(&self, phase: Phase) {
        let was_live = matches!(self.phase.send_replace(phase.clone()), Phase::Live);
        if was_live != matches!(phase, Phase::Live) {
            self.times.lock().since = Instant::now();
        }
    }
}
