//! Log lines about connections: a quota for each kind, so that no flood of one kind hides a line of another.

use std::time::Instant;
use switchboard_driver::quantity::plural;
use switchboard_web::{LINES, LineQuota};

/// Subject of a line.
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
pub(crate) struct LogQuota([LineQuota; KINDS.len()]);

impl LogQuota {
    pub(crate) fn new() -> LogQuota {
        LogQuota(KINDS.map(|_| LineQuota::new(Instant::now())))
    }

    /// Whether a line may be written now. Logs how many were not, once some may be again. Not to be called under the hub's
    /// lock.
    pub(crate) fn allows(&self, kind: Kind) -> bool {
        let (quota, now) = (&self.0[kind as usize], Instant::now());
        if let Some(left_out) = quota.report(now) {
            let about = KINDS[kind as usize].1;
            let left_out = plural(left_out, "line");
            tracing::warn!("left out {left_out} about {about} (at most {LINES} a second)");
        }
        quota.allows(now)
    }
}

/// Returns true if a line of this level may be written now. One that nobody wants to see takes nothing of the quota.
macro_rules! allows {
    ($quota:expr, $kind:ident, $level:ident) => {
        tracing::enabled!($crate::log::allows!(@$level)) && $quota.allows($crate::log::Kind::$kind)
    };
    (@debug) => { tracing::Level::DEBUG };
    (@info) => { tracing::Level::INFO };
    (@warn) => { tracing::Level::WARN };
}
pub(crate) use allows;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_below_the_level_of_the_log_are_not_counted() {
        let quota = LogQuota::new();
        tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::default(), || {
            assert!((0..5 * LINES).all(|_| !allows!(quota, Coming, debug)));
        });
        assert!((0..LINES).all(|_| quota.allows(Kind::Coming)) && !quota.allows(Kind::Coming));
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
