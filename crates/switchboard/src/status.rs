//! `switchboard status`, `purge` and `kick`: over the broker's HTTP.

use crate::cli::Status;
use crate::escape::escape;
use crate::http::{HttpArgs, HttpServer};
use crate::output;
use crate::server_address::{Door, ServerAddress};
use anyhow::{Context, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use std::fmt::Write;
use std::io::IsTerminal;
use std::time::Duration;
use tokio::time::sleep;

/// Time between two looks with `--watch`.
const PERIOD: Duration = Duration::from_secs(1);

/// Prints the status, once or every second.
pub(crate) async fn show(args: &Status) -> Result<()> {
    let server = HttpServer::new(&args.http, Door::BrokerHttp)?;
    loop {
        let body = server.get("/status").await?;
        let mut text = if args.json {
            body.trim_end().to_owned() + "\n"
        } else {
            render(&serde_json::from_str(&body).context("the status is not JSON")?)
        };
        if args.watch && !args.json && std::io::stdout().is_terminal() {
            // Home, and clear what is below.
            text.insert_str(0, "\x1b[H\x1b[2J");
        }
        output::write(text.as_bytes())?;
        if !args.watch {
            return Ok(());
        }
        sleep(PERIOD).await;
    }
}

/// Asks for something to be done to what `value` names.
pub(crate) async fn post(http: &HttpArgs, path: &str, name: &str, value: &str) -> Result<()> {
    let server = HttpServer::new(http, Door::BrokerHttp)?;
    let body = server.post(&format!("{path}?{name}={}", percent(value))).await?;
    let body = body.trim_end();
    if body.is_empty() { Ok(()) } else { output::write(format!("{body}\n").as_bytes()) }
}

/// Says whether a server is alive.
pub(crate) async fn health(url: Option<&ServerAddress>, http: &HttpArgs) -> Result<()> {
    let http = url.map_or_else(|| http.clone(), |url| http.at(url));
    let server = HttpServer::new(&http, Door::BrokerHttp)?;
    let answer = server.get("/healthz").await?;
    output::write(format!("{}\n", answer.trim()).as_bytes())
}

/// Encodes a value of an address, all but what never needs it.
pub(crate) fn percent(text: &str) -> String {
    const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(text, VALUE).to_string()
}

/// Plain values as `key: value`, lists of objects as tables. It knows none of the keys, so that a
/// newer broker's status shows wholly.
fn render(status: &Value) -> String {
    let mut text = String::new();
    section("", status, &mut text);
    text.trim_start_matches('\n').to_owned()
}

fn section(title: &str, value: &Value, text: &mut String) {
    match value {
        Value::Object(fields) => {
            let (plain, nested): (Vec<_>, Vec<_>) =
                fields.iter().partition(|(_, value)| !value.is_object() && !value.is_array());
            if !title.is_empty() {
                let _ = writeln!(text, "\n{title}");
            }
            let width = plain.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
            for (key, value) in plain {
                let _ = writeln!(text, "  {key:width$}  {}", cell(value));
            }
            for (key, value) in nested {
                section(key, value, text);
            }
        }
        Value::Array(rows) => {
            let _ = writeln!(text, "\n{title} ({})", rows.len());
            table(rows, text);
        }
        plain => {
            let _ = writeln!(text, "{}", cell(plain));
        }
    }
}

fn table(rows: &[Value], text: &mut String) {
    let mut keys: Vec<&str> = Vec::new();
    for key in rows.iter().filter_map(Value::as_object).flat_map(serde_json::Map::keys) {
        if !keys.contains(&key.as_str()) {
            keys.push(key);
        }
    }
    // What a row is about stands first; the sort keeps the order of the others.
    keys.sort_by_key(|key| !matches!(*key, "name" | "id"));
    let mut lines = vec![keys.iter().map(|key| (*key).to_owned()).collect::<Vec<String>>()];
    for row in rows {
        match row {
            Value::Object(fields) => {
                lines.push(keys.iter().map(|key| fields.get(*key).map_or_else(String::new, cell)).collect());
            }
            plain => lines.push(vec![cell(plain)]),
        }
    }
    for line in &lines {
        let mut padded = String::new();
        for (column, cell) in line.iter().enumerate() {
            let width = lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max();
            let _ = write!(padded, "  {cell:0$}", width.unwrap_or(0));
        }
        if !padded.trim().is_empty() {
            let _ = writeln!(text, "{}", padded.trim_end());
        }
    }
}

/// Names come from strangers: what would steer the terminal is escaped.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    escape(&text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_are_encoded() {
        assert_eq!(percent("/queue/a b&c=\u{e9}~"), "%2Fqueue%2Fa%20b%26c%3D%C3%A9~");
    }

    #[test]
    fn a_status_is_readable() {
        let status = json!({ "up": 5, "channels": [{ "name": "/a\u{1b}[2J", "waiting": 10 }, { "name": "/bc" }] });
        let text = render(&status);
        assert!(text.starts_with("  up  5\n"), "{text}");
        assert!(text.contains("channels (2)\n  name"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}
