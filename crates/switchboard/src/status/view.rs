//! The status on a terminal of any size, or uncut for a file.

use super::Sort;
use super::report::{Channel, Connection, Report, Totals};
use crate::escape::escape;
use crate::names::encode;
use crate::units::{bytes, count};
use std::fmt::Write;

/// The least that is left of a name.
const NAME: usize = 8;
/// Rows of channels that are shown even if there are many connections.
const ROWS: usize = 3;

/// A terminal's columns and rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: Option<usize>,
}

struct Table {
    head: Vec<&'static str>,
    /// The columns that are aligned to the right.
    figures: std::ops::Range<usize>,
    rows: Vec<Vec<String>>,
    /// All rows that there are.
    total: usize,
    what: &'static str,
}

/// Renders a report. Without a size nothing is cut.
pub(super) fn render(report: &Report, sort: Option<Sort>, size: Option<Size>) -> String {
    let mut lines = vec![summary(report)];
    for service in report.services.iter().filter(|service| !service.running) {
        lines.push(format!("The {} does not run: {}", escape(&service.name), escape(&service.reason)));
    }
    let (mut channels, mut connections) = (channels(report, sort), connections(report));
    if let Some(Size { rows: Some(rows), .. }) = size {
        // Two heads, two empty lines, two lines about what was left out, and the prompt.
        let room = rows.saturating_sub(lines.len() + 7);
        let shown = channels.rows.len().min((room / 2).max(room.saturating_sub(connections.rows.len())).max(ROWS));
        channels.rows.truncate(shown);
        connections.rows.truncate(room.saturating_sub(shown));
    }
    for table in [channels, connections] {
        lines.push(String::new());
        table.draw(size.map(|size| size.columns), &mut lines);
    }
    let cut = |line: String| match size {
        Some(size) => fit(&line, size.columns),
        None => line,
    };
    lines.into_iter().fold(String::new(), |mut text, line| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}", cut(line).trim_end());
        text
    })
}

/// The totals in one line of at most 80 columns.
fn summary(report: &Report) -> String {
    let Totals { memory, memory_budget, published, delivered, paused, .. } = report.totals;
    let dropped =
        report.totals.dropped_slow + report.totals.dropped_no_subscribers + report.totals.dropped_publisher_gone;
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
    text
}

fn channels(report: &Report, sort: Option<Sort>) -> Table {
    let mut sorted: Vec<&Channel> = report.channels.iter().collect();
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
        vec![
            encode(&channel.bytes()),
            escape(&channel.kind),
            count(channel.depth),
            count(channel.published_per_s),
            count(channel.delivered_per_s),
            count(channel.subscribers),
            count(channel.dropped),
        ]
    });
    Table {
        head: vec!["NAME", "KIND", "DEPTH", "IN/s", "OUT/s", "SUBS", "DROPPED"],
        figures: 2..7,
        rows: rows.collect(),
        total: report.totals.channels,
        what: "channel",
    }
}

fn connections(report: &Report) -> Table {
    let state = |connection: &Connection| match connection {
        Connection { paused: Some(reason), .. } => format!("paused: {reason}"),
        Connection { stalled: true, .. } => format!("stalled: {}", connection.waits_for),
        Connection { slow: true, .. } => format!("slow: {}", connection.waits_for),
        _ => connection.waits_for.clone(),
    };
    let rows = report.connections.iter().map(|connection| {
        let peer = match (&connection.service, &connection.address) {
            (Some(service), _) => format!("{service} (own)"),
            (None, address) => address.clone().unwrap_or_else(|| "-".to_owned()),
        };
        let subscriptions = if connection.subscriptions.is_empty() {
            "-".to_owned()
        } else {
            let names: Vec<String> = connection.subscriptions.iter().map(|name| encode(name.as_bytes())).collect();
            names.join(" ")
        };
        vec![
            subscriptions,
            connection.id.to_string(),
            escape(&peer),
            bytes(connection.outbox),
            count(connection.dropped),
            escape(&state(connection)),
        ]
    });
    Table {
        head: vec!["SUBSCRIBED TO", "ID", "FROM", "OUTBOX", "DROPPED", "WAITS FOR"],
        figures: 3..5,
        rows: rows.collect(),
        total: report.totals.connections,
        what: "connection",
    }
}

impl Table {
    /// The first column takes the room that the others leave; the last one may be cut.
    fn draw(&self, columns: Option<usize>, lines: &mut Vec<String>) {
        let last = self.head.len() - 1;
        let width = |at: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count());
            cells.chain([self.head[at].len()]).max().unwrap_or(0)
        };
        let mut widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        if let Some(columns) = columns {
            let is_text_last = !self.figures.contains(&last);
            let others: usize = widths[1..].iter().map(|width| width + 2).sum();
            // Words at the end give way first, down to the length of their title.
            let excess = (others + widths[0].min(columns / 3)).saturating_sub(columns);
            if is_text_last {
                widths[last] = widths[last].saturating_sub(excess).max(self.head[last].len());
            }
            let others: usize = widths[1..].iter().map(|width| width + 2).sum();
            widths[0] = widths[0].min(columns.saturating_sub(others).max(NAME));
        }
        let heads = self.head.iter().map(|&head| head.to_owned()).collect::<Vec<String>>();
        for row in std::iter::once(&heads).chain(&self.rows) {
            let mut line = String::new();
            for (at, cell) in row.iter().enumerate() {
                let width = widths[at];
                let cell = fit(cell, width);
                let gap = if at == 0 { "" } else { "  " };
                let _ = if self.figures.contains(&at) {
                    write!(line, "{gap}{cell:>width$}")
                } else {
                    write!(line, "{gap}{cell:width$}")
                };
            }
            lines.push(line);
        }
        let (shown, total) = (self.rows.len(), self.total.max(self.rows.len()));
        let left_out = total - shown;
        if left_out > 0 {
            lines.push(format!("{left_out} more {}{}: --all", self.what, if left_out == 1 { "" } else { "s" }));
        }
    }
}

/// The text, or as much of it as there is room for, with an ellipsis.
fn fit(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    if width == 0 { kept } else { kept + "\u{2026}" }
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
