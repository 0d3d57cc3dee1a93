//! The status on a terminal of any size, or uncut for a file.

use super::Sort;
use super::report::{Channel, Connection, Missing, Report, Service, Totals, Unheard};
use crate::escape::escape;
use crate::names::encode;
use crate::table::{self, Row, Size, Table};
use crate::units::{bytes, count};
use std::fmt::Write;
use switchboard_driver::quantity::rough_size;

/// Rows of channels that are shown even if there are many connections.
const ROWS: usize = 3;

/// Renders a report. Without a size nothing is cut.
pub(super) fn render(report: &Report, sort: Option<Sort>, size: Option<Size>) -> String {
    let mut lines = vec![summary(report)];
    lines.extend(undelivered(report));
    lines.extend(unheard(report));
    lines.extend(report.services.iter().filter_map(problem));
    lines.extend(report.services.iter().flat_map(missing));
    let (mut channels, mut connections) = (channels(report, sort), connections(report));
    if let Some(Size { rows: Some(rows), columns }) = size {
        // Two heads, two empty lines, two lines about what was left out, and the prompt.
        let room = rows.saturating_sub(lines.len() + 7);
        let wanted = connections.lines(Some(columns));
        channels.truncate((room / 2).max(room.saturating_sub(wanted)).max(ROWS), Some(columns));
        connections.truncate(room.saturating_sub(channels.rows.len()), Some(columns));
    }
    for table in [channels, connections] {
        lines.push(String::new());
        table.draw(size.map(|size| size.columns), &mut lines);
    }
    table::text(lines, size)
}

/// A line about a service that does not run, or cannot do its work.
fn problem(service: &Service) -> Option<String> {
    let (name, reason) = (escape(&service.name), escape(&service.reason));
    match &service.lacks {
        _ if !service.running => Some(format!("The {name} does not run: {reason}")),
        Some(lacks) => Some(format!("The service {name} runs without {}: {reason}", escape(lacks))),
        None => None,
    }
}

/// A line about each address that a service cannot listen on.
fn missing(service: &Service) -> impl Iterator<Item = String> {
    service.missing.iter().map(|Missing { address, protocol, reason }| {
        let [name, address, protocol, reason] = [&service.name, address, protocol, reason].map(|text| escape(text));
        format!("The service {name} does not listen on {address} ({protocol}), and tries again: {reason}")
    })
}

/// The totals in one line of at most 80 columns.
fn summary(report: &Report) -> String {
    let Totals { memory, memory_budget, published, delivered, paused, gone, .. } = report.totals;
    let totals = &report.totals;
    let dropped = totals.dropped_slow
        + totals.dropped_no_subscribers
        + totals.dropped_publisher_gone
        + totals.dropped_overflow
        + totals.dropped_ended
        + totals.dropped_dead;
    let mut text = format!(
        "buffered {} of {}, published {}, delivered {}, dropped {}",
        bytes(memory),
        bytes(memory_budget),
        count(published),
        count(delivered),
        count(dropped)
    );
    if paused > 0 {
        let _ = write!(text, ", paused {paused}");
    }
    if gone > 0 {
        let _ = write!(text, ", gone {gone}");
    }
    text
}

