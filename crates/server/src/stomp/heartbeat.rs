//! Heart-beats in both directions. Time is an argument.

use std::time::{Duration, Instant};

/// The server offers no shorter interval, in either direction.
const SHORTEST: Duration = Duration::from_millis(100);

/// The peer is dead after so many of its intervals without a byte.
const MISSED: u32 = 2;

/// Due action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beat {
    /// Nothing before this time.
    At(Instant),
    /// A line end is to be sent.
    Send,
    /// The peer was silent for too long.
    Dead,
}

/// When to send, and when to expect something.
#[derive(Clone, Debug)]
pub(crate) struct Heartbeat {
    /// A quarter of what the peer expects: two looks between which nothing was written are half of it apart.
    sends: Option<(Duration, Instant)>,
    /// Bytes that were written when it was looked at last.
    written: u64,
    expects: Option<(Duration, Instant)>,
}

impl Heartbeat {
    /// The intervals of a `heart-beat` header in milliseconds: what the peer can send, and what it would like to get.
    /// Gives what the answer says, and when to do what; `None` if nobody wants any.
    pub(super) fn agree(can_send: u64, wants: u64, now: Instant) -> ((u64, u64), Option<Heartbeat>) {
        let interval = |millis: u64| (millis > 0).then(|| Duration::from_millis(millis).max(SHORTEST));
        let (sends, expects) = (interval(wants), interval(can_send));
        let named = |interval: Option<Duration>| interval.map_or(0, |interval| interval.as_millis() as u64);
        // A time too far away to be told is never.
        let begin = |interval: Duration| now.checked_add(interval).map(|at| (interval, at));
        let heartbeat = Heartbeat {
            sends: sends.and_then(|interval| begin(interval / 4)),
            written: 0,
            expects: expects.and_then(|interval| begin(interval.saturating_mul(MISSED))),
        };
        let is_any = heartbeat.sends.is_some() || heartbeat.expects.is_some();
        ((named(sends), named(expects)), is_any.then_some(heartbeat))
    }

    /// The peer sent something, or what it has sent waits to be read.
    pub(crate) fn heard(&mut self, now: Instant) {
        if let Some((interval, at)) = &mut self.expects {
            *at = now.checked_add(*interval).unwrap_or(*at);
        }
    }

    /// The time without a byte after which the peer is dead; zero if nothing is expected of it.
    pub(crate) fn silence(&self) -> Duration {
        self.expects.map_or(Duration::ZERO, |(silence, _)| silence)
    }

    /// Says what is due, where so many bytes were written in all.
    pub(crate) fn poll(&mut self, now: Instant, written: u64) -> Beat {
        if self.expects.is_some_and(|(_, at)| at <= now) {
            return Beat::Dead;
        }
        if let Some((interval, at)) = &mut self.sends
            && *at <= now
        {
            *at = now.checked_add(*interval).unwrap_or(*at);
            if std::mem::replace(&mut self.written, written) == written {
                return Beat::Send;
            }
        }
        let next = [self.sends, self.expects].into_iter().flatten().map(|(_, at)| at).min();
        Beat::At(next.unwrap_or(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn zero_is_no_heartbeat_and_a_short_interval_is_made_longer() {
        let now = Instant::now();
        let answer = |can, wants| Heartbeat::agree(can, wants, now).0;
        assert!(Heartbeat::agree(0, 0, now).1.is_none());
        assert_eq!(answer(0, 0), (0, 0));
        assert_eq!(answer(0, 1000), (1000, 0));
        assert_eq!(answer(2000, 1000), (1000, 2000));
        assert_eq!((answer(99, 1), answer(100, 100), answer(101, 101)), ((100, 100), (100, 100), (101, 101)));
        let (_, never) = Heartbeat::agree(u64::MAX, u64::MAX, now);
        if let Some(mut never) = never {
            assert!(matches!(never.poll(now + millis(1 << 40), 0), Beat::At(_)));
        }
    }

    #[test]
    fn beats_and_data_are_never_more_than_half_the_interval_apart() {
        for written_at in 0..2000 {
            let now = Instant::now();
            let mut heartbeat = Heartbeat::agree(0, 1000, now).1.unwrap();
            let (mut written, mut last) = (0, 0);
            for at in 0..4000 {
                if at == written_at {
                    (written, last) = (written + 1, at);
                }
                if heartbeat.poll(now + millis(at), written) == Beat::Send {
                    assert!(at - last >= 250 || last == written_at, "beats at {last} and {at}");
                    (written, last) = (written + 1, at);
                }
                assert!(at - last <= 500, "nothing from {last} to {at}, data at {written_at}");
            }
        }
    }

    #[test]
    fn the_next_look_is_a_quarter_of_the_interval_away() {
        let now = Instant::now();
        let mut heartbeat = Heartbeat::agree(0, 1000, now).1.unwrap();
        assert_eq!(heartbeat.poll(now, 0), Beat::At(now + millis(250)));
        assert_eq!(heartbeat.poll(now + millis(249), 0), Beat::At(now + millis(250)));
        assert_eq!(heartbeat.poll(now + millis(250), 0), Beat::Send);
        assert_eq!(heartbeat.poll(now + millis(250), 1), Beat::At(now + millis(500)));
    }

    #[test]
    fn a_peer_is_dead_after_two_silent_intervals() {
        let now = Instant::now();
        let mut heartbeat = Heartbeat::agree(1000, 0, now).1.unwrap();
        assert_eq!(heartbeat.poll(now + millis(1999), 0), Beat::At(now + millis(2000)));
        heartbeat.heard(now + millis(1999));
        assert_eq!(heartbeat.poll(now + millis(3998), 0), Beat::At(now + millis(3999)));
        assert_eq!((heartbeat.poll(now + millis(3999), 0), heartbeat.silence()), (Beat::Dead, millis(2000)));
    }
}
