//! Channel rules, or keys of them, that were made and have no effect.

use crate::config::rules::{Scope, scope};
use crate::config::settings::Settings;
use crate::names::{STRAY, has_stray_wildcard, is_wildcard};
use std::time::Duration;
use switchboard_broker::{ECHO, Pattern};
use switchboard_driver::quantity::{show_duration, show_size};

impl Settings {
    pub(super) fn of_rules(&self, texts: &mut Vec<String>) {
        for (at, rule) in self.rules.iter().enumerate() {
            let (pattern, keys) = (&rule.pattern, rule.keys());
            let mut say = |what: &str, why: &str| {
                texts.push(format!("without effect: {what} of [[channel]] {pattern}: {why}"));
            };
            if self.rules[..at].iter().any(|earlier| covers(&earlier.pattern, pattern)) {
                say("all", "an earlier rule matches the same names");
                continue;
            }
            if keys.is_empty() {
                say("all", "it sets nothing");
            }
            if let Some(why) = unmatched(pattern, self.server.limits.channel_name) {
                say("all", &why);
                continue;
            }
            if has_stray_wildcard(pattern) {
                say("the wildcard", STRAY);
            }
            if pattern.starts_with("queue") {
                say("the word queue", "it matches topics alone, for the names of queues begin with a slash");
            }
            let (others, why) = if pattern.starts_with("/queue") {
                (Some(Scope::Topics), "queues never drop and always buffer, so it is for topics only")
            } else if pattern.starts_with("/topic") {
                (Some(Scope::Queues), "topics know no acks and no dead letters, so it is for queues only")
            } else {
                (None, "")
            };
            let is_of_others = |key: &&&str| Some(scope(key)) == others;
            keys.iter().filter(is_of_others).for_each(|key| say(key, why));
            let (delivery, limits) = (&rule.delivery, &self.server.limits.delivery);
            let first = delivery.redelivery_backoff.unwrap_or(limits.redelivery_backoff);
            let longest = delivery.redelivery_backoff_max.unwrap_or(limits.redelivery_backoff_max);
            let pauses = keys.iter().filter(|key| !is_of_others(key));
            pauses.filter_map(|key| Some((key, pause(key, first, longest)?))).for_each(|(key, why)| say(key, &why));
        }
    }
}

/// Returns why no channel's name matches a pattern.
fn unmatched(pattern: &str, longest: usize) -> Option<String> {
    if pattern.as_bytes() == ECHO {
        return Some("what is sent there goes back to its sender".to_owned());
    }
    let levels: Vec<_> = pattern.split('/').collect();
    // A wildcard matches a level without a byte, too.
    let wildcards = levels.iter().enumerate().filter(|(at, level)| is_wildcard(&levels, *at, level)).count();
    let shortest = pattern.len() - wildcards;
    (shortest > longest).then(|| {
        format!("it matches names of {shortest} bytes and more, and channel-name = {} is the limit", show_size(longest))
    })
}

/// Returns why a pause between two tries has no effect beside the other one.
pub(super) fn pause(key: &str, first: Duration, longest: Duration) -> Option<String> {
    match key {
        "redelivery-backoff-max" if first.is_zero() => Some("redelivery-backoff = 0 is no pause at all".to_owned()),
        "redelivery-backoff" if first > longest => {
            Some(format!("no more than redelivery-backoff-max = {} counts", show_duration(longest)))
        }
        _ => None,
    }
}

/// Returns true if all that a pattern matches is matched by an earlier one.
fn covers(earlier: &str, later: &str) -> bool {
    let takes_rest = |pattern: &str| pattern.rsplit('/').next() == Some(">");
    let matches = Pattern::new(earlier.to_owned()).matches(later.as_bytes());
    earlier == later || matches && (takes_rest(earlier) || !takes_rest(later))
}
