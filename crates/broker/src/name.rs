use bytes::Bytes;

/// The channel that returns its data to the sender alone.
pub const ECHO: &[u8] = b"/switchboard/echo";

/// How a channel hands out its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Every message to every subscriber.
    Topic,
    /// Each message to one worker.
    Queue,
}

impl Kind {
    /// A name that begins with `/queue` is a queue's, every other one a topic's.
    pub fn of(name: &[u8]) -> Kind {
        if name.starts_with(b"/queue") { Kind::Queue } else { Kind::Topic }
    }
}

/// Names one channel, or all that it matches: levels are separated by `/`, the level `*` stands
/// for any one level, a last level `>` for one or more. A pattern that begins with `/queue`
/// matches queues only, every other one topics only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Bytes);

impl Pattern {
    /// Any bytes are a pattern.
    pub fn new(pattern: impl Into<Bytes>) -> Pattern {
        Pattern(pattern.into())
    }

    /// As it was given.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// Whether it can match one channel only: that of its own name.
    pub fn is_literal(&self) -> bool {
        let mut levels = levels(&self.0).peekable();
        while let Some(level) = levels.next() {
            if level == b"*" || (level == b">" && levels.peek().is_none()) {
                return false;
            }
        }
        true
    }

    /// Whether it matches the channel of this name.
    pub fn matches(&self, name: &[u8]) -> bool {
        if Kind::of(&self.0) != Kind::of(name) {
            return false;
        }
        let (mut wanted, mut found) = (levels(&self.0).peekable(), levels(name));
        loop {
            match (wanted.next(), found.next()) {
                (None, None) => return true,
                (Some(b">"), Some(_)) if wanted.peek().is_none() => return true,
                (Some(want), Some(find)) if want == b"*" || want == find => {}
                _ => return false,
            }
        }
    }
}

pub(crate) fn levels(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    name.split(|&byte| byte == b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &'static str, name: &str, matches: bool) {
        let pattern = Pattern::new(pattern);
        assert_eq!(pattern.matches(name.as_bytes()), matches, "{pattern:?} and {name}");
    }

    #[test]
    fn a_name_beginning_with_queue_is_point_to_point_every_other_one_publish_subscribe() {
        for queue in ["/queue", "/queue/a", "/queueX"] {
            assert_eq!(Kind::of(queue.as_bytes()), Kind::Queue, "{queue}");
        }
        for topic in ["/Queue", "queue/a", "x", "", "/topic/queue", "/null", "/queu"] {
            assert_eq!(Kind::of(topic.as_bytes()), Kind::Topic, "{topic}");
        }
        assert_eq!(Kind::of(b"\xff\x00"), Kind::Topic);
    }

    #[test]
    fn a_star_is_one_level_and_a_last_arrow_the_rest() {
        check("/topic/*", "/topic/a", true);
        check("/topic/*", "/topic/", true);
        check("/topic/*", "/topic/a/b", false);
        check("/topic/*", "/topic", false);
        check("/*/a", "/topic/a", true);
        check("/topic/>", "/topic/a/b", true);
        check("/topic/>", "/topic", false);
        check("/topic/>/a", "/topic/x/a", false);
        check("/topic/>/a", "/topic/>/a", true);
        check("/topic/a*", "/topic/ab", false);
        check("x", "x", true);
        check("", "", true);
    }

    #[test]
    fn a_queue_pattern_matches_queues_any_other_topics() {
        check("/queue/>", "/queue/a", true);
        check(">", "/queue/a", false);
        check("/*/a", "/queue/a", false);
        check(">", "/topic/a", true);
    }

    #[test]
    fn literal_patterns_are_told_from_wild_ones() {
        for (pattern, literal) in [("/a/b", true), ("/a/*", false), ("/>", false), ("/>/a", true), ("/a*", true)] {
            assert_eq!(Pattern::new(pattern).is_literal(), literal, "{pattern}");
        }
    }
}
