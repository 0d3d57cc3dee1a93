//! `switchboard status`, `purge` and `kick`: over the broker's HTTP.

use crate::cli::{Http, Status};
use crate::output::{self, refused};
use anyhow::{Context, Result, anyhow, bail};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use std::fmt::Write;
use std::io::IsTerminal;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

const ANSWER: Duration = Duration::from_secs(10);
/// For one address of a name, so that the second one has its turn within `ANSWER`.
const CONNECT: Duration = Duration::from_secs(3);

/// Prints the status, once or every second.
pub(crate) async fn show(args: &Status) -> Result<()> {
    loop {
        let body = request(&args.http.address, "GET", "/status", args.http.token.as_deref()).await?;
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
        sleep(Duration::from_secs(1)).await;
    }
}

/// Asks for something to be done to what `value` names.
pub(crate) async fn post(http: &Http, path: &str, name: &str, value: &str) -> Result<()> {
    let target = format!("{path}?{name}={}", percent(value));
    let body = request(&http.address, "POST", &target, http.token.as_deref()).await?;
    let body = body.trim_end();
    if body.is_empty() { Ok(()) } else { output::write(format!("{body}\n").as_bytes()) }
}

/// Returns the body of an answer that is no error.
pub(crate) async fn request(address: &str, method: &str, target: &str, token: Option<&str>) -> Result<String> {
    let answer = timeout(ANSWER, exchange(address, method, target, token))
        .await
        .map_err(|_| anyhow!("no answer within {} s", ANSWER.as_secs()))
        .and_then(|result| result)
        .with_context(|| format!("cannot ask http://{address}"))?;
    let (status, body) = parse(&answer).with_context(|| format!("http://{address} does not speak HTTP"))?;
    if !(200..300).contains(&status) {
        let body = body.trim();
        bail!("{method} {target}: HTTP {status}{}{body}", if body.is_empty() { "" } else { ": " });
    }
    Ok(body)
}

async fn exchange(address: &str, method: &str, target: &str, token: Option<&str>) -> Result<Vec<u8>> {
    let bearer = match token.filter(|token| !token.is_empty()) {
        Some(token) if !token.bytes().all(|byte| byte.is_ascii_graphic()) => {
            bail!("a token has visible ASCII characters only")
        }
        Some(token) => format!("Authorization: Bearer {token}\r\n"),
        None => String::new(),
    };
    let mut stream = switchboard_driver::connect_to(address, CONNECT).await.map_err(|error| match refused(&error) {
        "" => error.into(),
        advice => anyhow!("{error}{advice}"),
    })?;
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: {address}\r\nAccept: application/json\r\n\
         {bearer}Content-Length: 0\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}

/// The status code and the body of a whole answer.
fn parse(answer: &[u8]) -> Result<(u16, String)> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").context("the answer has no end of head")?;
    let head = std::str::from_utf8(&answer[..end]).context("the head is not text")?;
    let mut body = &answer[end + 4..];
    let status = head.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse().ok());
    let status = status.context("the answer has no status line")?;
    let header = |wanted: &str| {
        head.lines().skip(1).find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case(wanted).then(|| value.trim())
        })
    };
    if header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        return Ok((status, String::from_utf8(unchunk(body)?)?));
    }
    if let Some(length) = header("content-length") {
        body = body.get(..length.parse()?).context("the answer was cut short")?;
    }
    Ok((status, String::from_utf8(body.to_vec())?))
}

fn unchunk(mut rest: &[u8]) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|two| two == b"\r\n").context("the answer was cut short")?;
        let size = std::str::from_utf8(&rest[..line])?.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16)?;
        if size == 0 {
            return Ok(body);
        }
        rest = &rest[line + 2..];
        body.extend_from_slice(rest.get(..size).context("the answer was cut short")?);
        rest = rest.get(size.saturating_add(2)..).context("the answer was cut short")?;
    }
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
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn answers() {
        let plain = b"HTTP/1.1 404 Not Found\r\ncontent-length: 3\r\n\r\nno\n";
        assert_eq!(parse(plain).unwrap(), (404, "no\n".to_owned()));
        let chunked =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n";
        assert_eq!(parse(chunked).unwrap(), (200, "abc0123456789".to_owned()));
        for bad in [&b""[..], b"x\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort", b"HTTP/1.1\r\n\r\n"] {
            assert!(parse(bad).is_err());
        }
        assert!(unchunk(b"ffffffffffffffff\r\nabc").is_err());
        assert!(unchunk(b"3\r\nabc").is_err());
    }

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
