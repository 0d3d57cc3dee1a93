//! Times in headers become those of the broker.

use super::StompError;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use switchboard_broker::Time;

/// A moment of this machine's clock, and the same in the broker's time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Epoch {
    moment: Instant,
    time: Time,
}

impl Epoch {
    /// It is this time now.
    pub(super) fn new(time: Time) -> Epoch {
        Epoch { moment: Instant::now(), time }
    }

    /// The time after a number of milliseconds; `None` for 0.
    pub(super) fn after(self, name: &str, value: &[u8]) -> Result<Option<Time>, StompError> {
        let millis = millis(name, value)?;
        Ok((millis > 0).then(|| self.now() + Duration::from_millis(millis)))
    }

    /// The time that is a number of milliseconds after the beginning of 1970; `None` for 0. One that is over is now.
    pub(super) fn at(self, name: &str, value: &[u8]) -> Result<Option<Time>, StompError> {
        let millis = millis(name, value)?;
        let left = || {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Duration::from_millis(millis).saturating_sub(since)
        };
        Ok((millis > 0).then(|| self.now() + left()))
    }

    fn now(self) -> Time {
        self.time + self.moment.elapsed()
    }
}

fn millis(name: &str, value: &[u8]) -> Result<u64, StompError> {
    let number = std::str::from_utf8(value).ok().and_then(|value| value.trim().parse().ok());
    number.ok_or_else(|| StompError::new(format!("{name} is not a number of milliseconds")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_never_the_past_is_now_and_the_most_is_far_away() {
        let epoch = Epoch::new(Time(7));
        let most = u64::MAX.to_string();
        for value in [&b"0"[..], b" 0 "] {
            assert_eq!((epoch.after("x", value), epoch.at("x", value)), (Ok(None), Ok(None)));
        }
        let past = epoch.at("x", b"1").unwrap().unwrap();
        assert!(past >= Time(7) && past <= epoch.now());
        assert!(epoch.after("x", b"1").unwrap() >= Some(Time(1007)));
        for far in [epoch.after("x", most.as_bytes()), epoch.at("x", most.as_bytes())] {
            assert!(far.unwrap() > Some(Time(u64::MAX / 2)));
        }
        for wrong in [&b""[..], b"-1", b"1.5", b"x", b"18446744073709551616"] {
            assert!(epoch.after("x", wrong).unwrap_err().message.contains("milliseconds"));
        }
    }
}
