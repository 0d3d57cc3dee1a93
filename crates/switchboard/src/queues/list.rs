//! The listing of queues.

use super::Sort;
use crate::escape::escape;
use crate::http::HttpServer;
use crate::listing::{Listing, ROWS};
use crate::names::encode;
use crate::status::from_hex;
use crate::table::{self, Row, Table};
use crate::units::{age, count};
use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

/// A queue, as the broker lists it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Queue {
    name: String,
    /// The name's bytes, if they are no UTF-8.
    name_hex: Option<String>,
    /// Topics that feed it: it is a durable subscription's.
    topics: Option<String>,
    topics_hex: Option<String>,
    depth: f64,
    in_flight: f64,
    consumers: f64,
    paused_publishers: f64,
    pause_reason: Option<String>,
    paused: bool,
    oldest_s: Option<f64>,
    published_per_s: f64,
    delivered_per_s: f64,
    returned: f64,
    dead: f64,
}

impl Queue {
    /// The name's bytes.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let bytes = self.name_hex.as_deref().and_then(from_hex);
        bytes.unwrap_or_else(|| self.name.clone().into_bytes())
    }

    /// A word, and nothing for a queue that takes and gives.
    fn state(&self) -> String {
        match (self.paused, self.paused_publishers) {
            (true, _) => "paused".to_owned(),
            (false, waiting) if waiting > 0.0 => format!("full ({})", count(waiting)),
            // Messages of publishers that are gone wait for room.
            (false, _) if self.pause_reason.is_some() => "full".to_owned(),
            _ => String::new(),
        }
    }

    /// Reasons of the state, and the topics that feed it.
    fn notes(&self) -> Vec<String> {
        let reason = self.pause_reason.as_deref().map(escape);
        let waiting = match (self.paused_publishers > 0.0, reason) {
            (true, reason) => {
                let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
                Some(format!("{} to publish{reason}", waiting(self.paused_publishers)))
            }
            (false, reason) => reason.map(|reason| format!("messages of publishers that are gone wait: {reason}")),
        };
        let bytes = self.topics_hex.as_deref().and_then(from_hex);
        let topics = bytes.or_else(|| self.topics.clone().map(String::into_bytes));
        let topics = topics.map(|topics| format!("subscription to {}", encode(&topics)));
        waiting.into_iter().chain(topics).collect()
    }
}

fn waiting(publishers: f64) -> String {
    if publishers == 1.0 { "1 connection waits".to_owned() } else { format!("{} connections wait", count(publishers)) }
}

/// Asks for the queues that hold most, or for all, page by page.
pub(super) async fn ask(server: &HttpServer, all: bool) -> Result<Value> {
    let is_brokers = |answer: &Value| answer["queues"].is_array();
    let listing = Listing { server, path: "/queues", tables: &["queues"], is_brokers };
    if all { listing.ask_for_all().await } else { listing.ask(&format!("?limit={ROWS}")).await }
}

/// Renders a listing, for a screen cut to its size.
pub(super) fn render(
    answer: &Value,
    sort: Option<Sort>,
    is_all: bool,
    is_screen: bool,
    bounds_rows: bool,
) -> Result<String> {
    let queues: Vec<Queue> = serde_json::from_value(answer["queues"].clone()).context("the listing is another one")?;
    let size = table::size(is_screen, bounds_rows);
    let may_be_more = !is_all && queues.len() >= ROWS;
    Ok(draw(queues, sort, may_be_more, size))
}

