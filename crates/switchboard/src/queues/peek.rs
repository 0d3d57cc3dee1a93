//! A look at messages.

use super::Peek;
use crate::escape::{escape, escape_message};
use crate::output;
use crate::table::{self, Size};
use crate::units::{age, bytes};
use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;
use std::io::IsTerminal;

/// Lines of a body that are shown on a terminal.
const LINES: usize = 5;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Message {
    seq: u64,
    length: f64,
    body: Option<String>,
    body_base64: Option<String>,
    headers: Vec<(String, String)>,
    attempts: u64,
    redelivered: bool,
    age_s: f64,
    postponed_s: Option<f64>,
    is_whole: bool,
}

pub(super) async fn run(peek: &Peek) -> Result<()> {
    let target = &peek.target;
    let server = target.server()?;
    let answer = match server.get(&format!("{}&limit={}", target.path("peek"), peek.count)).await {
        Ok(answer) => answer,
        Err(error) => return Err(target.explain(&server, error).await),
    };
    if target.json {
        return output::write_json(answer.trim_end());
    }
    let mut value: Value = serde_json::from_str(&answer).unwrap_or_default();
    let messages: Vec<Message> =
        serde_json::from_value(value["messages"].take()).with_context(|| format!("{} is no broker", server.base()))?;
    let size = table::size(std::io::stdout().is_terminal(), false);
    let mut lines: Vec<String> = messages.iter().flat_map(|message| message.lines(size)).collect();
    if lines.is_empty() {
        lines.push(format!("Nothing waits in {}.", target.queue));
    } else if !value["next"].is_null() {
        lines.push("More wait behind these: -n shows more.".to_owned());
    }
    output::write(table::text(lines, size).as_bytes())
}

/// A header's value. A dead letter's time is shown as one.
fn header(name: &str, value: &str) -> String {
    let millis = value.parse().ok().filter(|_| name == "dead-letter-time");
    match millis.and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok()) {
        Some(time) => format!("{value} ({time:.0})"),
        None => escape(value).to_string(),
    }
}

impl Message {
    fn lines(&self, size: Option<Size>) -> Vec<String> {
        let mut head = format!("#{}  {}, {} old", self.seq, bytes(self.length), age(self.age_s));
        if self.attempts > 0 {
            head += &format!(", tried {}x", self.attempts);
        } else if self.redelivered {
            head += ", redelivered";
        }
        if let Some(time) = self.postponed_s {
            head += &format!(", waits {} more", age(time));
        }
        let mut lines = vec![head];
        lines.extend(self.headers.iter().map(|(name, value)| format!("  {}: {}", escape(name), header(name, value))));
        let body = match (&self.body, &self.body_base64) {
            (Some(text), _) => text.clone().into_bytes(),
            (None, Some(coded)) => STANDARD.decode(coded).unwrap_or_default(),
            (None, None) => Vec::new(),
        };
        let text = escape_message(&body);
        let most = if size.is_some() { LINES } else { usize::MAX };
        lines.extend(text.lines().take(most).map(|line| format!("  > {line}")));
        if !self.is_whole || text.lines().count() > most {
            lines.push("  > (and more)".to_owned());
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_message_shows_its_headers_and_as_much_of_its_body_as_fits() {
        let message = |value: Value| serde_json::from_value::<Message>(value).expect("a message");
        let dead = message(json!({
            "seq": 7, "length": 2048, "body": "a\nb\u{1b}[2J", "headers": [["dead-letter-reason", "attempts"], ["dead-letter-time", "1700000000123"], ["dead-letter-time", "x\n"]],
            "attempts": 7, "redelivered": true, "age_s": 90.0, "postponed_s": null, "is_whole": false,
        }));
        let expected = [
            "#7  2KiB, 1.5m old, tried 7x",
            "  dead-letter-reason: attempts",
            "  dead-letter-time: 1700000000123 (2023-11-14T22:13:20Z)",
            "  dead-letter-time: x\\n",
            "  > a",
            "  > b\\u{1b}[2J",
            "  > (and more)",
        ];
        assert_eq!(dead.lines(None), expected);
        let bytes =
            message(json!({ "seq": 1, "length": 2, "body_base64": "/wA=", "is_whole": true, "postponed_s": 3.0 }));
        assert_eq!(bytes.lines(None), ["#1  2B, 0s old, waits 3s more", "  > \\xff\\u{0}"]);
        let long = message(json!({ "seq": 1, "length": 40, "body": "line\n".repeat(8), "is_whole": true }));
        assert_eq!(long.lines(Some(Size { columns: 80, rows: None })).len(), 1 + LINES + 1);
        assert_eq!(long.lines(None).len(), 1 + 8);
    }
}
