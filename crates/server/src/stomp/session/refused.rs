//! Headers of other brokers that are not supported here: refused with a sentence, never ignored.

use super::StompError;
use switchboard_broker::Kind;
use switchboard_wire::stomp::Frame;

/// A header, the values that ask for nothing, and the answer to all others.
type Refused = (&'static [u8], &'static [&'static [u8]], &'static str);

const OFF: &[&[u8]] = &[b"", b"0", b"false"];

/// In SEND.
pub(super) const SEND: [Refused; 11] = [
    (b"AMQ_SCHEDULED_PERIOD", OFF, "repeated delivery is not supported"),
    (b"AMQ_SCHEDULED_REPEAT", OFF, "repeated delivery is not supported"),
    (b"AMQ_SCHEDULED_CRON", &[b""], "delivery by a calendar is not supported"),
    (b"x-delay", &[b"", b"0"], "a delay in milliseconds is named AMQ_SCHEDULED_DELAY here"),
    (b"transformation", &[b""], "bodies are bytes here, and are not transformed"),
    (b"AMQ_SCHEDULED_TIME", OFF, "a delay in milliseconds is named AMQ_SCHEDULED_DELAY here"),
    (b"_AMQ_SCHED_DELIVERY", OFF, "a delay in milliseconds is named AMQ_SCHEDULED_DELAY here"),
    (b"_AMQ_GROUP_ID", &[b""], "the group of a message is named JMSXGroupID here"),
    (b"_AMQ_LVQ_NAME", &[b""], "no queue keeps the last value alone: a topic does, of a message with retain:true"),
    (b"_AMQ_DUPL_ID", &[b""], "duplicates are not looked for"),
    (b"ActiveMQ.Retain", OFF, "a topic's value is sent with retain:true here"),
];

/// In SUBSCRIBE.
pub(super) const SUBSCRIBE: [Refused; 35] = [
    (b"selector", &[b""], "selectors are not supported: use a destination for each kind of message"),
    (
        b"activemq.retroactive",
        OFF,
        "retroactive subscriptions are not supported: a value sent with retain:true is kept",
    ),
    (b"activemq.noLocal", OFF, "a subscriber cannot leave out its own messages here"),
    (b"no-local", OFF, "a subscriber cannot leave out its own messages here"),
    (b"activemq.priority", OFF, "priorities of consumers are not supported"),
    (b"activemq.dispatchAsync", &[b"", b"true", b"false"], "dispatchAsync is true or false"),
    (b"activemq.maximumPendingMessageLimit", OFF, "the limits of subscribers are settings of the server"),
    (b"browser", OFF, "browsing over STOMP is not supported"),
    (b"transformation", &[b""], "bodies are bytes here, and are not transformed"),
    (b"x-queue-name", &[b""], "a queue is named by its destination here"),
    (b"x-queue-type", &[b"", b"classic"], "there is one type of queue here, in memory"),
    (b"x-dead-letter-exchange", &[b""], "there are no exchanges here: dead letters go to /queue/dead/"),
    (b"x-dead-letter-routing-key", &[b""], "dead letters go to /queue/dead/ and the name of their queue"),
    (b"x-message-ttl", &[b""], "this is the setting message-ttl here, or the header expiration of a message"),
    (
        b"x-expires",
        &[b""],
        "an unused queue without messages is forgotten at once; use /temp-queue/ for one that ends with you",
    ),
    (b"x-max-length", &[b""], "this is the setting queue-messages here"),
    (b"x-max-length-bytes", &[b""], "this is the setting queue here"),
    (b"x-overflow", &[b""], "this is the setting overflow here"),
    (b"x-delivery-limit", &[b""], "this is the setting max-deliveries here"),
    (b"x-max-priority", &[b"", b"9", b"10"], "every queue has the priorities 0 to 9 here"),
    (b"x-priority", OFF, "priorities of consumers are not supported"),
    (b"x-queue-mode", &[b"", b"default"], "there is one mode of queues here, in memory"),
    (b"x-stream-offset", &[b""], "there are no streams here"),
    (b"x-stream-filter", &[b""], "there are no streams here"),
    (b"x-stream-match-unfiltered", OFF, "there are no streams here"),
    (b"x-stream-max-segment-size-bytes", &[b""], "there are no streams here"),
    (b"x-stream-filter-size-bytes", &[b""], "there are no streams here"),
    (b"x-max-age", &[b""], "there are no streams here: the time to live of messages is the setting message-ttl"),
    (b"x-consumer-timeout", &[b""], "this is the setting ack-timeout here"),
    (b"x-quorum-initial-group-size", &[b""], "there is one type of queue here, in memory"),
    (b"x-max-in-memory-length", &[b""], "every message is in memory here"),
    (b"x-max-in-memory-bytes", &[b""], "every message is in memory here"),
    (b"x-dead-letter-strategy", &[b""], "dead letters go to /queue/dead/ and the name of their queue"),
    (b"consumer-window-size", &[b""], "the prefetch is counted in messages here: activemq.prefetchSize"),
    (b"consumer.prefetchSize", &[b""], "the prefetch is named activemq.prefetchSize here"),
];

/// Fails if a header of Artemis asks that a queue be treated as a topic, or the other way round: the destination says what it is.
pub(super) fn check_routing(name: &str, value: &[u8], kind: Kind) -> Result<(), StompError> {
    match (value, kind) {
        (b"", _) | (b"ANYCAST", Kind::Queue) | (b"MULTICAST", Kind::Topic) => Ok(()),
        _ => Err(StompError::new(format!(
            "{name}: a destination /queue/... is ANYCAST and one /topic/... is MULTICAST here"
        ))),
    }
}

/// Fails if the first header of a name in the table asks for something that is not supported.
pub(super) fn check_all(refused: &[Refused], frame: &Frame<'_>) -> Result<(), StompError> {
    for (name, ..) in refused {
        frame.header(name).map_or(Ok(()), |value| check(refused, name, &value))?;
    }
    Ok(())
}

/// Fails if the header asks for something that is not supported.
pub(super) fn check(refused: &[Refused], name: &[u8], value: &[u8]) -> Result<(), StompError> {
    for (refused, off, sentence) in refused {
        if *refused == name && !off.contains(&value) {
            return Err(StompError::new(format!("{}: {sentence}", name.escape_ascii())));
        }
    }
    Ok(())
}
