//! One row, by its key.

use super::answer::{cached, json, key_json, key_text, path_of, set, source_name, token, uncached};
use super::errors::{Answered, Refusal};
use super::headers::{consistency, consistency_header, if_match, is_json, is_known, known_tags, preferences, prefers};
use super::metrics::Operation;
use super::path::Path;
use super::profile;
use super::state::{Backend, Shared, State, name_of};
use crate::query::{
    COMPUTED, Payload, Preferences, Query, QueryError, Relation, Return, Returned, Statement, Target, list_of, pairs,
};
use crate::table::quoted_tag;
use crate::{Error, Key, RowCache, Source, WrittenRows};
use axum::Extension;
use axum::body::Body;
use axum::extract::RawQuery;
use axum::http::header::{CONTENT_LOCATION, ETAG};
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use std::sync::Arc;
use std::time::{Duration, Instant};
use switchboard_web::Immediate;

/// A strong read that has waited for its marker before the router saw it.
#[derive(Clone)]
pub(super) struct Waited {
    /// The cache that the marker was of.
    rows: RowCache,
    begun: Instant,
    is_proven: bool,
}

/// Answers a GET of a cached row, without a question but its key, and a strong one once its marker has come back. It says
/// what [`get`] would, which answers anything else.
pub(super) fn immediate(state: &Arc<State>, uri: &Uri, headers: &HeaderMap) -> Immediate {
    let begun = Instant::now();
    let Some((table, key)) = plain_path(uri) else { return Immediate::Router };
    // Another site's page needs headers of its own.
    if uri.query().is_some() || !state.settings.origins.is_empty() || state.serves(table).is_err() {
        return Immediate::Router;
    }
    if profile::is_named(headers) || prefers(headers) {
        return Immediate::Router;
    }
    match consistency_header(headers) {
        None => match &*state.backend.read() {
            Backend::Up(rows) => hit(state, rows, table, key, headers, begun).into(),
            Backend::Down(_) => Immediate::Router,
        },
        Some(b"strong") => {
            let Ok(rows) = state.rows() else { return Immediate::Router };
            let (state, uri, tags) = (state.clone(), uri.clone(), known_tags(headers));
            Immediate::Later(Box::pin(async move {
                let (table, key) = plain_path(&uri).unwrap_or_default();
                let is_proven = rows.prove(table).await;
                let found = if is_proven { hit(&state, &rows, table, key, &tags, begun) } else { None };
                found.ok_or_else(|| {
                    let mut extensions = Extensions::new();
                    extensions.insert(Waited { rows, begun, is_proven });
                    extensions
                })
            }))
        }
        Some(_) => Immediate::Router,
    }
}

/// Table and key of a path whose text stands for itself.
fn plain_path(uri: &Uri) -> Option<(&str, &str)> {
    let (table, key) = uri.path().strip_prefix('/')?.split_once('/')?;
    let is_plain = !key.is_empty() && !key.contains('/') && !uri.path().contains('%');
    is_plain.then_some((table, key))
}

fn hit(
    state: &State,
    rows: &RowCache,
    table: &str,
    key: &str,
    headers: &HeaderMap,
    begun: Instant,
) -> Option<Response<Bytes>> {
    let (row, max_age) = rows.read_now(table, key)?;
    tracing::debug!("id={key} Cache {}", source_name(Source::Hit));
    let response = found(headers, row, Source::Hit, max_age);
    state.record("get", Operation::Hit, begun);
    Some(response)
}

