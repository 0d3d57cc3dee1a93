//! The services: the page of headlines, and the rendering service.

mod files;
mod settings;

mod page;
mod query;

mod cache;
mod events;
mod http;
mod news;

mod arguments;
mod render;
mod splash;

pub use news::{EXAMPLES, News, StartError};
pub(crate) use news::{scraper, sites};
pub use render::RenderService;
pub use settings::{NewsSettings, RenderServiceSettings, Rendering};

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use switchboard_web::secured;

/// No code, style or picture but this server's own files, nothing inline, and no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
/// The policy of rendered pages, which are a stranger's: they may do nothing here.
const FOREIGN: &str = "sandbox; default-src 'none'; frame-ancestors 'none'";

/// Adds the headers that restrict what a browser does with the page.
async fn secure(request: Request, next: Next) -> Response {
    secured(next.run(request).await, POLICY)
}

/// The same for the rendering service.
async fn quarantine(request: Request, next: Next) -> Response {
    secured(next.run(request).await, FOREIGN)
}
