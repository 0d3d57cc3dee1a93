//! A notice in words, and in the JSON of the receiver.

use super::Alert;
use super::group::{Entry, Notice};
use crate::annotation::Annotation;
use serde_json::{Value, json};
use switchboard_driver::quantity::plural;
use switchboard_driver::text::steers;

/// Processes that the text names; of further ones it says how many they are.
const NAMED: usize = 20;

/// The format that a receiver understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// `text`, and every alert as an object.
    Plain,
    /// Slack's: `text`, in which three characters mean something.
    Slack,
    /// The workflows of Microsoft Teams: a message with an adaptive card.
    Card,
}

impl Format {
    /// By the host, for each of these services has its own.
    pub(super) fn of(host: &str) -> Format {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let is_in = |domain: &str| host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        if is_in("slack.com") || is_in("slack-gov.com") {
            Format::Slack
        } else if is_in("logic.azure.com") || is_in("powerplatform.com") {
            Format::Card
        } else {
            Format::Plain
        }
    }

    pub(super) fn body(self, notice: &Notice) -> Value {
        let text = text(notice);
        match self {
            Format::Plain => {
                let alerts: Vec<Value> = notice.entries.iter().map(entry).collect();
                // One alert is an object with its fields, as on the topic.
                let mut body = match alerts.as_slice() {
                    [one] => one.clone(),
                    _ => json!({}),
                };
                body["text"] = text.into();
                body["omitted"] = notice.omitted.into();
                body["alerts"] = alerts.into();
                body
            }
            // A name must not call a whole channel.
            Format::Slack => json!({ "text": text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;") }),
            Format::Card => json!({
                "type": "message",
                "attachments": [{
                    "contentType": "application/vnd.microsoft.card.adaptive",
                    "content": {
                        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                        "type": "AdaptiveCard",
                        "version": "1.2",
                        // A run is shown as it is: a block of text would be read as Markdown.
                        "body": [{ "type": "RichTextBlock", "inlines": [{ "type": "TextRun", "text": text }] }],
                    },
                }],
            }),
        }
    }
}

/// One alert, as it is published.
pub(super) fn alert(alert: &Alert) -> Value {
    let Annotation { time, id, kind, text } = &alert.annotation;
    json!({ "time": time, "timestamp": time.to_string(), "id": id, "name": alert.name, "kind": kind, "text": text })
}

fn entry(entry: &Entry) -> Value {
    let mut object = alert(&entry.alert);
    object["first"] = json!(entry.first);
    object["changes"] = json!(entry.changes);
    object
}

/// "1 alert", "2 alerts".
pub(super) fn alerts(count: usize) -> String {
    plural(count, "alert")
}

/// For people. What would steer a terminal is escaped: names come from strangers.
pub(super) fn text(notice: &Notice) -> String {
    let mut lines: Vec<String> = notice.entries.iter().take(NAMED).map(line).collect();
    let more = notice.entries.len().saturating_sub(NAMED) + notice.omitted;
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    if lines.len() > 1 {
        lines.insert(0, format!("{}:", alerts(notice.alerts())));
    }
    lines.join("\n")
}

fn line(entry: &Entry) -> String {
    let text: String = entry.alert.annotation.text.chars().flat_map(printable).collect();
    match entry.changes {
        1 => text,
        count => format!("{text} ({count} changes since {})", entry.first),
    }
}

fn printable(c: char) -> Vec<char> {
    if steers(c) { c.escape_default().collect() } else { vec![c] }
}

#[cfg(test)]
mod tests {
    use super::super::group::tests::alert;
    use super::super::group::{Group, Pace};
    use super::*;
    use std::time::Duration;

    fn notice(alerts: impl IntoIterator<Item = Alert>) -> Notice {
        let mut group = Group::new(Pace { interval: Duration::ZERO, repeat: Duration::ZERO });
        alerts.into_iter().for_each(|alert| group.push(alert));
        group.take_all().expect("alerts")
    }

    fn named(text: &str) -> Alert {
        let mut alert = alert(1, 0);
        alert.annotation.text = text.to_owned();
        alert
    }

    #[test]
    fn one_alert_is_its_text_and_several_are_a_list() {
        assert_eq!(text(&notice([alert(1, 0)])), "p1 is silent");
        assert_eq!(text(&notice([alert(1, 0), alert(2, 0)])), "2 alerts:\np1 is silent\np2 is silent");
        let flapping = text(&notice([alert(1, 60), alert(1, 61)]));
        assert_eq!(flapping, "p1 is silent (2 changes since 1970-01-01T00:01:00.000+00:00)");
    }

    #[test]
    fn a_long_list_is_cut_and_says_so() {
        let at_limit = text(&notice((0..NAMED as u32).map(|id| alert(id, 0))));
        assert!(!at_limit.contains("more"), "{at_limit}");
        let beyond = text(&notice((0..NAMED as u32 + 2).map(|id| alert(id, 0))));
        assert!(beyond.starts_with("22 alerts:") && beyond.ends_with("\nand 2 more"), "{beyond}");
    }

    #[test]
    fn one_alert_has_the_fields_of_the_topic_and_every_body_has_a_text() {
        let one = Format::Plain.body(&notice([alert(7, 1)]));
        assert_eq!((&one["id"], &one["kind"], &one["time"]), (&json!(7), &json!("silent"), &json!(1000)));
        assert_eq!((&one["text"], &one["alerts"][0]["changes"]), (&json!("p7 is silent"), &json!(1)));
        let two = Format::Plain.body(&notice([alert(1, 0), alert(2, 0)]));
        assert!(two.get("id").is_none() && two["alerts"].as_array().is_some_and(|alerts| alerts.len() == 2), "{two}");
    }

    #[test]
    fn a_name_calls_nobody_in_slack_and_steers_no_terminal() {
        let body = Format::Slack.body(&notice([named("<!channel> & \u{1b}[2J\n\u{202e}\u{3164} is silent")]));
        assert_eq!(body, json!({ "text": "&lt;!channel&gt; &amp; \\u{1b}[2J\\n\\u{202e}\\u{3164} is silent" }));
    }

    #[test]
    fn teams_gets_a_card() {
        let body = Format::Card.body(&notice([alert(1, 0)]));
        assert_eq!(body["attachments"][0]["content"]["body"][0]["inlines"][0]["text"], "p1 is silent");
    }

    #[test]
    fn the_format_follows_from_the_host() {
        for (host, format) in [
            ("hooks.slack.com", Format::Slack),
            ("HOOKS.SLACK.COM.", Format::Slack),
            ("notslack.com", Format::Plain),
            ("slack.com.example.org", Format::Plain),
            ("prod-1.westeurope.logic.azure.com", Format::Card),
            ("a.b.environment.api.powerplatform.com", Format::Card),
            ("example.webhook.office.com", Format::Plain),
            ("127.0.0.1", Format::Plain),
        ] {
            assert_eq!(Format::of(host), format, "{host}");
        }
    }
}
