//! The status of a cache.

use super::state::{Inner, Phase};
use crate::cache::Usage;
use crate::{Error, Identity, clock};
use std::time::Duration;
use tokio::time::Instant;

/// The status of a cache.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// Why the change feed is down, if it is.
    pub problem: Option<Error>,
    /// Time since the change feed came, or was lost.
    pub since: Duration,
    /// Time until the next try to connect; zero while one is under way, and while the feed stands.
    pub next_try: Duration,
    /// Age that no cached row exceeds; `None` while reads go to the database.
    pub age: Option<Duration>,
    /// The database.
    pub identity: Option<Identity>,
    /// The tables, in the order in which they were given.
    pub tables: Vec<TableStatus>,
    /// Contents of the cache in numbers.
    pub usage: Usage,
}

/// The status of one table.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TableStatus {
    /// Its name.
    pub name: String,
    /// Why it is not cached, if it is not.
    pub problem: Option<Error>,
}

impl Inner {
    pub(super) fn status(&self) -> Status {
        let tables =
            self.tables.iter().map(|slot| TableStatus { name: slot.name.to_string(), problem: slot.problem() });
        let now = Instant::now();
        let (since, next_try) = {
            let times = self.times.lock();
            (now.saturating_duration_since(times.since), times.next_try.saturating_duration_since(now))
        };
        Status {
            problem: match &*self.phase.borrow() {
                Phase::Live => None,
                Phase::Starting => Some(Error::unavailable("it has not answered yet")),
                Phase::Down(error) => Some(error.clone()),
            },
            since,
            next_try,
            age: self.cache.age(clock::now()),
            identity: *self.identity.lock(),
            tables: tables.collect(),
            usage: self.cache.usage(),
        }
    }
}
