//! The history as CSV, written as it is read.

use super::answer::Problem;
use super::api::{Asked, ending};
use super::feed::Parts;
use crate::Millis;
use crate::hub::Hub;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use std::fmt::Write;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

/// Seconds that are read at once, of one line.
const SPAN: u32 = 4 * 3600;

/// `GET /api/history.csv`: every second of every line that is kept as such.
pub(super) async fn history(State(hub): State<Arc<Hub>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let asked = Asked::read(query.as_deref())?;
    let lines = asked.lines(&hub);
    // Nothing older is kept as seconds, so that a range since 1970 is no work.
    let oldest = Millis::now().before(hub.settings.rules.keep).second();
    let (from, to) = (asked.from.second().max(oldest), asked.to.second().min(Millis::now().second() + SPAN));
    let permit = hub.clone();
    let (parts, receiver) = mpsc::channel(2);
    let reader = tokio::spawn(async move {
        let Ok(_permit) = permit.readers.acquire().await else { return };
        let read = spawn_blocking(move || {
            let mut text = String::from("time,id,name,cpu,mem\r\n");
            for (id, name) in lines {
                let name = quoted(&name);
                for from in (from..=to).step_by(SPAN as usize) {
                    let rows = match hub.history.rows(id, from, to.min(from + SPAN - 1)) {
                        Ok(rows) => rows,
                        // The answer has begun; that it is cut short, the connection tells.
                        Err(error) => return tracing::error!("cannot read the history: {error}"),
                    };
                    for (second, cpu, mem) in rows {
                        let time = Millis::of_second(second);
                        // Writing to a string does not fail.
                        let _ = write!(text, "{time},{id},{name},{cpu:.1},{mem:.1}\r\n");
                    }
                    // Nobody reads any more.
                    if !text.is_empty() && parts.blocking_send(Bytes::from(std::mem::take(&mut text))).is_err() {
                        return;
                    }
                }
            }
            if !text.is_empty() {
                let _ = parts.blocking_send(Bytes::from(text));
            }
        });
        let _ = read.await;
    });
    if reader.is_finished() && receiver.is_closed() && receiver.is_empty() {
        return Err(ending());
    }
    let headers = [
        (CONTENT_TYPE, "text/csv; charset=utf-8"),
        (CONTENT_DISPOSITION, "attachment; filename=\"switchboard-history.csv\""),
    ];
    Ok((headers, Body::from_stream(Parts(receiver))).into_response())
}

/// A name as a field. One that a spreadsheet would take for a formula is made a text.
fn quoted(name: &str) -> String {
    let formula = name.starts_with(['=', '+', '-', '@', '\t', '\r']);
    format!("\"{}{}\"", if formula { "'" } else { "" }, name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_text_whatever_it_says() {
        assert_eq!(quoted("web \"1\", \n"), "\"web \"\"1\"\", \n\"");
        assert_eq!(quoted("=cmd()"), "\"'=cmd()\"");
    }
}
