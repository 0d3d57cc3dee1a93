//! Connections whose first frame is not whole yet: how many there may be, and in which order they begin.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Whom a connection is counted for. A provider gives an IPv6 customer a /64 at least, so that is one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Source(IpAddr);

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Source {
        match address.to_canonical() {
            IpAddr::V6(address) => Source(IpAddr::V6((u128::from(address) >> 64 << 64).into())),
            v4 @ IpAddr::V4(_) => Source(v4),
        }
    }
}

/// Names an unfinished handshake. Older ones have smaller numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

/// Unfinished handshakes. At a limit the oldest one ends, so that the newest client never waits for silent ones.
///
/// Handshakes begin at a limited rate. Those that wait for it take turns by source: a source that comes faster
/// than the rate allows delays itself only.
#[derive(Debug)]
pub(crate) struct Handshakes<T> {
    limit: usize,
    limit_per_source: usize,
    next: u64,
    unfinished: BTreeMap<Ticket, (Source, T)>,
    by_source: HashMap<Source, BTreeSet<Ticket>>,
    waiting: HashMap<Source, VecDeque<Ticket>>,
    /// The sources in `waiting`, the next one first.
    turns: VecDeque<Source>,
    rate: TokenBucket,
}

impl<T: Clone> Handshakes<T> {
    /// Limits of 0 count as 1.
    pub(crate) fn new(limit: usize, limit_per_source: usize, rate: u32, now: Instant) -> Handshakes<T> {
        Handshakes {
            limit: limit.max(1),
            limit_per_source: limit_per_source.max(1),
            next: 0,
            unfinished: BTreeMap::new(),
            by_source: HashMap::new(),
            waiting: HashMap::new(),
            turns: VecDeque::new(),
            rate: TokenBucket::new(rate, now),
        }
    }

    /// Takes a new connection, which waits for its turn from now on. Returns those that end for it.
    pub(crate) fn arrive(&mut self, source: Source, connection: T) -> Vec<T> {
        let mut evicted = Vec::new();
        let own = self.by_source.get(&source);
        if let Some(&oldest) = own.filter(|own| own.len() >= self.limit_per_source).and_then(BTreeSet::first) {
            evicted.extend(self.finish(oldest));
        }
        if self.unfinished.len() >= self.limit {
            evicted.extend(self.evict_oldest());
        }
        let ticket = Ticket(self.next);
        self.next += 1;
        self.unfinished.insert(ticket, (source, connection));
        self.by_source.entry(source).or_default().insert(ticket);
        let waiting = self.waiting.entry(source).or_default();
        if waiting.is_empty() {
            self.turns.push_back(source);
        }
        waiting.push_back(ticket);
        evicted
    }

    /// Ends the oldest, whoever it is.
    pub(crate) fn evict_oldest(&mut self) -> Option<T> {
        let (&oldest, _) = self.unfinished.first_key_value()?;
        self.finish(oldest)
    }

    /// The connection whose turn it is; otherwise when to ask again, if somebody waits.
    pub(crate) fn begin_next(&mut self, now: Instant) -> Result<(Ticket, T), Option<Instant>> {
        while let Some(source) = self.turns.front().copied() {
            let waiting = self.waiting.entry(source).or_default();
            // Those that were evicted meanwhile are unknown.
            while waiting.front().is_some_and(|ticket| !self.unfinished.contains_key(ticket)) {
                waiting.pop_front();
            }
            let Some(&ticket) = waiting.front() else {
                self.turns.pop_front();
                self.waiting.remove(&source);
                continue;
            };
            self.rate.take(now).map_err(Some)?;
            waiting.pop_front();
            let is_last = waiting.is_empty();
            self.turns.pop_front();
            if is_last {
                self.waiting.remove(&source);
            } else {
                self.turns.push_back(source);
            }
            return Ok((ticket, self.unfinished[&ticket].1.clone()));
        }
        Err(None)
    }

    /// The handshake is over, in whatever way. Does nothing if it was evicted.
    pub(crate) fn finish(&mut self, ticket: Ticket) -> Option<T> {
        let (source, connection) = self.unfinished.remove(&ticket)?;
        if let Some(own) = self.by_source.get_mut(&source) {
            own.remove(&ticket);
            if own.is_empty() {
                self.by_source.remove(&source);
            }
        }
        Some(connection)
    }
}

/// A token bucket that holds one second's tokens.
#[derive(Debug)]
struct TokenBucket {
    gap: Duration,
    /// When the bucket would be full again.
    full: Instant,
}

