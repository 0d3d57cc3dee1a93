//! Writes of many rows, and inserts.

use super::answer::{empty, json, path_of, set, token, uncached};
use super::errors::{Answered, Refusal, TOO_MANY_CODE};
use super::headers::{Form, form, if_match, is_json, preferences};
use super::metrics::Operation;
use super::one::inserted;
use super::path::Path;
use super::profile;
use super::state::{Shared, name_of};
use crate::cache::Row;
use crate::query::{
    Missing, Payload, Preferences, Query, QueryError, Relation, Resolution, Return, Returned, Statement, Target,
};
use crate::{Key, WrittenRows};
use axum::extract::RawQuery;
use axum::http::header::{CONTENT_RANGE, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::Response;
use bytes::{BufMut, Bytes, BytesMut};
use std::time::Instant;

pub(super) const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
/// Keys that a write without rows in its reply gives back: one more than are forgotten one by one.
const KEYS: u64 = 1001;

/// Answers POST, PATCH and DELETE of a table.
pub(super) async fn write(
    method: Method,
    state: Shared,
    Path(table): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let begun = Instant::now();
    let answered = change(&state, &method, &table, query.as_deref().unwrap_or_default(), &headers, &body).await;
    state.answer(name_of(&method), Operation::Write, begun, answered)
}

async fn change(
    state: &Shared,
    method: &Method,
    table: &str,
    query: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Answered {
    state.serves(table)?;
    state.may_write()?;
    let (preferences, form) = (preferences(headers)?, form(headers)?);
    if if_match(headers)?.is_some() {
        return Err(Refusal::bad("If-Match is for one row, by its path"));
    }
    if method != Method::DELETE {
        is_json(headers)?;
    }
    let (rows, relation) = state.relation(table)?;
    profile::check(headers, &relation)?;
    let query = Query::parse(&relation, query)?;
    let returned = match (form, preferences.returned) {
        // Whatever the reply holds: a client that asks for one row means to write one.
        (Form::Object, _) => Returned::One,
        (Form::Array, Some(Return::Representation)) => Returned::Rows { most: state.settings.list_rows },
        (Form::Array, _) => Returned::Keys { most: KEYS },
    };
    let (statement, moves, is_plain) = match *method {
        Method::POST => {
            let payload = set_by(&relation, &query, &preferences, body)?;
            let is_plain = payload.is_single && preferences.returned.is_none() && preferences.resolution.is_none();
            if payload.rows == 0 {
                if form == Form::Object {
                    return Err(Refusal::not_one("0 rows"));
                }
                return reply(&relation, method, &preferences, form, false, None);
            }
            let moves = moves(&relation, &query, &payload, preferences.resolution);
            (Statement::insert(&relation, &query, &payload, preferences.resolution, returned), moves, is_plain)
        }
        Method::PATCH => {
            let payload = set_by(&relation, &query, &preferences, body)?.of_one()?;
            let moves = relation.key_columns().iter().any(|column| payload.columns.contains(column));
            (Statement::update(&relation, &query, &payload, &Target::Filtered, returned)?, moves, false)
        }
        _ => (Statement::delete(&relation, &query, &Target::Filtered, returned)?, false, false),
    };
    let written = rows.write_rows(table, &statement.sql, statement.values(), moves).await;
    let written = written.map_err(|error| match Refusal::from(error) {
        // More rows than the one, so the write was undone.
        refusal if refusal.code == TOO_MANY_CODE && form == Form::Object => Refusal::not_one("more than one row"),
        refusal => refusal,
    })?;
    state.wrote(name_of(method), table, written.total);
    reply(&relation, method, &preferences, form, is_plain, Some(written))
}

fn set_by(relation: &Relation, query: &Query, preferences: &Preferences, body: &[u8]) -> Result<Payload, QueryError> {
    let payload = Payload::parse(relation, query, body)?;
    Ok(if preferences.missing == Some(Missing::Default) { payload.with_defaults() } else { payload })
}

/// Returns true if a row may change its key: one that is found by other columns than the key's.
fn moves(relation: &Relation, query: &Query, payload: &Payload, resolution: Option<Resolution>) -> bool {
    let key = relation.key_columns();
    let is_by_key = query.on_conflict.is_empty() || query.on_conflict.iter().all(|column| key.contains(column));
    resolution == Some(Resolution::Merge) && !is_by_key && key.iter().any(|column| payload.columns.contains(column))
}

fn reply(
    relation: &Relation,
    method: &Method,
    preferences: &Preferences,
    form: Form,
    is_plain: bool,
    written: Option<WrittenRows>,
) -> Answered {
    let (rows, total, row_token) = match written {
        Some(written) => (written.rows, written.total, written.token),
        None => (Vec::new(), 0, None),
    };
    let is_insert = method == Method::POST;
    let status = if is_insert { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = match preferences.returned {
        Some(Return::Representation) => represented(status, form, &rows)?,
        _ if is_plain => match rows.first() {
            Some((key, _)) => json(status, inserted(relation, key)),
            // A trigger or a rule of the table prevented it.
            None => json(StatusCode::CONFLICT, &br#"{"msg":"bad"}"#[..]),
        },
        _ if is_insert => empty(status),
        _ => empty(StatusCode::NO_CONTENT),
    };
    if is_insert && let [(key, _)] = &*rows {
        set(&mut response, LOCATION, &path_of(&relation.name, key));
    }
    if preferences.count || preferences.returned == Some(Return::Representation) {
        let total = if preferences.count { total.to_string() } else { "*".to_owned() };
        set(&mut response, CONTENT_RANGE, &format!("*/{total}"));
    }
    if let Some(applied) = preferences.applied() {
        set(&mut response, PREFERENCE_APPLIED, &applied);
    }
    uncached(&mut response);
    token(&mut response, row_token);
    Ok(response)
}

fn represented(status: StatusCode, form: Form, rows: &[(Key, Row)]) -> Answered {
    let rows: Vec<&[u8]> = rows.iter().map(|(_, row)| row.as_deref().unwrap_or(b"null")).collect();
    body_of(status, form, &rows)
}

/// Rows as an array, or the only one as an object.
pub(super) fn body_of(status: StatusCode, form: Form, rows: &[&[u8]]) -> Answered {
    match (form, rows) {
        (Form::Object, [row]) => {
            let mut response = json(status, Bytes::copy_from_slice(row));
            let kind = HeaderValue::from_static("application/vnd.pgrst.object+json; charset=utf-8");
            response.headers_mut().insert(CONTENT_TYPE, kind);
            Ok(response)
        }
        (Form::Object, []) => Err(Refusal::not_one("0 rows")),
        (Form::Object, _) => Err(Refusal::not_one("more than one row")),
        (Form::Array, rows) => {
            let mut body = BytesMut::with_capacity(2 + rows.iter().map(|row| row.len() + 1).sum::<usize>());
            body.put_u8(b'[');
            for (at, row) in rows.iter().enumerate() {
                if at > 0 {
                    body.put_u8(b',');
                }
                body.extend_from_slice(row);
            }
            body.put_u8(b']');
            Ok(json(status, body.freeze()))
        }
    }
}
