use crate::cache::{Disabled, Limits};
use std::time::Duration;

/// Which rows are read again after a change, before somebody asks for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Refresh {
    /// None.
    Off,
    /// Rows that were cached.
    Cached,
    /// Rows that were written: every instance holds them.
    #[default]
    Written,
}

/// Options of a [`RowCache`](crate::RowCache).
#[derive(Clone, Debug)]
pub struct Options {
    /// Limits of the cache.
    pub limits: Limits,
    /// Connections for reads and writes, at least one; two more listen and prove freshness.
    pub connections: usize,
    /// Time for one statement, from 10 ms to an hour. The server ends it after 90 % of that, and its wait for a lock
    /// after 80 %, so that it is known whether a write happened.
    pub query_timeout: Duration,
    /// Time between two markers when nobody asks for one; at most a quarter of `limits.max_age`.
    pub marker_interval: Duration,
    /// Time for a marker to come back before its connections are made again; from 100 ms to an hour.
    pub marker_timeout: Duration,
    /// Installs triggers that are missing; otherwise a table without them is not cached.
    pub install_triggers: bool,
    /// Creates the table `patron (id serial PRIMARY KEY, name text, fav_dish text)` if it is asked for and missing.
    pub create_demo_table: bool,
    /// Which rows are read again after a change.
    pub refresh: Refresh,
    /// Rows a second that the sampler compares with the database; 0 turns it off.
    pub samples: u32,
    /// Part of the notification queue, from 0 to 1, from which on listeners that do not read are ended.
    pub queue_limit: f64,
    /// Changes that are kept for subscribers, of at most 8,000 bytes each; from 1 to 1,048,576.
    pub changes: usize,
    /// Parts that a test switches off.
    #[doc(hidden)]
    pub disabled: DisabledParts,
}

/// Safety parts that a test switches off, to see that the tests notice.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default)]
pub struct DisabledParts {
    /// Safety parts of the pure cache.
    pub cache: Disabled,
    /// A write leaves the cached row to its event.
    pub own_write: bool,
    /// A changed table is not noticed.
    pub fingerprint: bool,
    /// There is no TRUNCATE trigger.
    pub truncate_trigger: bool,
    /// Strong reads do not wait for a marker.
    pub strong_marker: bool,
    /// A reconnect keeps what was cached.
    pub reconnect: bool,
    /// A marker counts as soon as it was sent.
    pub echo: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            limits: Limits::default(),
            connections: 8,
            query_timeout: Duration::from_secs(5),
            marker_interval: Duration::from_millis(250),
            marker_timeout: Duration::from_secs(2),
            install_triggers: true,
            create_demo_table: false,
            refresh: Refresh::default(),
            samples: 4,
            queue_limit: 0.25,
            changes: 1024,
            disabled: DisabledParts::default(),
        }
    }
}

impl Options {
    /// Times after which the server ends a statement, and its wait for a lock. They are below ours, so that it says what
    /// it did before we stop waiting.
    pub(super) fn server_limits(&self) -> (Duration, Duration) {
        (self.query_timeout * 9 / 10, self.query_timeout * 8 / 10)
    }

    /// Brings every value within its bounds.
    pub(super) fn checked(mut self) -> Options {
        const HOUR: Duration = Duration::from_secs(3600);
        self.connections = self.connections.clamp(1, 1000);
        self.query_timeout = self.query_timeout.clamp(Duration::from_millis(10), HOUR);
        self.marker_timeout = self.marker_timeout.clamp(Duration::from_millis(100), HOUR);
        let most = (self.limits.max_age / 4).clamp(Duration::from_millis(1), HOUR);
        self.marker_interval = self.marker_interval.clamp(Duration::from_millis(1), most);
        self.changes = self.changes.clamp(1, 1 << 20);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_ends_a_statement_before_we_stop_waiting_for_it() {
        for millis in [10, 11, 5000, 3_600_000] {
            let options = Options { query_timeout: Duration::from_millis(millis), ..Options::default() }.checked();
            let (statement, lock) = options.server_limits();
            // In the server's unit.
            let [statement, lock] = [statement, lock].map(|time| time.as_millis());
            assert!(0 < lock && lock < statement && statement < u128::from(millis), "{lock} {statement} {millis}");
        }
    }

    #[test]
    fn every_value_is_brought_within_its_bounds() {
        let zero = Options {
            connections: 0,
            query_timeout: Duration::ZERO,
            marker_interval: Duration::ZERO,
            marker_timeout: Duration::ZERO,
            changes: 0,
            ..Options::default()
        };
        let zero = zero.checked();
        assert_eq!((zero.connections, zero.changes), (1, 1));
        assert_eq!(zero.query_timeout, Duration::from_millis(10));
        assert_eq!(zero.marker_timeout, Duration::from_millis(100));
        assert_eq!(zero.marker_interval, Duration::from_millis(1));
        let most = Options {
            connections: usize::MAX,
            query_timeout: Duration::MAX,
            marker_interval: Duration::MAX,
            marker_timeout: Duration::MAX,
            changes: usize::MAX,
            ..Options::default()
        };
        let most = most.checked();
        assert_eq!((most.connections, most.changes), (1000, 1 << 20));
        assert_eq!(most.query_timeout, Duration::from_secs(3600));
        assert_eq!(most.marker_interval, most.limits.max_age / 4);
    }
}