impl TokenBucket {
    /// A rate of 0 counts as 1.
    fn new(per_second: u32, now: Instant) -> TokenBucket {
        TokenBucket { gap: Duration::from_secs(1) / per_second.max(1), full: now }
    }

    /// Takes a token, or returns when there will be one.
    fn take(&mut self, now: Instant) -> Result<(), Instant> {
        let full = self.full.max(now) + self.gap;
        match full.checked_sub(Duration::from_secs(1)) {
            Some(at) if at > now => Err(at),
            _ => {
                self.full = full;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(last: u8) -> Source {
        IpAddr::from([192, 0, 2, last]).into()
    }

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    /// Begins all whose turn it is.
    fn begin(handshakes: &mut Handshakes<u32>, now: Instant) -> Vec<u32> {
        std::iter::from_fn(|| handshakes.begin_next(now).ok().map(|(_, connection)| connection)).collect()
    }

    #[test]
    fn at_the_limit_the_oldest_ends_and_the_newest_begins() {
        let now = later();
        let mut handshakes = Handshakes::new(3, 3, 100, now);
        for number in 0..3 {
            assert!(handshakes.arrive(source(number as u8), number).is_empty());
        }
        assert_eq!(begin(&mut handshakes, now), [0, 1, 2]);
        assert_eq!(handshakes.arrive(source(9), 9), [0]);
        assert_eq!(begin(&mut handshakes, now), [9]);
        assert_eq!(handshakes.arrive(source(0), 10), [1]);
    }

    #[test]
    fn a_finished_handshake_counts_no_more() {
        let now = later();
        let mut handshakes = Handshakes::new(10, 1, 100, now);
        for number in 0..20 {
            assert!(handshakes.arrive(source(1), number).is_empty(), "handshake {number}");
            let (ticket, _) = handshakes.begin_next(now).unwrap();
            assert_eq!(handshakes.finish(ticket), Some(number));
            assert_eq!(handshakes.finish(ticket), None);
        }
        assert!(handshakes.by_source.is_empty() && handshakes.unfinished.is_empty() && handshakes.waiting.is_empty());
    }

    #[test]
    fn a_source_at_its_own_limit_ends_its_own_oldest() {
        let now = later();
        let mut handshakes = Handshakes::new(100, 2, 100, now);
        assert!(handshakes.arrive(source(2), 100).is_empty());
        for number in 0..2 {
            assert!(handshakes.arrive(source(1), number).is_empty());
        }
        for number in 2..10 {
            assert_eq!(handshakes.arrive(source(1), number), [number - 2]);
        }
        assert_eq!(begin(&mut handshakes, now), [100, 8, 9]);
    }

    #[test]
    fn limits_of_0_and_1_let_the_newest_one_in() {
        for limit in [0, 1] {
            let now = later();
            let mut handshakes = Handshakes::new(limit, limit, limit as u32, now);
            assert!(handshakes.arrive(source(1), 1).is_empty());
            assert_eq!(handshakes.arrive(source(2), 2), [1]);
            assert_eq!(begin(&mut handshakes, now), [2]);
        }
    }

    #[test]
    fn an_ipv6_customer_and_a_mapped_address_are_one_source_each() {
        let of = |text: &str| Source::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.2"), of("192.0.2.1"));
    }

    #[test]
    fn a_second_s_tokens_are_there_at_once_and_then_one_every_gap() {
        let now = later();
        let mut handshakes = Handshakes::new(100, 100, 4, now);
        for number in 0..7 {
            handshakes.arrive(source(1), number);
        }
        assert_eq!(begin(&mut handshakes, now), [0, 1, 2, 3]);
        assert_eq!(handshakes.begin_next(now), Err(Some(now + Duration::from_millis(250))));
        assert_eq!(begin(&mut handshakes, now + Duration::from_millis(249)), [0; 0]);
        assert_eq!(begin(&mut handshakes, now + Duration::from_millis(250)), [4]);
        assert_eq!(begin(&mut handshakes, now + Duration::from_millis(900)), [5, 6]);
        assert_eq!(handshakes.begin_next(now), Err(None));
    }

    #[test]
    fn a_source_that_comes_too_fast_delays_itself_only() {
        let now = later();
        let mut handshakes = Handshakes::new(1000, 1000, 10, now);
        for number in 0..500 {
            handshakes.arrive(source(1), number);
        }
        assert_eq!(begin(&mut handshakes, now).len(), 10);
        handshakes.arrive(source(2), 1000);
        handshakes.arrive(source(3), 1001);
        let soon = now + Duration::from_millis(300);
        assert_eq!(begin(&mut handshakes, soon), [10, 1000, 1001]);
    }
}
