//! The page over HTTP.

use super::cache::Cache;
use super::files::file;
use super::query::Query;
use super::{POLICY, events, page, secure};
use crate::board::{Board, View};
use crate::site::Listed;
use crate::site::opml;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State as Shared};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use jiff::Timestamp;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use switchboard_web::{Services, secured, tagged};
use tokio::sync::{Mutex, watch};

/// A place of the page, and what is asked of it.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Page(Query),
    List(Query),
    Json(Query),
}

/// State that all requests share.
pub(super) struct State {
    pub(super) board: Board,
    pub(super) services: Services,
    /// Pages that listen for changes.
    pub(super) clients: AtomicUsize,
    pub(super) max_clients: usize,
    pub(super) ending: watch::Sender<bool>,
    /// The sites file, which one import at a time changes; `None`: the example sites.
    pub(super) file: Mutex<Option<PathBuf>>,
    cache: Cache<Key>,
}

impl State {
    pub(super) fn new(board: Board, services: Services, max_clients: usize, file: Option<PathBuf>) -> State {
        State {
            board,
            services,
            clients: AtomicUsize::new(0),
            max_clients,
            ending: watch::Sender::new(false),
            file: Mutex::new(file),
            cache: Cache::new(),
        }
    }
}

/// Everything that the service answers.
pub(super) fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/", get(whole))
        .route("/news", get(whole))
        .route("/news/list", get(list))
        .route("/news/events", get(events::stream))
        .route("/news.json", get(json))
        .route("/news.rss", get(rss))
        .route("/news.opml", get(opml_out).post(opml_in))
        .route("/colors.css", get(colors))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .fallback(file)
        .layer(from_fn(secure))
        .with_state(state)
}

type Refused = (StatusCode, String);

async fn ready(Shared(state): Shared<Arc<State>>) -> String {
    format!("ready\n{}", state.services.summary())
}

/// The query, after its refresh.
async fn asked(state: &State, uri: &Uri) -> Result<(Query, Arc<View>), Refused> {
    let parsed = Query::parse(uri.query().unwrap_or_default());
    let mut query = parsed.map_err(|reason| (StatusCode::BAD_REQUEST, format!("{reason}\n")))?;
    if std::mem::take(&mut query.refresh) {
        state.board.refresh().await;
    }
    Ok((query, state.board.view()))
}

const HTML: &str = "text/html; charset=utf-8";

fn answer(kind: &'static str, body: Bytes) -> Response {
    typed(kind, body).map(Body::from)
}

fn typed(kind: &'static str, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

async fn whole(Shared(state): Shared<Arc<State>>, uri: Uri) -> Result<Response, Refused> {
    let (query, view) = asked(&state, &uri).await?;
    let body = state
        .cache
        .get(Key::Page(query.clone()), view.version, || page::page(&view, &query, "/news", Timestamp::now()));
    Ok(answer(HTML, body))
}

/// Answers a GET of the page without a query, if its text is there; `None` for anything else. It says what [`whole`] would.
pub(super) fn immediate(state: &State, uri: &Uri) -> Option<Response<Bytes>> {
    if uri.query().is_some() || !matches!(uri.path(), "/" | "/news") {
        return None;
    }
    let text = state.cache.known(&Key::Page(Query::default()), state.board.view().version)?;
    Some(secured(typed(HTML, text), POLICY))
}

async fn list(Shared(state): Shared<Arc<State>>, uri: Uri) -> Result<Response, Refused> {
    let (query, view) = asked(&state, &uri).await?;
    let body = state.cache.get(Key::List(query.clone()), view.version, || page::list(&view, &query, Timestamp::now()));
    Ok(answer(HTML, body))
}

async fn json(Shared(state): Shared<Arc<State>>, uri: Uri) -> Result<Response, Refused> {
    let (query, view) = asked(&state, &uri).await?;
    let body = state
        .cache
        .get(Key::Json(query.clone()), view.version, || page::json(&view, &query, Timestamp::now()).to_string());
    Ok(answer("application/json", body))
}

async fn rss(Shared(state): Shared<Arc<State>>, uri: Uri, headers: HeaderMap) -> Result<Response, Refused> {
    let (query, view) = asked(&state, &uri).await?;
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let text = page::rss(&view, &query, &format!("http://{host}/news"));
    Ok(answer("application/rss+xml; charset=utf-8", text.into()))
}

async fn opml_out(Shared(state): Shared<Arc<State>>) -> Response {
    answer("text/x-opml; charset=utf-8", page::opml(&state.board.view()).into())
}

async fn colors(Shared(state): Shared<Arc<State>>, headers: HeaderMap) -> Response {
    let text = page::colors(&state.board.view());
    tagged("text/css; charset=utf-8", &page::hash(&text), &headers, text)
}

/// Dropped feeds of a list that its answer names; the others are counted.
const MAX_NAMED: usize = 100;

/// Adds the feeds of a list to the sites file.
async fn opml_in(Shared(state): Shared<Arc<State>>, request: Request) -> Result<Response, Refused> {
    let refused = |status, text: String| (status, format!("{text}\n"));
    let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).map(str::to_owned);
    let body = axum::body::to_bytes(request.into_body(), usize::MAX).await;
    let body = body.map_err(|error| refused(StatusCode::BAD_REQUEST, error.to_string()))?;
    let list = crate::fetch::decode(&body, kind.as_deref());
    let file = state.file.lock().await;
    let Some(path) = file.clone() else {
        let text = "the example sites cannot be changed; start with a sites file (--sites FILE)".to_owned();
        return Err(refused(StatusCode::CONFLICT, text));
    };
    let adding = tokio::task::spawn_blocking(move || add(&path, &list));
    let result = adding.await.map_err(|error| refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    let (sites, made) = result.map_err(|(status, text)| refused(status, text))?;
    state.board.replace(sites);
    drop(file);
    let named = &made.dropped[..made.dropped.len().min(MAX_NAMED)];
    let answer = serde_json::json!({
        "added": made.added, "present": made.present, "dropped": made.dropped.len(), "dropped_feeds": named,
    });
    Ok((StatusCode::OK, axum::Json(answer)).into_response())
}

fn add(path: &std::path::Path, list: &str) -> Result<(Vec<Listed>, opml::Import), Refused> {
    let own = |text| (StatusCode::CONFLICT, text);
    let text = crate::board::read(path).map_err(own)?;
    let problems = |problems: Vec<_>| own(format!("{}: {}", path.display(), crate::board::words(&problems)));
    let sites = crate::site::parse_each(&text).map_err(problems)?;
    let made = opml::import(list, &sites).map_err(|error| (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))?;
    let (text, sites) = opml::added(&text, &made.tables).map_err(problems)?;
    write(path, &text).map_err(|error| own(format!("cannot write the sites file {}: {error}", path.display())))?;
    Ok((sites, made))
}

/// Written aside and renamed, with the mode of the file before.
fn write(path: &std::path::Path, text: &str) -> std::io::Result<()> {
    // A link stays a link.
    let path = std::fs::canonicalize(path)?;
    let folder = path.parent().unwrap_or(std::path::Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".sites").tempfile_in(folder)?;
    std::io::Write::write_all(&mut file, text.as_bytes())?;
    file.as_file().set_permissions(std::fs::metadata(&path)?.permissions())?;
    file.as_file().sync_all()?;
    file.persist(&path).map_err(|error| error.error)?;
    Ok(())
}
