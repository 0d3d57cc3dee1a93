//! Which destinations there are.

use super::StompError;

/// Prefixes of other brokers' destinations, and the answer to them.
const REFUSED: [(&[u8], &str); 6] = [
    (b"/temp-queue/", "temporary queues are not supported yet: use a /queue/ with a random name"),
    (b"/temp-topic/", "temporary topics are not supported: use a /topic/ with a random name"),
    (b"/reply-queue/", "reply queues are not supported: use a /queue/ with a random name"),
    (b"/exchange/", "there are no exchanges here: use /topic/... or /queue/..."),
    (b"/amq/queue/", "queues are named /queue/... here"),
    (b"/dsub/", "durable subscriptions are not supported yet"),
];

/// Checks a destination of a SEND. Every byte of it is taken literally.
pub(super) fn check(name: &[u8]) -> Result<(), StompError> {
    if let Some((_, sentence)) = REFUSED.iter().find(|(prefix, _)| name.starts_with(prefix)) {
        return Err(StompError::new(*sentence));
    }
    if [&b"/queue/"[..], b"/topic/"].iter().any(|prefix| name.len() > prefix.len() && name.starts_with(prefix)) {
        return Ok(());
    }
    Err(StompError::new(format!("the destination {} is neither /queue/... nor /topic/...", name.escape_ascii())))
}

/// Checks a destination of a SUBSCRIBE, which may be a pattern.
pub(super) fn check_pattern(name: &[u8]) -> Result<(), StompError> {
    check(name)?;
    let is_wild = |part: &[u8]| matches!(part, b"*" | b">" | b"#");
    for level in name.split(|&byte| byte == b'/') {
        let mut parts = level.split(|&byte| byte == b'.');
        if level == b"#" || level.contains(&b'.') && parts.any(is_wild) {
            return Err(StompError::new(format!(
                "wildcards are whole levels between slashes here, * for one and > for the rest, as in /topic/a/>: {}",
                name.escape_ascii()
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_and_topics_are_destinations_and_nothing_else_is() {
        for name in ["/queue/a", "/topic/a/b", "/topic/*", "/queue/a.b", "/topic/>"] {
            assert_eq!(check(name.as_bytes()), Ok(()), "{name}");
            assert_eq!(check_pattern(name.as_bytes()), Ok(()), "{name}");
        }
        for name in
            ["", "a", "/queue/", "/topic/", "/queueX", "queue/a", "/switchboard/echo", "/exchange/a", "/temp-queue/a"]
        {
            assert!(check(name.as_bytes()).is_err(), "{name}");
        }
    }

    #[test]
    fn wildcards_of_other_brokers_are_refused_in_patterns_only() {
        for name in ["/topic/a.>", "/topic/a.#", "/topic/a.*.b", "/topic/#", "/topic/a/#/b"] {
            assert!(check_pattern(name.as_bytes()).unwrap_err().message.contains("/topic/a/>"), "{name}");
            assert_eq!(check(name.as_bytes()), Ok(()), "{name}");
        }
    }
}
