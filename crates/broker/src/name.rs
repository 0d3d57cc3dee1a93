use crate::ConnectionId;
use bytes::Bytes;

/// The channel that returns its data to the sender alone.
pub const ECHO: &[u8] = b"/switchboard/echo";

/// Kinds of channels.
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

/// Prefix of the names of dead-letter queues.
const DEAD: &[u8] = b"/queue/dead/";

/// Prefix of the names of temporary queues.
const TEMPORARY: &[u8] = b"/queue/temp/";

/// Prefix of the names of durable subscriptions' queues.
const DURABLE: &[u8] = b"/queue/subscription/";

/// Names that only patterns match which begin in the same way.
const APART: [&[u8]; 3] = [DEAD, DURABLE, TEMPORARY];

/// Returns true for the name of a queue that holds the dead letters of another one.
pub fn is_dead(name: &[u8]) -> bool {
    name.starts_with(DEAD)
}

/// Returns true for the name of a temporary queue, which ends with the connection that owns it.
pub fn is_temporary(name: &[u8]) -> bool {
    name.starts_with(TEMPORARY)
}

/// The temporary queue of a connection with a name of the connection's choice: `/queue/temp/<connection>/<name>`.
pub fn temporary_queue(owner: ConnectionId, name: &[u8]) -> Bytes {
    [TEMPORARY, owner.0.to_string().as_bytes(), b"/", name].concat().into()
}

/// The connection that owns a temporary queue, by its name; `None` where the name says no connection.
pub(crate) fn owner_of(name: &[u8]) -> Option<ConnectionId> {
    let (number, own) = owned_parts(name)?;
    let owner = ConnectionId(std::str::from_utf8(number).ok()?.parse().ok()?);
    // One number has one name.
    (!own.is_empty() && owner.0.to_string().as_bytes() == number).then_some(owner)
}

/// The name that its owner gave a temporary queue; `None` for other channels.
pub fn own_name(name: &[u8]) -> Option<&[u8]> {
    owned_parts(name).map(|(_, own)| own)
}

/// The number and the own name in the name of a temporary queue.
fn owned_parts(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = name.strip_prefix(TEMPORARY)?;
    let slash = rest.iter().position(|&byte| byte == b'/')?;
    Some((&rest[..slash], &rest[slash + 1..]))
}

/// The queue of a durable subscription: `/queue/subscription/<client>/<name>`. A client with a slash would be another's.
pub fn durable_queue(client: &[u8], name: &[u8]) -> Bytes {
    [DURABLE, client, b"/", name].concat().into()
}

/// Returns true for the name of a queue that a durable subscription has.
pub fn is_durable(name: &[u8]) -> bool {
    name.starts_with(DURABLE)
}

/// The queue of a queue's dead letters: its whole name without the first slash, under `/queue/dead/`.
pub(crate) fn dead_letters_of(name: &[u8]) -> Bytes {
    [DEAD, name.strip_prefix(b"/").unwrap_or(name)].concat().into()
}

/// Names one channel, or all that it matches: levels are separated by `/`, the level `*` stands
/// for any one level, a last level `>` for one or more. A pattern that begins with `/queue`
/// matches queues only, every other one topics only. Names under `/queue/dead/`, `/queue/subscription/` and `/queue/temp/`
/// are matched by patterns alone that begin with that.
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

    /// Whether it begins as a name does that is apart, if the name is.
    pub(crate) fn may_see(&self, name: &[u8]) -> bool {
        APART.iter().all(|prefix| !name.starts_with(prefix) || self.0.starts_with(prefix))
    }

    /// Whether it matches the channel of this name.
    pub fn matches(&self, name: &[u8]) -> bool {
        if Kind::of(&self.0) != Kind::of(name) || !self.may_see(name) {
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
    fn dead_letters_durable_subscriptions_and_temporary_queues_are_matched_by_patterns_that_begin_so() {
        for prefix in ["/queue/dead", "/queue/subscription", "/queue/temp"] {
            let name = format!("{prefix}/queue/a");
            for pattern in ["/queue/>", "/queue/*/queue/a", "/queue/*/>", "/queue/*/queue/*"] {
                check(pattern, &name, false);
            }
        }
        check("/queue/dead/>", "/queue/dead/queue/a", true);
        check("/queue/dead/queue/*", "/queue/dead/queue/a", true);
        check("/queue/dead/queue/a", "/queue/dead/queue/a", true);
        check("/queue/subscription/*/x", "/queue/subscription/me/x", true);
        check("/queue/>", "/queue/dead", true);
        check("/queue/>", "/queue/deadly/x", true);
        check("/queue/temp/7/>", "/queue/temp/7/x", true);
        check("/queue/>", "/queue/temporary/x", true);
    }

    #[test]
    fn a_temporary_queue_names_its_owner() {
        for (id, name) in [(7, "x"), (0, "a/b/*"), (u64::MAX, "/")] {
            let queue = temporary_queue(ConnectionId(id), name.as_bytes());
            assert!(is_temporary(&queue));
            assert_eq!(owner_of(&queue), Some(ConnectionId(id)));
            assert_eq!(own_name(&queue), Some(name.as_bytes()));
        }
        assert_eq!(temporary_queue(ConnectionId(7), b"x"), "/queue/temp/7/x");
        let wrong = ["", "/", "7", "7/", "/x", "07/x", "+7/x", "-1/x", "*/x", ">", "18446744073709551616/x", "x/7"];
        for wrong in wrong {
            assert_eq!(owner_of(format!("/queue/temp/{wrong}").as_bytes()), None, "{wrong}");
        }
        assert_eq!(owner_of(b"/queue/temporary/7/x"), None);
    }

    #[test]
    fn a_queues_dead_letters_have_its_whole_name_without_the_first_slash() {
        for (name, dead) in
            [("/queue/x", "/queue/dead/queue/x"), ("/queue", "/queue/dead/queue"), ("/queueX/", "/queue/dead/queueX/")]
        {
            assert_eq!(dead_letters_of(name.as_bytes()), dead);
            assert!(is_dead(dead.as_bytes()) && !is_dead(name.as_bytes()));
        }
        assert_eq!(dead_letters_of(b"/queue/a/\xff"), &b"/queue/dead/queue/a/\xff"[..]);
    }

    #[test]
    fn literal_patterns_are_told_from_wild_ones() {
        for (pattern, literal) in [("/a/b", true), ("/a/*", false), ("/>", false), ("/>/a", true), ("/a*", true)] {
            assert_eq!(Pattern::new(pattern).is_literal(), literal, "{pattern}");
        }
    }
}
