//! Many rows, from the database.

use super::answer::{JSON, set, uncached};
use super::bulk::{PREFERENCE_APPLIED, body_of};
use super::errors::{Answered, Refusal};
use super::headers::{Form, consistency, form, preferences, range};
use super::metrics::Operation;
use super::path::Path;
use super::profile;
use super::state::Shared;
use crate::query::{Page, Query, Relation, Selected, Statement, quoted};
use crate::{Consistency, Error, RowCache};
use axum::extract::RawQuery;
use axum::http::header::{CONTENT_RANGE, CONTENT_TYPE, LINK};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use std::time::Instant;

/// Answers GET and HEAD of a table.
pub(super) async fn get(
    state: Shared,
    Path(table): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let begun = Instant::now();
    let answered = read(&state, &table, query.as_deref().unwrap_or_default(), &headers).await;
    state.answer("list", Operation::List, begun, answered)
}

async fn read(state: &Shared, table: &str, text: &str, headers: &HeaderMap) -> Answered {
    state.serves(table)?;
    let (preferences, form) = (preferences(headers)?, form(headers)?);
    let (rows, relation) = state.relation(table)?;
    profile::check(headers, &relation)?;
    let mut query = Query::parse(&relation, text)?;
    // A list is always as new as a strong read; a token is read to refuse what is none, or of another database.
    if let Consistency::After(token) = consistency(headers, query.consistency.as_deref())? {
        rows.check_token(token)?;
    }
    if let Some((first, count)) = range(headers)? {
        query.offset = query.offset.saturating_add(first);
        query.limit = match (query.limit, count) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
    let most = if form == Form::Object { 2 } else { state.settings.list_rows };
    let limit = query.limit.map_or(most, |limit| limit.min(most));
    let page = Page { limit, offset: query.offset, bytes: state.settings.list_bytes };
    let listed = list(&rows, &relation, &query, page).await?;
    if form == Form::Object && listed.has_more && limit > 1 && listed.rows.len() == 1 {
        // The row is so large that the database stopped at it.
        let key = relation.key_columns().into_iter().map(|column| Selected { column, as_text: false }).collect();
        let keys = Query { select: key, ..query.clone() };
        let page = Page { limit: 1, bytes: usize::MAX >> 1, ..page };
        if list(&rows, &relation, &keys, page).await?.has_more {
            return Err(Refusal::not_one("more than one row"));
        }
    }
    let total = if preferences.count { Some(count(&rows, &relation, &query).await?) } else { None };
    let mut response = answer(form, &query, &listed, total)?;
    // A page of no rows would lead to itself.
    if form == Form::Array && listed.has_more && limit > 0 {
        let next = next(&relation, &query, text, &listed);
        set(&mut response, LINK, &format!("<{next}>; rel=\"next\""));
    }
    if let Some(applied) = preferences.applied() {
        set(&mut response, PREFERENCE_APPLIED, &applied);
    }
    uncached(&mut response);
    Ok(response)
}

struct Listed {
    rows: Vec<String>,
    /// The key of the last row.
    last: Vec<String>,
    has_more: bool,
}

/// Reads a page, and whether there is another one after it.
async fn list(rows: &RowCache, relation: &Relation, query: &Query, page: Page) -> Result<Listed, Error> {
    let one_more = Page { limit: page.limit + 1, ..page };
    let statement = Statement::list(relation, query, one_more);
    let found = rows.query(&statement.sql, statement.values()).await?;
    let mut listed = Listed { rows: Vec::with_capacity(found.len()), last: Vec::new(), has_more: false };
    let mut bytes = 0;
    for row in found {
        if listed.rows.len() as u64 == page.limit {
            listed.has_more = true;
            break;
        }
        let mut values = row.into_iter().map(Option::unwrap_or_default);
        listed.rows.push(values.next().unwrap_or_default());
        bytes = values.next().and_then(|sum| sum.parse().ok()).unwrap_or(0);
        listed.last = values.collect();
    }
    // The database stopped here, so it is not known what follows.
    listed.has_more |= bytes >= page.bytes as u64;
    Ok(listed)
}

async fn count(rows: &RowCache, relation: &Relation, query: &Query) -> Result<u64, Error> {
    let statement = Statement::count(relation, query);
    let found = rows.query(&statement.sql, statement.values()).await?;
    let count = found.first().and_then(|row| row.first()?.as_deref()?.parse().ok());
    count.ok_or_else(|| Error::unavailable("the database did not count"))
}

fn answer(form: Form, query: &Query, listed: &Listed, total: Option<u64>) -> Answered {
    let returned = listed.rows.len() as u64;
    let shown = total.map_or("*".to_owned(), |total| total.to_string());
    if returned == 0 && query.offset > 0 && total.is_some_and(|total| query.offset > total) {
        let message = format!("an offset of {} is beyond the {shown} rows", query.offset);
        let refusal = Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, "PGRST103", message);
        let mut response = refusal.into_response();
        set(&mut response, CONTENT_RANGE, &format!("*/{shown}"));
        return Ok(response);
    }
    let is_part = total.is_some_and(|total| returned < total);
    let status = if is_part && form == Form::Array { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let rows: Vec<&[u8]> = listed.rows.iter().map(String::as_bytes).collect();
    let mut response = body_of(status, form, &rows)?;
    let range = match returned {
        0 => format!("*/{shown}"),
        _ => format!("{}-{}/{shown}", query.offset, query.offset.saturating_add(returned - 1)),
    };
    set(&mut response, CONTENT_RANGE, &range);
    if form == Form::Array {
        response.headers_mut().insert(CONTENT_TYPE, JSON);
    }
    Ok(response)
}

/// The address of the page after this one: by the key where the order is the key's, else by an offset.
fn next(relation: &Relation, query: &Query, text: &str, listed: &Listed) -> String {
    let mut next = form_urlencoded::Serializer::new(String::new());
    for (name, value) in form_urlencoded::parse(text.as_bytes()) {
        if !matches!(name.as_ref(), "limit" | "offset" | "_after") {
            next.append_pair(&name, &value);
        }
    }
    if let Some(limit) = query.limit {
        next.append_pair("limit", &limit.to_string());
    }
    if query.key_order(relation).is_some() && !listed.last.is_empty() {
        let key = match &*listed.last {
            [one] => one.clone(),
            several => several.iter().map(|part| quoted(part)).collect::<Vec<_>>().join(","),
        };
        next.append_pair("_after", &key);
    } else {
        let offset = query.offset.saturating_add(listed.rows.len() as u64);
        next.append_pair("offset", &offset.to_string());
    }
    let table = percent_encoding::utf8_percent_encode(&relation.name, percent_encoding::NON_ALPHANUMERIC);
    format!("/{table}?{}", next.finish())
}