/// `may_be_more` says that the broker has given as many as it gives at once.
fn draw(mut queues: Vec<Queue>, sort: Option<Sort>, may_be_more: bool, size: Option<table::Size>) -> String {
    let figure = |queue: &Queue| match sort {
        None | Some(Sort::Name) => 0.0,
        Some(Sort::Depth) => queue.depth,
        Some(Sort::Flight) => queue.in_flight,
        Some(Sort::Cons) => queue.consumers,
        Some(Sort::Oldest) => queue.oldest_s.unwrap_or(-1.0),
        Some(Sort::In) => queue.published_per_s,
        Some(Sort::Out) => queue.delivered_per_s,
        Some(Sort::Returned) => queue.returned,
        Some(Sort::Dead) => queue.dead,
    };
    if sort.is_some() {
        queues.sort_by(|a, b| figure(b).total_cmp(&figure(a)).then_with(|| a.bytes().cmp(&b.bytes())));
    }
    let total = queues.len();
    if total == 0 {
        return "There is no queue.\n".to_owned();
    }
    // The head, a line about what was left out, and the prompt.
    let room = size.and_then(|size| size.rows).map(|rows| rows.saturating_sub(3).max(1));
    if let Some(room) = room {
        queues.truncate(room);
    }
    let rows = queues.iter().map(|queue| {
        let cells = vec![
            encode(&queue.bytes()),
            count(queue.depth),
            count(queue.in_flight),
            count(queue.consumers),
            queue.oldest_s.map_or_else(|| "-".to_owned(), age),
            count(queue.published_per_s),
            count(queue.delivered_per_s),
            count(queue.returned),
            count(queue.dead),
            queue.state(),
        ];
        Row { cells, notes: queue.notes() }
    });
    let mut table = Table {
        head: vec!["NAME", "DEPTH", "FLIGHT", "CONS", "OLDEST", "IN/s", "OUT/s", "RETURN", "DEAD", "STATE"],
        figures: 1..9,
        rows: rows.collect(),
        total,
        may_be_more,
        what: "queue",
    };
    let columns = size.map(|size| size.columns);
    if let Some(room) = room {
        table.truncate(room, columns);
    }
    let mut lines = Vec::new();
    table.draw(columns, &mut lines);
    table::text(lines, size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Size;

    fn queues(number: usize) -> Vec<Queue> {
        (0..number)
            .map(|at| Queue {
                name: format!("/queue/a/rather/long/name/of/a/queue/that/goes/on/{at}"),
                depth: 1e12 * at as f64,
                oldest_s: (at % 2 == 0).then_some(1e9),
                paused: at % 3 == 0,
                paused_publishers: 123_456.0,
                pause_reason: Some("queue /queue/a is at its bound of 100 bytes (limit: queue)".to_owned()),
                dead: (number - at) as f64,
                ..Queue::default()
            })
            .collect()
    }

    #[test]
    fn it_fits_a_terminal_whatever_there_is() {
        for number in [1, 2, 1000] {
            for (columns, rows) in [(80, 24), (100, 30), (40, 7)] {
                let text = draw(queues(number), None, number == 1000, Some(Size { columns, rows: Some(rows) }));
                assert!(text.lines().count() < rows, "{text}");
                assert!(text.lines().all(|line| line.chars().count() <= columns), "{text}");
            }
        }
        assert_eq!(draw(Vec::new(), None, false, None), "There is no queue.\n");
    }

    #[test]
    fn what_is_left_out_is_counted_and_at_least_so_much_where_the_broker_may_have_more() {
        let size = Some(Size { columns: 80, rows: Some(13) });
        // Each of these has two lines about its publishers.
        for (may_be_more, says) in
            [(false, "\n997 more queues: --all\n"), (true, "\nat least 997 more queues: --all\n")]
        {
            let text = draw(queues(1000), None, may_be_more, size);
            assert!(text.ends_with(says), "{text}");
        }
        assert!(draw(queues(1000), None, true, None).ends_with("\nperhaps more queues: --all\n"));
        assert_eq!(draw(queues(1000), None, false, None).lines().count(), 2001);
    }

    #[test]
    fn a_state_is_a_short_word_and_its_reason_stands_whole_below_the_row() {
        let size = Some(Size { columns: 80, rows: Some(24) });
        let text = draw(queues(2), None, false, size);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].ends_with("  STATE") && lines[1].ends_with("  paused"), "{text}");
        assert!(lines[4].ends_with("  full (123k)"), "{text}");
        let reason = "123k connections wait to publish: queue /queue/a is at its bound of 100 bytes (limit: queue)";
        assert_eq!([lines[5].trim(), lines[6].trim()].join(" "), reason, "{text}");
        let one = Queue { paused_publishers: 1.0, ..Queue::default() };
        assert_eq!((one.state(), one.notes()), ("full (1)".into(), vec!["1 connection waits to publish".into()]));
        let gone = Queue { pause_reason: Some("the reason".into()), ..Queue::default() };
        let note = "messages of publishers that are gone wait: the reason".to_owned();
        assert_eq!((gone.state(), gone.notes()), ("full".to_owned(), vec![note]));
    }

    #[test]
    fn without_a_terminal_nothing_is_cut() {
        let text = draw(queues(50), Some(Sort::Dead), false, None);
        assert_eq!(text.lines().count(), 101);
        let first = text.lines().nth(1).unwrap();
        assert!(first.starts_with("/queue/a/rather/long/name/of/a/queue/that/goes/on/0 "), "{first}");
        let reason = "123k connections wait to publish: queue /queue/a is at its bound of 100 bytes (limit: queue)";
        assert!(text.contains(reason) && first.ends_with("paused"), "{text}");
    }

    #[test]
    fn a_queue_of_a_durable_subscription_names_the_topics_that_feed_it() {
        let queue = |topics: &str, paused| Queue { topics: Some(topics.into()), paused, ..Queue::default() };
        assert_eq!(queue("/topic/orders/>", false).notes(), ["subscription to /topic/orders/>"]);
        let paused = queue("/topic/a", true);
        assert_eq!((paused.state(), paused.notes()), ("paused".into(), vec!["subscription to /topic/a".into()]));
        let bytes = Queue { topics_hex: Some("2f746f7069632fff".into()), ..queue("?", false) };
        assert_eq!(bytes.notes(), ["subscription to /topic/%FF"]);
        assert_eq!((Queue::default().state(), Queue::default().notes()), (String::new(), Vec::new()));
    }

    #[test]
    fn a_name_is_shown_so_that_it_can_be_given_again() {
        let queue = Queue { name: "?".into(), name_hex: Some("2f7175657565ff".into()), ..Queue::default() };
        assert!(draw(vec![queue], None, false, None).contains("/queue%FF "));
    }
}
