//! Log lines about connections: a quota for each kind, so that no flood of one kind hides a line of another.

use parking_lot::Mutex;
use std::time::{Duration, Instant};

const LINES: u32 = 20;
const PERIOD: Duration = Duration::from_secs(1);

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A connection comes or goes.
    Coming,
    /// A publisher is paused or resumed.
    Flow,
    /// A consumer or subscriber is slow, or its machine is gone.
    Slow,
    /// A peer breaks the protocol, or speaks another one.
    Protocol,
    /// A handshake is not finished.
    Handshake,
    /// A limit of connections, channels or subscriptions is reached, or an operator acts.
    Limit,
}

const KINDS: [(Kind, &str); 6] = [
    (Kind::Coming, "connections that come and go"),
    (Kind::Flow, "paused publishers"),
    (Kind::Slow, "slow connections"),
    (Kind::Protocol, "errors of protocol"),
    (Kind::Handshake, "unfinished handshakes"),
    (Kind::Limit, "limits"),
];

/// Allows a number of lines a second of each kind, for all connections together, and counts the others.
#[derive(Debug)]
pub(crate) struct LogQuota([Mutex<Count>; KINDS.len()]);

#[derive(Debug)]
struct Count {
    begun: Instant,
    logged: u32,
    left_out: u64,
}

impl LogQuota {
    pub(crate) fn new() -> LogQuota {
        LogQuota(KINDS.map(|_| Mutex::new(Count { begun: Instant::now(), logged: 0, left_out: 0 })))
    }

    /// Whether a line may be written now. Logs how many were not, once some may be again. Not to be called under the hub's
    /// lock.
    pub(crate) fn allows(&self, kind: Kind) -> bool {
        let (allowed, left_out) = self.0[kind as usize].lock().next(Instant::now());
        if left_out > 0 {
            let about = KINDS[kind as usize].1;
            tracing::warn!("{left_out} lines about {about} were left out (at most {LINES} a second)");
        }
        allowed
    }
}

impl Count {
    fn next(&mut self, now: Instant) -> (bool, u64) {
        let mut left_out = 0;
        if now.saturating_duration_since(self.begun) >= PERIOD {
            left_out = std::mem::take(&mut self.left_out);
            (self.begun, self.logged) = (now, 0);
        }
        let allowed = self.logged < LINES;
        if allowed {
            self.logged += 1;
        } else {
            self.left_out += 1;
        }
        (allowed, left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_above_the_limit_are_counted_and_reported_in_the_next_period() {
        let begun = Instant::now();
        let mut count = Count { begun, logged: 0, left_out: 0 };
        for _ in 0..LINES {
            assert_eq!(count.next(begun), (true, 0));
        }
        assert_eq!(count.next(begun), (false, 0));
        assert_eq!(count.next(begun + PERIOD), (true, 1));
        assert_eq!(count.next(begun + PERIOD), (true, 0));
    }

    #[test]
    fn a_flood_of_one_kind_hides_no_line_of_another() {
        let quota = LogQuota::new();
        while quota.allows(Kind::Coming) {}
        for (place, (kind, _)) in KINDS.into_iter().enumerate() {
            assert_eq!(kind as usize, place);
            assert_eq!(quota.allows(kind), kind != Kind::Coming);
        }
    }
}