/// Answers GET and HEAD.
pub(super) async fn get(
    state: Shared,
    Path((table, key)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    waited: Option<Extension<Waited>>,
    headers: HeaderMap,
) -> Response {
    let waited = waited.map(|Extension(waited)| waited);
    let begun = waited.as_ref().map_or_else(Instant::now, |waited| waited.begun);
    let (operation, response) = match read(&state, &table, &key, query.as_deref(), waited, &headers).await {
        Ok(answered) => answered,
        Err(refusal) => (Operation::Failed, refusal.into_response()),
    };
    state.record("get", operation, begun);
    response
}

async fn read(
    state: &Shared,
    table: &str,
    key: &str,
    query: Option<&str>,
    waited: Option<Waited>,
    headers: &HeaderMap,
) -> Result<(Operation, Response), Refusal> {
    state.serves(table)?;
    let asked = query.map(consistency_of).transpose()?.flatten();
    let consistency = consistency(headers, asked.as_deref())?;
    // No preference changes what is read; some are refused.
    preferences(headers)?;
    let (rows, is_proven) = match waited {
        Some(waited) => (waited.rows, Some(waited.is_proven)),
        None => (state.rows()?, None),
    };
    if profile::is_named(headers) {
        profile::check(headers, &rows.relation(table)?)?;
    }
    let key = key_of(&rows, table, key)?;
    let read = match is_proven {
        Some(is_proven) => rows.read_proven(table, &key, is_proven).await?,
        None => rows.read_with(table, &key, consistency).await?,
    };
    let operation = Operation::of(read.source);
    tracing::debug!("id={} Cache {}", key_text(&key), source_name(read.source));
    let Some(row) = read.row else {
        let mut response = json(StatusCode::NOT_FOUND, &b"null"[..]);
        cached(&mut response, read.source, read.max_age);
        return Ok((operation, response));
    };
    Ok((operation, found(headers, row, read.source, read.max_age).map(Body::from)))
}

/// The reply with a row that is there.
fn found(headers: &HeaderMap, row: Bytes, source: Source, max_age: Duration) -> Response<Bytes> {
    let tag = quoted_tag(&row);
    let mut response = if is_known(headers, &tag) {
        super::answer::empty(StatusCode::NOT_MODIFIED)
    } else {
        json(StatusCode::OK, row)
    };
    set_tag(&mut response, &tag);
    cached(&mut response, source, max_age);
    response
}

fn set_tag<B>(response: &mut Response<B>, tag: &[u8]) {
    let tag = HeaderValue::from_bytes(tag).expect("a quoted tag is ASCII");
    response.headers_mut().insert(ETAG, tag);
}

/// The query of a row has nothing but its consistency.
fn consistency_of(query: &str) -> Result<Option<String>, Refusal> {
    let mut found = None;
    for (name, value) in pairs(query)? {
        if name != "_consistency" {
            return Err(Refusal::bad(format!("a row's path takes _consistency alone, not {name}")));
        }
        if found.is_some() {
            return Err(Refusal::bad("_consistency is given twice"));
        }
        found = Some(value);
    }
    Ok(found)
}

/// The key of a path. A key of one column is the whole text, whatever it holds.
fn key_of(rows: &RowCache, table: &str, text: &str) -> Result<Key, Refusal> {
    Ok(if rows.key_columns(table)? == 1 { Key::from(text) } else { Key::from(list_of(text)?) })
}

/// Answers PUT, PATCH and DELETE.
pub(super) async fn write(
    method: Method,
    state: Shared,
    Path((table, key)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let begun = Instant::now();
    let answered = change(&state, &method, &table, &key, query.as_deref(), &headers, &body).await;
    state.answer(name_of(&method), Operation::Write, begun, answered)
}

async fn change(
    state: &Shared,
    method: &Method,
    table: &str,
    key: &str,
    query: Option<&str>,
    headers: &HeaderMap,
    body: &[u8],
) -> Answered {
    state.serves(table)?;
    state.may_write()?;
    if let Some(query) = query.filter(|query| !query.is_empty()) {
        return Err(Refusal::bad(format!("a write of one row takes no query, and got {query}")));
    }
    let (preferences, tags) = (preferences(headers)?, if_match(headers)?);
    let has_condition = headers.contains_key(axum::http::header::IF_MATCH);
    if method != Method::DELETE {
        is_json(headers)?;
    }
    let (rows, relation) = state.relation(table)?;
    profile::check(headers, &relation)?;
    let key = rows.canonical(table, &key_of(&rows, table, key)?)?;
    let target = Target::Key { key: key.parts().to_vec(), tag: tags };
    let (query, returned) = (Query::default(), Returned::Rows { most: 1 });
    let mut computed = Vec::new();
    let (statement, moves) = if method == Method::DELETE {
        (Statement::delete(&relation, &query, &target, returned)?, false)
    } else {
        let mut payload = Payload::parse_row(&relation, &query, body)?.of_one()?;
        let moves = !settle_key(&relation, &key, method, &mut payload)?;
        computed.clone_from(&payload.computed);
        (Statement::update(&relation, &query, &payload, &target, returned)?, moves)
    };
    let written = rows.write_rows(table, &statement.sql, statement.values(), moves).await;
    let written = written.map_err(|error| match error {
        Error::Rejected(reply) if reply.code == "22P02" && reply.message.contains(COMPUTED) => {
            let names = computed.iter().map(|column| relation.get(*column).name.as_str());
            let names = names.collect::<Vec<_>>().join(", ");
            Refusal::from(QueryError::body(format!("the database computes {names}, and the row has another value")))
        }
        other => other.into(),
    })?;
    Ok(reply(&relation, method, &preferences, has_condition, written))
}

/// Leaves the key out of the columns to set, if the body says what the path says. Returns false if it says otherwise,
/// which PUT does not take.
fn settle_key(relation: &Relation, key: &Key, method: &Method, payload: &mut Payload) -> Result<bool, Refusal> {
    let columns = relation.key_columns();
    let is_given = |column| payload.columns.contains(column) || payload.computed.contains(column);
    if !columns.iter().any(is_given) {
        return Ok(true);
    }
    let is_same = columns
        .iter()
        .zip(key.parts())
        .all(|(column, text)| !is_given(column) || payload.field(&relation.get(*column).name).as_deref() == Some(text));
    if is_same {
        payload.columns.retain(|column| !columns.contains(column));
        payload.computed.retain(|column| !columns.contains(column));
    } else if method == Method::PUT {
        let refusal = Refusal::new(StatusCode::BAD_REQUEST, "PGRST115", "the body has another key than the path");
        return Err(refusal.with_hint("PATCH changes a key"));
    }
    Ok(is_same)
}

fn reply(
    relation: &Relation,
    method: &Method,
    preferences: &Preferences,
    has_condition: bool,
    written: WrittenRows,
) -> Response {
    let mut response = match written.rows.into_iter().next() {
        None if has_condition => {
            Refusal::new(StatusCode::PRECONDITION_FAILED, "PGRST129", "there is no row of this key and this tag")
                .into_response()
        }
        None => json(StatusCode::NOT_FOUND, &br#"{"msg":"bad"}"#[..]),
        Some((key, row)) => {
            let row = row.unwrap_or_default();
            let mut response = match preferences.returned {
                Some(Return::Representation) => json(StatusCode::OK, row.clone()),
                Some(Return::Minimal | Return::HeadersOnly) => super::answer::empty(StatusCode::NO_CONTENT),
                None => json(StatusCode::OK, &br#"{"msg":"ok"}"#[..]),
            };
            if method != Method::DELETE {
                set_tag(&mut response, &quoted_tag(&row));
                set(&mut response, CONTENT_LOCATION, &path_of(&relation.name, &key));
            }
            response
        }
    };
    uncached(&mut response);
    token(&mut response, written.token);
    if let Some(applied) = preferences.applied() {
        set(&mut response, super::bulk::PREFERENCE_APPLIED, &applied);
    }
    response
}

/// The body of a row that was inserted.
pub(super) fn inserted(relation: &Relation, key: &Key) -> String {
    format!(r#"{{"msg":"ok","id":{}}}"#, key_json(relation, key))
}
