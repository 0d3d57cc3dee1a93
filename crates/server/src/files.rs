//! Limit of connections by the process's limit of open files.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use switchboard_broker::Limits;

/// Files that are kept for everything but the native port: HTTP, the data directory, services of this process.
const RESERVE: usize = 512;

/// Count of the native port's open connections, and its limit.
#[derive(Debug)]
pub(crate) struct OpenConnections {
    open: AtomicUsize,
    limit: usize,
}

/// One open connection, from its accept until its socket is closed.
#[derive(Debug)]
pub(crate) struct OpenConnection(Arc<OpenConnections>);

impl OpenConnections {
    pub(crate) fn new(limit: usize) -> Arc<OpenConnections> {
        Arc::new(OpenConnections { open: AtomicUsize::new(0), limit })
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Counts one more, and returns whether there is room for it.
    pub(crate) fn add(self: &Arc<OpenConnections>) -> (OpenConnection, bool) {
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        (OpenConnection(self.clone()), before < self.limit)
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Limit of the native port's sockets: a part of the open files, at most half of them, stays for others, and at least what they need.
pub(crate) fn connection_limit(open_files: u64, reserved: usize) -> usize {
    let files = usize::try_from(open_files).unwrap_or(usize::MAX);
    files.saturating_sub(RESERVE.min(files / 2).max(reserved)).max(1)
}

/// Returns true if so few sockets contradict the setting `connections`. Its default is nobody's wish, so it counts only where less
/// than half of it can be had.
pub(crate) fn is_worth_a_warning(sockets: usize, connections: usize) -> bool {
    let is_chosen = connections != Limits::default().connections;
    sockets < if is_chosen { connections } else { connections / 2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_that_cannot_be_had_is_mentioned_only_where_most_of_it_is_missing() {
        let default = Limits::default().connections;
        for (sockets, connections, is_mentioned) in [
            (default - 1, default, false),
            (default / 2, default, false),
            (default / 2 - 1, default, true),
            (0, default, true),
            (default, default + 1, true),
            (default + 1, default + 1, false),
            (9, 10, true),
            (10, 10, false),
            (usize::MAX, usize::MAX, false),
        ] {
            assert_eq!(is_worth_a_warning(sockets, connections), is_mentioned, "{sockets} of {connections}");
        }
    }

    #[test]
    fn a_part_of_the_open_files_is_kept_for_others() {
        assert_eq!(connection_limit(20_512, 0), 20_000);
        assert_eq!(connection_limit(1025, 0), 513);
        assert_eq!(connection_limit(1024, 0), 512);
        assert_eq!(connection_limit(1023, 0), 512);
        assert_eq!(connection_limit(256, 0), 128);
        for (reserved, limit) in [(127, 128), (128, 128), (129, 127), (255, 1), (256, 1), (257, 1)] {
            assert_eq!(connection_limit(256, reserved), limit, "{reserved}");
        }
        assert_eq!(connection_limit(1, 0), 1);
        assert_eq!(connection_limit(0, 0), 1);
        assert_eq!(connection_limit(u64::MAX, 0), usize::MAX - RESERVE);
    }

    #[test]
    fn an_ended_connection_makes_room() {
        let open = OpenConnections::new(1);
        let (first, fits) = open.add();
        assert!(fits);
        let (second, fits) = open.add();
        assert!(!fits);
        drop(first);
        assert!(!open.add().1);
        drop(second);
        assert!(open.add().1);
    }
}