/// The messages that ended otherwise than delivered or dropped, if there were any.
fn undelivered(report: &Report) -> Option<String> {
    let Totals { expired, dead_lettered, rejected, .. } = report.totals;
    let parts = [(expired, "expired"), (dead_lettered, "dead-lettered"), (rejected, "rejected")];
    let parts = parts.into_iter().filter(|(number, _)| *number > 0.0);
    let parts: Vec<String> = parts.map(|(number, name)| format!("{name} {}", count(number))).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// The last topics whose messages nobody got, if there are any.
fn unheard(report: &Report) -> Option<String> {
    let topic = |topic: &Unheard| format!("{} ({})", encode(&topic.bytes()), count(topic.dropped));
    let topics: Vec<String> = report.unheard.iter().map(topic).collect();
    (!topics.is_empty()).then(|| format!("had no subscriber: {}", topics.join(", ")))
}

/// Name that a connection subscribes to by convention if it only sends.
const NULL: &str = "/null";
/// The word for a subscriber that has taken all there was.
const MESSAGES: &str = "messages";

fn channels(report: &Report, sort: Option<Sort>) -> Table {
    let is_placeholder = |channel: &Channel| channel.name == NULL && channel.published == 0.0;
    let mut sorted: Vec<&Channel> = report.channels.iter().filter(|channel| !is_placeholder(channel)).collect();
    let hidden = report.channels.len() - sorted.len();
    let figure = |channel: &Channel| match sort {
        None | Some(Sort::Name) => 0.0,
        Some(Sort::Depth) => channel.depth,
        Some(Sort::In) => channel.published_per_s,
        Some(Sort::Out) => channel.delivered_per_s,
        Some(Sort::Subs) => channel.subscribers,
        Some(Sort::Dropped) => channel.dropped,
    };
    if sort.is_some() {
        sorted.sort_by(|a, b| figure(b).total_cmp(&figure(a)).then_with(|| a.bytes().cmp(&b.bytes())));
    }
    let rows = sorted.into_iter().map(|channel| {
        let cells = vec![
            encode(&channel.bytes()),
            escape(&channel.kind),
            count(channel.depth),
            count(channel.published_per_s),
            count(channel.delivered_per_s),
            count(channel.subscribers),
            count(channel.dropped),
        ];
        Row { cells, notes: Vec::new() }
    });
    Table {
        head: vec!["NAME", "KIND", "DEPTH", "IN/s", "OUT/s", "SUBS", "DROPPED"],
        figures: 2..7,
        rows: rows.collect(),
        total: report.totals.channels.saturating_sub(hidden),
        may_be_more: false,
        what: "channel",
    }
}

/// A word for what a connection does, the page's where that has one, and a line about it if that needs one.
fn state(connection: &Connection) -> (&'static str, Option<String>) {
    let unread = || {
        let unread = connection.outbox as usize;
        if unread > 0 { format!(": {} wait until its peer reads", rough_size(unread)) } else { String::new() }
    };
    match connection {
        // The broker's sentence begins with the word.
        Connection { gone: true, waits_for, .. } => ("gone", Some(waits_for.clone())),
        Connection { paused: Some(reason), .. } => ("paused", Some(format!("paused: {reason}"))),
        Connection { stalled: true, .. } => ("stalled", Some(format!("stalled{}", unread()))),
        Connection { slow: true, .. } => ("slow", Some(format!("slow{}", unread()))),
        Connection { outbox, .. } if *outbox > 0.0 => ("reads", None),
        Connection { unacked, .. } if *unacked > 0.0 => ("works", None),
        Connection { waits_for, .. } if waits_for == MESSAGES => ("waits", None),
        Connection { published, .. } if *published > 0.0 => ("publishes", None),
        _ => ("idle", None),
    }
}

fn connections(report: &Report) -> Table {
    let rows = report.connections.iter().map(|connection| {
        let peer = match (&connection.service, &connection.address) {
            (Some(service), _) => format!("{service} (own)"),
            (None, address) => address.clone().unwrap_or_else(|| "-".to_owned()),
        };
        let names = connection.subscriptions.iter().filter(|name| *name != NULL);
        let names: Vec<String> = names.map(|name| encode(name.as_bytes())).collect();
        let subscriptions = if names.is_empty() { "-".to_owned() } else { names.join(" ") };
        let (state, why) = state(connection);
        let cells = vec![
            subscriptions,
            connection.id.to_string(),
            escape(&peer),
            bytes(connection.outbox),
            count(connection.dropped),
            state.to_owned(),
        ];
        Row { cells, notes: why.map(|why| escape(&why)).into_iter().collect() }
    });
    Table {
        head: vec!["SUBSCRIBED TO", "ID", "FROM", "OUTBOX", "DROPPED", "STATE"],
        figures: 3..5,
        rows: rows.collect(),
        total: report.totals.connections + report.totals.gone,
        may_be_more: false,
        what: "connection",
    }
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
