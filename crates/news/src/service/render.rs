//! The service `render`: Splash's contract over a Chromium.

use super::arguments::Arguments;
use super::news::StartError;
use super::quarantine;
use super::settings::RenderServiceSettings;
use super::splash::SplashError;
use crate::render::{Rendered, Renderer, Request as Page};
use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, StatusCode};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use switchboard_web::{HttpServer, Purpose, ServiceState, Services, Token};
use tokio::time::sleep;

/// The part that a service without Chromium lacks.
const BROWSER: &str = "browser";
const HTTP: Purpose = Purpose::http("render", "--set render.listen=");
/// Time between two looks for a program that is missing.
const LOOK: Duration = Duration::from_secs(5);

/// The page at the banner's address.
const INDEX: &str = "Switchboard's rendering service.\n\n\
    GET /render.html?url=URL    the page's HTML after its scripts have run\n\
    GET /render.png?url=URL     a picture of it\n\
    GET /render.json?url=URL    title, address, status; html=1 and png=1 add these\n\
    GET /_ping                  what Chromium is doing\n\n\
    Arguments: timeout, wait, wait_for, resource_timeout, images, viewport, allowed_domains, headers; in a query, or as\n\
    JSON by POST.\n";

/// A rendering service that listens, and serves from [`RenderService::run`] on.
pub struct RenderService {
    http: HttpServer,
    shared: Arc<Shared>,
}

struct Shared {
    renderer: Renderer,
    max_timeout: Duration,
    services: Services,
}

impl RenderService {
    /// Listens on all addresses of the settings. The program must have called [`switchboard_child::init`] first in `main`.
    ///
    /// # Errors
    ///
    /// A setting or an address cannot be used; the error says which.
    pub async fn bind(settings: RenderServiceSettings) -> Result<RenderService, StartError> {
        settings.check()?;
        let services = settings.web.services.clone();
        let http = HttpServer::bind(&settings.listen, HTTP, settings.web).await?;
        let shared = Shared { renderer: settings.renderer, max_timeout: settings.max_timeout, services };
        shared.show_problem();
        Ok(RenderService { http, shared: Arc::new(shared) })
    }

    /// Returns the addresses of its listeners.
    #[must_use]
    pub fn http_addresses(&self) -> Vec<SocketAddr> {
        self.http.addresses()
    }

    /// The token that it asks for beyond loopback, if it can be reached from there.
    #[must_use]
    pub fn token(&self) -> Option<&Token> {
        self.http.token()
    }

    /// Serves until `shutdown` is ready. Pages that are being rendered have one second then.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let shared = self.shared.clone();
        tokio::select! {
            () = self.http.serve(router(self.shared), shutdown) => {}
            never = shared.follow() => match never {},
        }
    }
}

fn router(shared: Arc<Shared>) -> Router {
    let unsupported = || async { SplashError::option("bad_argument", "", "this endpoint of Splash is not supported") };
    let lua = || async { SplashError::script("Lua scripts are not supported: use /render.html with wait_for") };
    Router::new()
        .route("/render.html", get(html).post(html))
        .route("/render.png", get(png).post(png))
        .route("/render.json", get(all).post(all))
        .route("/render.jpeg", any(unsupported))
        .route("/render.har", any(unsupported))
        .route("/execute", any(lua))
        .route("/run", any(lua))
        .route("/_ping", get(ping))
        .route("/_gc", post(collect))
        .route("/", get(|| async { INDEX }))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .layer(from_fn(quarantine))
        .with_state(shared)
}

impl Shared {
    /// Why no page can be rendered, if that is known.
    fn problem(&self) -> Option<String> {
        self.renderer.problem().borrow().as_ref().map(|problem| problem.reason.clone())
    }

    fn show_problem(&self) {
        let state =
            self.problem().map_or(ServiceState::Running, |reason| ServiceState::Degraded { lacks: BROWSER, reason });
        self.services.set("render", state);
    }

