//! The page at the broker's HTTP address, and the answers that only it needs.

mod files;
mod find;
mod order;
mod own;
mod publish;
mod tables;
mod tail;

use crate::connector::Connector;
use crate::hub::Hub;
use axum::routing::{get, post};
use axum::{Extension, Router};
use std::sync::Arc;

/// The page's files and answers. `index` is for whoever asks for `/` and is no browser.
pub(crate) fn router(connector: Connector, index: &'static str) -> Router<Arc<Hub>> {
    Router::new()
        .route("/", get(files::start))
        .route("/page/{*file}", get(files::file))
        .route("/theme.css", get(files::file))
        .route("/services.js", get(files::file))
        .route("/live.js", get(files::file))
        .route("/page/channels", get(tables::channels))
        .route("/page/channel", get(tables::channel))
        .route("/page/connections", get(tables::connections))
        .route("/page/tail", get(tail::stream))
        .route("/page/publish", post(publish::publish))
        .layer(axum::middleware::from_fn(files::secure))
        .layer(Extension(connector))
        .layer(Extension(files::Index(index)))
}
