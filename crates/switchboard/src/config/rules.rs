//! Channel rules: `[[channel]]` of a file, `--channel` of the command line.

use super::kinds::{Count, Flag, Kind, Overflow, Policy, Size, Span, quote};
use super::settings::LIMIT;
use super::{kind, not_allowed, refused, unknown};
use anyhow::{Context, Result};
use std::fmt::Write;
use std::time::Duration;
use switchboard_broker::{ChannelRule, DeliveryRule, OverflowPolicy, Pattern, QueueOverflow};

/// The channels for which a key of a rule means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    All,
    Topics,
    Queues,
}

/// The keys of a rule beside `match`.
const KEYS: [(&str, Scope); 12] = [
    ("policy", Scope::Topics),
    ("buffer-unsubscribed", Scope::Topics),
    ("queue", Scope::All),
    ("queue-messages", Scope::Queues),
    ("overflow", Scope::Queues),
    ("prefetch", Scope::Queues),
    ("max-deliveries", Scope::Queues),
    ("redelivery-backoff", Scope::Queues),
    ("redelivery-backoff-max", Scope::Queues),
    ("ack-timeout", Scope::Queues),
    ("message-ttl", Scope::All),
    ("dead-letter-expired", Scope::Queues),
];

/// The channels for which a key means something.
pub(super) fn scope(key: &str) -> Scope {
    KEYS.iter().find(|(name, _)| *name == key).map_or(Scope::All, |(_, scope)| *scope)
}

/// One `[[channel]]` table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) pattern: String,
    pub(crate) policy: Option<OverflowPolicy>,
    pub(crate) buffer_unsubscribed: Option<usize>,
    pub(crate) queue: Option<usize>,
    pub(crate) queue_messages: Option<usize>,
    pub(crate) overflow: Option<QueueOverflow>,
    pub(crate) prefetch: Option<u32>,
    pub(crate) delivery: DeliveryRule,
}

impl Rule {
    /// Reads `MATCH[,KEY=VALUE]...`.
    pub(super) fn parse(text: &str) -> Result<Rule> {
        let mut parts = text.split(',');
        let pattern = parts.next().unwrap_or_default();
        let mut pairs = vec![("match", pattern.to_owned())];
        for part in parts {
            let (key, value) = part.split_once('=').ok_or_else(|| {
                not_allowed("--channel", text, "MATCH,policy=P,buffer-unsubscribed=N,queue=SIZE and so on")
            })?;
            pairs.push((key, value.to_owned()));
        }
        Rule::read(pairs).context("--channel")
    }

    /// Reads the keys of a table.
    pub(super) fn read<'a>(pairs: impl IntoIterator<Item = (&'a str, String)>) -> Result<Rule> {
        let mut rule = Rule::default();
        for (key, text) in pairs {
            let text = text.as_str();
            let delivery = &mut rule.delivery;
            match key {
                "match" => rule.pattern = text.to_owned(),
                "policy" => rule.policy = Some(kind::<Policy>(key, text)?),
                "buffer-unsubscribed" => rule.buffer_unsubscribed = Some(kind::<Count<usize>>(key, text)?),
                "queue" => rule.queue = Some(kind::<Size>(key, text)?),
                "queue-messages" => rule.queue_messages = Some(kind::<Count<usize>>(key, text)?),
                "overflow" => rule.overflow = Some(kind::<Overflow>(key, text)?),
                "prefetch" => rule.prefetch = Some(kind::<Count<u32>>(key, text)?),
                "max-deliveries" => delivery.max_deliveries = Some(kind::<Count<u32>>(key, text)?),
                "redelivery-backoff" => delivery.redelivery_backoff = Some(limit(key, text)?),
                "redelivery-backoff-max" => delivery.redelivery_backoff_max = Some(limit(key, text)?),
                "ack-timeout" => delivery.ack_timeout = Some(limit(key, text)?),
                "message-ttl" => delivery.message_ttl = Some(limit(key, text)?),
                "dead-letter-expired" => delivery.dead_letter_expired = Some(kind::<Flag>(key, text)?),
                _ => return Err(unknown("key", key, ["match"].into_iter().chain(KEYS.map(|(name, _)| name)))),
            }
        }
        if rule.pattern.is_empty() {
            return Err(not_allowed("match", "\"\"", "a pattern of channel names, such as \"/topic/jobs/>\""));
        }
        Ok(rule)
    }

    /// The values that it has, by their keys.
    fn values(&self) -> Vec<(&'static str, String)> {
        let delivery = &self.delivery;
        let span = |value: &Option<Duration>| value.as_ref().map(Span::show);
        let values = [
            self.policy.as_ref().map(Policy::show),
            self.buffer_unsubscribed.as_ref().map(Count::<usize>::show),
            self.queue.as_ref().map(Size::show),
            self.queue_messages.as_ref().map(Count::<usize>::show),
            self.overflow.as_ref().map(Overflow::show),
            self.prefetch.as_ref().map(Count::<u32>::show),
            delivery.max_deliveries.as_ref().map(Count::<u32>::show),
            span(&delivery.redelivery_backoff),
            span(&delivery.redelivery_backoff_max),
            span(&delivery.ack_timeout),
            span(&delivery.message_ttl),
            delivery.dead_letter_expired.as_ref().map(Flag::show),
        ];
        KEYS.into_iter().zip(values).filter_map(|((key, _), value)| Some((key, value?))).collect()
    }

    /// The keys that it sets beside `match`.
    pub(super) fn keys(&self) -> Vec<&'static str> {
        self.values().into_iter().map(|(key, _)| key).collect()
    }

    /// Appends it as a table of a file.
    pub(super) fn print(&self, text: &mut String) {
        let _ = write!(text, "\n[[channel]]\nmatch = {}\n", quote(&self.pattern));
        for (key, value) in self.values() {
            let _ = writeln!(text, "{key} = {value}");
        }
    }

    /// The same, as the server takes it.
    pub(super) fn channel_rule(&self) -> ChannelRule {
        ChannelRule {
            policy: self.policy,
            buffer_unsubscribed: self.buffer_unsubscribed,
            queue: self.queue,
            queue_messages: self.queue_messages,
            overflow: self.overflow,
            prefetch: self.prefetch,
            delivery: self.delivery,
            ..ChannelRule::new(Pattern::new(self.pattern.clone().into_bytes()))
        }
    }
}

/// A time limit of the broker.
fn limit(key: &str, text: &str) -> Result<Duration> {
    let value = kind::<Span>(key, text)?;
    LIMIT.check(Span::amount(&value)).map_err(|reason| refused(key, text, &reason))?;
    Ok(value)
}
