//! The history as CSV, written as it is read.

use super::answer::Problem;
use super::api::Asked;
use super::parts;
use crate::Millis;
use crate::hub::Hub;
use axum::extract::{RawQuery, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use std::io::Write;
use std::sync::Arc;

/// Seconds that are read at once, of one series.
pub(super) const SPAN: u32 = 4 * 3600;

/// `GET /api/history.csv`: every second of every series that is kept as such.
pub(super) async fn history(State(hub): State<Arc<Hub>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let asked = Asked::read(query.as_deref())?;
    let series = asked.series(&hub);
    // Nothing older is kept as seconds, so that a range since 1970 is no work.
    let oldest = Millis::now().before(hub.settings.rules.keep).second();
    let (from, to) = (asked.from.second().max(oldest), asked.to.second().min(Millis::now().second() + SPAN));
    let mut spans = series.into_iter().flat_map(move |(id, name)| {
        let name = quoted(&name);
        (from..=to).step_by(SPAN as usize).map(move |from| (id, name.clone(), from))
    });
    let mut head = Some("time,id,name,cpu,mem\r\n");
    let body = parts::read(hub, move |hub, text| {
        text.extend(head.take().unwrap_or_default().bytes());
        let Some((id, name, from)) = spans.next() else { return false };
        for (second, cpu, mem) in hub.history.rows(id, from, to.min(from + SPAN - 1)) {
            let time = Millis::of_second(second);
            // Writing to a vector does not fail.
            let _ = write!(text, "{time},{id},{name},{cpu:.1},{mem:.1}\r\n");
        }
        true
    });
    let headers = [
        (CONTENT_TYPE, "text/csv; charset=utf-8"),
        (CONTENT_DISPOSITION, "attachment; filename=\"switchboard-history.csv\""),
    ];
    Ok((headers, body).into_response())
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
        for begins in ["=", "+", "-", "@", "\t", "\r"] {
            assert_eq!(quoted(&format!("{begins}cmd()")), format!("\"'{begins}cmd()\""));
        }
    }
}
