//! A cached route in an axum program of one's own.
//!
//!     DATABASE_URL=postgres://app@localhost/shop cargo run -p switchboard-rows --example embedded
//!     curl -i http://127.0.0.1:8001/patron/1
//!
//! The table is `patron (id serial PRIMARY KEY, name text, fav_dish text)`, created if it is missing.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use switchboard_rows::{Database, Error, Options, RowCache};

async fn patron(State(rows): State<RowCache>, Path(id): Path<i32>) -> Response {
    match rows.read("patron", id).await {
        Ok(read) => {
            let status = if read.row.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
            let cache = format!("{:?}", read.source).to_lowercase();
            let headers = [(header::CONTENT_TYPE, "application/json".to_owned()), (X_CACHE, cache)];
            // Ready JSON, as PostgreSQL made it.
            (status, headers, read.row.unwrap_or_else(|| "null".into())).into_response()
        }
        Err(error) if error.is_unavailable() => {
            (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], error.to_string()).into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

const X_CACHE: header::HeaderName = header::HeaderName::from_static("x-cache");

/// The routes of the program, of which one is cached.
pub(crate) fn app(rows: RowCache) -> Router {
    Router::new().route("/", get(|| async { "my own program\n" })).route("/patron/{id}", get(patron)).with_state(rows)
}

/// Goes on without a database, and serves rows once it answers.
pub(crate) fn rows(database: &Database) -> Result<RowCache, Error> {
    let options = Options { create_demo_table: true, ..Options::default() };
    RowCache::open(database, ["patron"], options)
}

#[allow(dead_code, reason = "the tests serve the routes themselves")]
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let database: Database = std::env::var("DATABASE_URL")?.parse()?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8001").await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app(rows(&database)?)).await?;
    Ok(())
}
