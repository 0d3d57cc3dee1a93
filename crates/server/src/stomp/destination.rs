//! Destinations, and the broker's names for them.

use super::StompError;
use bytes::Bytes;
use std::borrow::Cow;
use switchboard_broker::{Attributes, ConnectionId, is_durable, own_name, temporary_queue};

/// Prefixes of other brokers' destinations, and the answer to them.
const REFUSED: [(&[u8], &str); 5] = [
    (b"/temp-topic/", "temporary topics are not supported: use a /topic/ with a random name"),
    (b"/reply-queue/", "there are no reply queues here: answer to the reply-to of the message"),
    (b"/exchange/", "there are no exchanges here: use /topic/... or /queue/..."),
    (b"/amq/queue/", "queues are named /queue/... here"),
    (b"/dsub/", "a durable subscription is a SUBSCRIBE to a /topic/ with activemq.subscriptionName, or durable:true"),
];

/// The beginning of an option in a destination.
const OPTION: &[u8] = b"?consumer.";

/// Destinations of a connection's own temporary queues.
const TEMPORARY: &[u8] = b"/temp-queue/";

/// The broker's name of a destination of a SEND or a `reply-to`. Every byte of it is taken literally.
pub(super) fn channel(name: &[u8], connection: ConnectionId) -> Result<Bytes, StompError> {
    if let Some((_, sentence)) = REFUSED.iter().find(|(prefix, _)| name.starts_with(prefix)) {
        return Err(StompError::new(*sentence));
    }
    match name.strip_prefix(TEMPORARY) {
        Some(b"") => return Err(StompError::new("a temporary queue has a name: /temp-queue/NAME")),
        Some(own) => return Ok(temporary_queue(connection, own)),
        None => {}
    }
    if [&b"/queue/"[..], b"/topic/"].iter().any(|prefix| name.len() > prefix.len() && name.starts_with(prefix)) {
        return Ok(Bytes::copy_from_slice(name));
    }
    Err(StompError::new(format!(
        "the destination {} is none of /queue/..., /topic/... and /temp-queue/...",
        name.escape_ascii()
    )))
}

/// Returns true for the name of a queue that is a destination of STOMP: it has something behind `/queue/`, and no zero byte, which STOMP
/// cannot express. Only there a publisher hears that its message was rejected; other names are left to the native protocol.
pub fn is_stomp_queue(name: &[u8]) -> bool {
    name.strip_prefix(b"/queue/").is_some_and(|rest| !rest.is_empty() && !rest.contains(&0))
}

/// As [`channel`] for a destination of a SUBSCRIBE, which may be a pattern.
pub(super) fn pattern(name: &[u8], connection: ConnectionId) -> Result<Bytes, StompError> {
    let channel = channel(name, connection)?;
    // ActiveMQ's way to ask for what is asked for in headers here.
    if name.windows(OPTION.len()).any(|part| part == OPTION) {
        return Err(StompError::new(
            "options are headers of the SUBSCRIBE here, such as activemq.prefetchSize, and no part of a destination",
        ));
    }
    let is_wild = |part: &[u8]| matches!(part, b"*" | b">" | b"#");
    // The name of a temporary queue is no pattern.
    let is_own = name.starts_with(TEMPORARY);
    let mut levels = name.split(|&byte| byte == b'/').peekable();
    while let Some(level) = levels.next() {
        let mut parts = level.split(|&byte| byte == b'.');
        let is_part = level.len() > 1 && level.iter().any(|byte| matches!(byte, b'*' | b'>'));
        let is_early = level == b">" && levels.peek().is_some();
        if level == b"#" || !is_own && (is_part || is_early) || level.contains(&b'.') && parts.any(is_wild) {
            return Err(StompError::new(format!(
                "wildcards are whole levels between slashes here, * for one and > for the rest, as in /topic/a/>: {}",
                name.escape_ascii()
            )));
        }
    }
    Ok(channel)
}