    /// Shows why no page can be rendered as the state of the service. Looks for a program that is missing again and again.
    async fn follow(&self) -> Infallible {
        let mut problem = self.renderer.problem();
        loop {
            let has_problem = problem.borrow_and_update().is_some();
            self.show_problem();
            tokio::select! {
                // The renderer, which is ours, has the sender.
                _ = problem.changed() => {}
                () = sleep(LOOK), if has_problem => self.renderer.look(),
            }
        }
    }

    async fn arguments(&self, request: Request) -> Result<Arguments, SplashError> {
        // A page elsewhere could make its readers' browsers work for it.
        if switchboard_web::is_foreign(&request) {
            return Err(SplashError::foreign());
        }
        let query = request.uri().query().unwrap_or_default().to_owned();
        if request.method() != Method::POST {
            return Arguments::new(&query, None);
        }
        let kind =
            request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            return Err(SplashError::content_type(&kind));
        }
        let broken = |error: axum::Error| SplashError::option("invalid_json", "", &error.to_string());
        let body = to_bytes(request.into_body(), usize::MAX).await.map_err(broken)?;
        Arguments::new(&query, Some(&body))
    }

    async fn render(&self, page: &Page) -> Result<Rendered, SplashError> {
        self.renderer.render(page).await.map_err(SplashError::from)
    }
}

async fn html(State(shared): State<Arc<Shared>>, request: Request) -> Result<Response, SplashError> {
    let page = shared.arguments(request).await?.request(shared.max_timeout)?;
    let rendered = shared.render(&page).await?;
    Ok(([(CONTENT_TYPE, "text/html; charset=utf-8")], rendered.html).into_response())
}

async fn png(State(shared): State<Arc<Shared>>, request: Request) -> Result<Response, SplashError> {
    let arguments = shared.arguments(request).await?;
    let mut page = arguments.request(shared.max_timeout)?;
    page.screenshot = Some(arguments.screenshot(&page)?);
    let rendered = shared.render(&page).await?;
    Ok(([(CONTENT_TYPE, "image/png")], rendered.png.unwrap_or_default()).into_response())
}

async fn all(State(shared): State<Arc<Shared>>, request: Request) -> Result<Response, SplashError> {
    let arguments = shared.arguments(request).await?;
    let mut page = arguments.request(shared.max_timeout)?;
    for name in ["iframes", "jpeg", "script", "console", "history", "har"] {
        if arguments.flag(name, false)? {
            return Err(SplashError::option("bad_argument", name, &format!("{name} is not supported")));
        }
    }
    let wants_html = arguments.flag("html", false)?;
    if arguments.flag("png", false)? {
        page.screenshot = Some(arguments.screenshot(&page)?);
    }
    let rendered = shared.render(&page).await?;
    let mut answer = json!({
        "url": rendered.url, "requestedUrl": page.url, "title": rendered.title,
        "geometry": [0, 0, page.viewport.width, page.viewport.height], "status": rendered.status,
    });
    if wants_html {
        answer["html"] = rendered.html.into();
    }
    if let Some(png) = rendered.png {
        answer["png"] = STANDARD.encode(png).into();
    }
    Ok(axum::Json(answer).into_response())
}

async fn ping(State(shared): State<Arc<Shared>>) -> axum::Json<Value> {
    let status = shared.renderer.status().await;
    axum::Json(json!({ "status": "ok", "maxrss": max_resident(), "renderer": status }))
}

/// Kilobytes.
fn max_resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
}

/// Splash collects garbage here; Chromium is replaced.
async fn collect(State(shared): State<Arc<Shared>>) -> axum::Json<Value> {
    axum::Json(json!({ "status": "ok", "recycled": shared.renderer.recycle().await }))
}

/// Ready means: pages can be rendered, as far as that is known.
async fn ready(State(shared): State<Arc<Shared>>) -> (StatusCode, String) {
    shared.renderer.look();
    shared.show_problem();
    let (status, word, browser) = match shared.problem() {
        None => (StatusCode::OK, "ready", "found"),
        Some(_) => (StatusCode::SERVICE_UNAVAILABLE, "not ready", "missing"),
    };
    (status, format!("{word}\n{BROWSER}: {browser}\n{}", shared.services.summary()))
}

impl std::fmt::Debug for RenderService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RenderService").field("http", &self.http).finish_non_exhaustive()
    }
}
