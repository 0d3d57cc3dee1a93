use std::time::Duration;

/// The bounds of one service's HTTP, over all of its listeners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections; default 512. Never more than an eighth of the files that the process may open, so that HTTP
    /// leaves the other ports theirs. At the limit a new connection closes the oldest one without a complete request,
    /// else the one that has not read for longest; where neither exists it gets 503. Three quarters of them may be
    /// answered at a time, beside `/healthz` and `/readyz`; a further request gets 503.
    pub connections: usize,
    /// Bytes of a request's head, with its first line; default 16 KiB. A longer one gets 431, or 414 for its first line.
    pub header: usize,
    /// Bytes of a request's body; default 1 MiB. A longer one gets 413.
    pub body: usize,
    /// Time limit for a head from its first byte on; default 10 s. A slower one gets 408.
    pub header_timeout: Duration,
    /// Time limit for a body; default 30 s. A slower one gets 408.
    pub body_timeout: Duration,
    /// Longest time between the requests of a connection; default 60 s.
    pub idle_timeout: Duration,
    /// Time limit for reading 16 KiB that wait for a client; default 30 s. A slower one is disconnected, and so
    /// is one whose machine no longer acknowledges.
    pub write_timeout: Duration,
}

/// A limit that cannot be kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting} = {value} is not allowed: it must be {allowed}")]
pub struct LimitError {
    setting: &'static str,
    value: String,
    allowed: &'static str,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 512,
            header: 16 << 10,
            body: 1 << 20,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(30),
        }
    }
}

impl Limits {
    /// Least and greatest time-out.
    const TIMEOUTS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(86_400));

    /// Checks each limit against its bounds.
    ///
    /// # Errors
    /// If one is out of bounds; the error names the setting, the value and the bounds.
    pub fn check(&self) -> Result<(), LimitError> {
        let size = |setting, value: usize, least, most, allowed| {
            let error = || LimitError { setting, value: value.to_string(), allowed };
            if (least..=most).contains(&value) { Ok(()) } else { Err(error()) }
        };
        size("http.connections", self.connections, 1, 100_000, "from 1 to 100000")?;
        size("http.header", self.header, 1 << 10, 64 << 10, "from 1KiB to 64KiB")?;
        size("body", self.body, 1, 1 << 30, "from 1 byte to 1GiB")?;
        for (setting, value) in [
            ("http.header-timeout", self.header_timeout),
            ("http.body-timeout", self.body_timeout),
            ("http.idle-timeout", self.idle_timeout),
            ("http.write-timeout", self.write_timeout),
        ] {
            if value < Limits::TIMEOUTS.0 || value > Limits::TIMEOUTS.1 {
                return Err(LimitError { setting, value: format!("{value:?}"), allowed: "from 10ms to 1d" });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_allowed_at_its_bounds_and_refused_beyond_them() {
        type Set = fn(&mut Limits, u64);
        let millis: [(&str, Set); 4] = [
            ("http.header-timeout", |limits, value| limits.header_timeout = Duration::from_millis(value)),
            ("http.body-timeout", |limits, value| limits.body_timeout = Duration::from_millis(value)),
            ("http.idle-timeout", |limits, value| limits.idle_timeout = Duration::from_millis(value)),
            ("http.write-timeout", |limits, value| limits.write_timeout = Duration::from_millis(value)),
        ];
        let sizes: [(&str, Set, u64, u64); 3] = [
            ("http.connections", |limits, value| limits.connections = value as usize, 1, 100_000),
            ("http.header", |limits, value| limits.header = value as usize, 1024, 65_536),
            ("body", |limits, value| limits.body = value as usize, 1, 1 << 30),
        ];
        let all = millis.map(|(name, set)| (name, set, 10, 86_400_000)).into_iter().chain(sizes);
        for (name, set, least, most) in all {
            for (value, allowed) in
                [(0, false), (least - 1, false), (least, true), (most, true), (most + 1, false), (u64::MAX >> 1, false)]
            {
                let mut limits = Limits::default();
                set(&mut limits, value);
                let checked = limits.check();
                assert_eq!(checked.is_ok(), allowed, "{name} {value}");
                if let Err(error) = checked {
                    assert!(error.to_string().starts_with(name), "{error}");
                }
            }
        }
    }
}
