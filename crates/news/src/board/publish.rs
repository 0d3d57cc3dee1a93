//! Messages for others: new headlines, and rules that break.

use crate::state::{Changes, RuleAlert};
use serde_json::json;
use std::sync::Arc;

/// The subject of a message. The program decides where it goes: `/topic/news` and `/topic/alerts` of the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// A new headline: `{"site","title","url","seen"}`.
    News,
    /// A rule that has broken, or works again, in the monitor's form: `{"time","timestamp","id","name","kind","text"}` with
    /// no `id`.
    Alerts,
}

/// A message for subscribers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its subject.
    pub topic: Topic,
    /// JSON.
    pub body: String,
}

/// Takes messages. It must not block: it is called by the tasks that ask the sites.
#[derive(Clone)]
pub struct Publish(Arc<dyn Fn(Message) + Send + Sync>);

impl Default for Publish {
    /// Nobody is told.
    fn default() -> Publish {
        Publish::new(drop)
    }
}

impl std::fmt::Debug for Publish {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Publish")
    }
}

impl Publish {
    /// Calls this for each message.
    pub fn new(take: impl Fn(Message) + Send + Sync + 'static) -> Publish {
        Publish(Arc::new(take))
    }

    pub(super) fn changes(&self, site: &str, changes: &Changes) {
        for seen in &changes.new {
            let headline = &seen.headline;
            let body = json!({ "site": site, "title": headline.title, "url": headline.url, "seen": seen.seen });
            (self.0)(Message { topic: Topic::News, body: body.to_string() });
        }
        if let Some(alert) = &changes.alert {
            (self.0)(Message { topic: Topic::Alerts, body: body_of(alert) });
        }
    }
}

fn body_of(alert: &RuleAlert) -> String {
    let kind = if alert.is_broken { "rule_broken" } else { "rule_works" };
    // As the monitor writes its alerts; a site is no series, so there is no id.
    json!({
        "time": alert.time.as_millisecond(), "timestamp": alert.time.strftime("%FT%T%.3f+00:00").to_string(),
        "id": null, "name": alert.site, "kind": kind, "text": alert.text,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::Headline;
    use crate::state::Seen;
    use parking_lot::Mutex;
    use serde_json::Value;

    #[test]
    fn headlines_and_alerts_are_json_with_these_fields() {
        let told = Arc::<Mutex<Vec<Message>>>::default();
        let taken = told.clone();
        let publish = Publish::new(move |message| taken.lock().push(message));
        let time = jiff::Timestamp::from_millisecond(1500).expect("a time");
        let base = "http://a.example/".parse().expect("a URL");
        let headline = Headline::new("\"quoted\" <b>", "/1", &base).expect("a headline");
        let text = "a: its rule is broken".to_owned();
        let alert = RuleAlert { site: "a".into(), time, is_broken: true, text };
        publish.changes("a", &Changes { new: vec![Seen { headline, seen: time }], alert: Some(alert) });
        let told = told.lock();
        let value = |at: usize| serde_json::from_str::<Value>(&told[at].body).expect("JSON");
        assert_eq!((told[0].topic, told[1].topic, told.len()), (Topic::News, Topic::Alerts, 2));
        let news = json!({
            "site": "a", "title": "\"quoted\" <b>", "url": "http://a.example/1", "seen": "1970-01-01T00:00:01.5Z",
        });
        assert_eq!(value(0), news);
        let alert = json!({
            "time": 1500, "timestamp": "1970-01-01T00:00:01.500+00:00", "id": null, "name": "a", "kind": "rule_broken",
            "text": "a: its rule is broken",
        });
        assert_eq!(value(1), alert);
        Publish::default().changes("a", &Changes::default());
    }
}