/// The destination that a message of a channel names: that of its publisher for one that a topic has fed to a durable
/// subscription, and a connection's own temporary queue as the connection names it.
pub(super) fn shown<'a>(channel: &'a [u8], attributes: Option<&'a Attributes>) -> Cow<'a, [u8]> {
    if is_durable(channel) {
        let origin = attributes.and_then(|attributes| attributes.origin());
        return Cow::Borrowed(origin.map_or(channel, |origin| &origin[..]));
    }
    // Nobody but its owner is given what is in it.
    match own_name(channel) {
        Some(own) => Cow::Owned([TEMPORARY, own].concat()),
        None => Cow::Borrowed(channel),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: ConnectionId = ConnectionId(7);

    #[test]
    fn queues_topics_and_temporary_queues_are_destinations_and_nothing_else_is() {
        for name in ["/queue/a", "/topic/a/b", "/topic/*", "/queue/a.b", "/topic/>", "/queue/temp/9/x"] {
            assert_eq!(channel(name.as_bytes(), ME), Ok(name.into()), "{name}");
            assert_eq!(pattern(name.as_bytes(), ME), Ok(name.into()), "{name}");
        }
        for name in ["", "a", "/queue/", "/topic/", "/queueX", "queue/a", "/switchboard/echo", "/exchange/a"] {
            assert!(channel(name.as_bytes(), ME).is_err(), "{name}");
        }
        for name in ["/temp-queue/", "/temp-topic/a", "/reply-queue/a", "/dsub/a", "/temp-queue"] {
            assert!(channel(name.as_bytes(), ME).is_err(), "{name}");
        }
    }

    #[test]
    fn a_queue_of_stomp_has_something_behind_its_prefix_and_no_zero_byte() {
        for (name, is_queue) in [
            (&b"/queue/a"[..], true),
            (b"/queue/a/b\xff\n", true),
            (b"/queue/", false),
            (b"/queue", false),
            (b"/queues/a", false),
            (b"/queue/a\0", false),
            (b"/topic/a", false),
        ] {
            assert_eq!(is_stomp_queue(name), is_queue, "{}", name.escape_ascii());
            assert!(!is_queue || channel(name, ME).is_ok());
        }
    }

    #[test]
    fn wildcards_of_other_brokers_are_refused_in_patterns_only() {
        for name in ["/topic/a.>", "/topic/a.#", "/topic/a.*.b", "/topic/#", "/topic/a/#/b"] {
            assert!(pattern(name.as_bytes(), ME).unwrap_err().message.contains("/topic/a/>"), "{name}");
            assert_eq!(channel(name.as_bytes(), ME), Ok(name.into()));
        }
        assert!(pattern(b"/temp-queue/a.>", ME).is_err());
        let options = b"/queue/a?consumer.prefetchSize=1";
        assert!(pattern(options, ME).unwrap_err().message.contains("options are headers"));
        assert!(channel(options, ME).is_ok() && pattern(b"/queue/a?b", ME).is_ok());
    }

    #[test]
    fn a_wildcard_that_is_no_whole_level_or_has_a_level_behind_the_rest_is_refused_in_patterns_only() {
        for name in ["/topic/>/x", "/topic/a/>/", "/topic/>/>", "/topic/a>", "/topic/>a", "/topic/a*", "/topic/**/b"] {
            assert!(pattern(name.as_bytes(), ME).unwrap_err().message.contains("/topic/a/>"), "{name}");
            assert_eq!(channel(name.as_bytes(), ME), Ok(name.into()));
        }
        for name in ["/topic/a/>", "/topic/*/x", "/topic/*/*", "/topic/*/>", "/topic/c#"] {
            assert_eq!(pattern(name.as_bytes(), ME), Ok(name.into()), "{name}");
        }
        assert!(pattern(b"/temp-queue/a*>", ME).is_ok());
    }

    #[test]
    fn a_temporary_queue_is_the_connections_own_and_shown_to_it_as_it_was_named() {
        for own in [&b"x"[..], b"a/b", b"/", b"*", b"\xff\0", "\u{e4} \u{2603}".as_bytes(), b"7/x"] {
            let name = [TEMPORARY, own].concat();
            let found = channel(&name, ME).unwrap();
            assert_eq!(found, [b"/queue/temp/7/", own].concat());
            assert_eq!(shown(&found, None), name);
        }
    }

    #[test]
    fn a_message_of_a_durable_subscription_names_the_topic_that_it_was_published_to() {
        let attributes = Attributes::default();
        let attributes = attributes.with_origin(Bytes::from_static(b"/topic/a"));
        let of = |channel| shown(channel, Some(&attributes)).into_owned();
        assert_eq!(of(b"/queue/subscription/me/x"), b"/topic/a");
        assert_eq!(of(b"/queue/dead/queue/subscription/me/x"), b"/queue/dead/queue/subscription/me/x");
        assert_eq!(of(b"/queue/a"), b"/queue/a");
        assert_eq!(shown(b"/queue/subscription/me/x", None), &b"/queue/subscription/me/x"[..]);
    }
}
