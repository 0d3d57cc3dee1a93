//! robots.txt of one origin, as RFC 9309 has it.

use std::fmt;
use std::time::Duration;
use texting_robots::Robot;

/// Bytes of a robots.txt that count.
pub(crate) const LENGTH: usize = 500 << 10;
/// The longest `Crawl-delay` that is kept to.
const LONGEST_DELAY: Duration = Duration::from_secs(10);

/// The rules of an origin for robots.
pub(crate) enum Robots {
    /// There is no robots.txt.
    All,
    /// There is no connection to the origin, for this reason.
    #[cfg(feature = "service")]
    OutOfReach(super::FetchReason),
    /// It cannot be read at present, for this reason: nothing is allowed.
    #[cfg_attr(not(feature = "service"), allow(dead_code, reason = "only the fetcher tells the reason"))]
    Nothing(String),
    /// Its rules for this robot.
    Rules(Box<Robot>),
}

impl fmt::Debug for Robots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Robots::All => "All",
            #[cfg(feature = "service")]
            Robots::OutOfReach(_) => "OutOfReach",
            Robots::Nothing(_) => "Nothing",
            Robots::Rules(_) => "Rules",
        })
    }
}

impl Robots {
    /// From the status and body of an answer.
    pub(crate) fn new(agent: &str, status: u16, body: &[u8]) -> Robots {
        match status {
            200..300 => match Robot::new(agent, &body[..body.len().min(LENGTH)]) {
                Ok(robot) => Robots::Rules(Box::new(robot)),
                // The parser fails at nothing that is known; a file without readable rules forbids nothing.
                Err(_) => Robots::All,
            },
            400..500 if status != 429 => Robots::All,
            _ => Robots::Nothing(format!("status {status}")),
        }
    }

    pub(crate) fn allows(&self, url: &str) -> bool {
        match self {
            Robots::All => true,
            #[cfg(feature = "service")]
            Robots::OutOfReach(_) => false,
            Robots::Nothing(_) => false,
            Robots::Rules(robot) => robot.allowed(url),
        }
    }

    pub(crate) fn delay(&self) -> Duration {
        let Robots::Rules(robot) = self else { return Duration::ZERO };
        let seconds = robot.delay.unwrap_or(0.0);
        Duration::try_from_secs_f32(seconds).unwrap_or(Duration::ZERO).min(LONGEST_DELAY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_for_this_robot_count_before_those_for_all() {
        let text = b"User-agent: *\nDisallow: /\n\nUser-agent: switchboard-news\nDisallow: /private\nCrawl-delay: 3\n";
        let robots = Robots::new("switchboard-news", 200, text);
        assert!(robots.allows("http://a/news") && !robots.allows("http://a/private/x"));
        assert_eq!(robots.delay(), Duration::from_secs(3));
        let other = Robots::new("other", 200, text);
        assert!(!other.allows("http://a/news"));
    }

    #[test]
    fn a_missing_file_allows_all_and_an_unreadable_one_nothing() {
        for (status, allowed) in
            [(200, true), (204, true), (404, true), (403, true), (429, false), (500, false), (503, false)]
        {
            assert_eq!(Robots::new("x", status, b"").allows("http://a/"), allowed, "{status}");
        }
    }

    #[test]
    fn a_delay_is_bounded_whatever_the_file_says() {
        for (text, seconds) in [("0", 0), ("10", 10), ("11", 10), ("1e30", 10), ("-5", 0), ("nan", 0), ("x", 0)] {
            let text = format!("User-agent: *\nCrawl-delay: {text}\n");
            let delay = Robots::new("x", 200, text.as_bytes()).delay();
            assert!(delay.as_secs() <= LONGEST_DELAY.as_secs(), "{text}: {delay:?}");
            if text.contains(": 10") || text.contains(": 11") {
                assert_eq!(delay.as_secs(), seconds, "{text}");
            }
        }
    }

    #[test]
    fn rubbish_is_read_in_bounded_time_and_forbids_nothing() {
        let rubbish = vec![0xFF; LENGTH + 1];
        assert!(Robots::new("x", 200, &rubbish).allows("http://a/"));
    }
}
