//! The service `news`: the page of headlines.

use super::http::{State, immediate, router};
use super::settings::{NewsSettings, Rendering};
use crate::board::{Board, read, words};
use crate::fetch::{Fetcher, Options};
use crate::guard::Guard;
use crate::render::{Backend, Remote, RemoteError, Renderer, SettingError};
use crate::scrape::Scraper;
use crate::site::{Listed, parse_each};
use crate::state::Store;
use std::collections::BTreeSet;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use switchboard_http_client::TrustError;
use switchboard_web::{BindError, HttpServer, Purpose, Token};
use tokio::task::spawn_blocking;

/// The sites without a sites file, as the text of one.
pub const EXAMPLES: &str = include_str!("../../examples/sites.toml");
/// The limit of connecting to one address.
const CONNECT: Duration = Duration::from_secs(5);
const HTTP: Purpose = Purpose::http("news", "--set news.listen=");

/// A service cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A setting is out of its bounds.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The sites file cannot be used.
    #[error("{0}")]
    Sites(String),
    /// The data directory cannot be used.
    #[error("cannot keep results in {}: {source}; choose another data directory with --data DIR", path.display())]
    Data {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another process uses the data directory.
    #[error("another Switchboard uses {}; choose another data directory with --data DIR", .0.display())]
    InUse(PathBuf),
    /// The rendering service cannot be used.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The certificates to trust cannot be read.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

/// A page of headlines that listens, and serves from [`News::run`] on.
pub struct News {
    http: HttpServer,
    settings: NewsSettings,
    scraper: Scraper,
    store: Store,
    /// The sites file's text, and its sites.
    sites: (String, Vec<Listed>),
}

impl News {
    /// Listens on all addresses of the settings, reads the sites file and takes the data directory. For pages that have to
    /// be rendered here, the program must have called [`switchboard_child::init`] first in `main`.
    ///
    /// # Errors
    ///
    /// A setting, an address, the sites file or the data directory cannot be used; the error says which.
    pub async fn bind(mut settings: NewsSettings) -> Result<News, StartError> {
        settings.check()?;
        let scraper = scraper(&settings)?;
        let (file, path) = (settings.sites.clone(), settings.data.clone());
        let reading = spawn_blocking(move || {
            let sites = sites(file)?;
            let store = Store::open(&path).map_err(|source| match source.kind() {
                io::ErrorKind::ResourceBusy => StartError::InUse(path),
                _ => StartError::Data { path, source },
            })?;
            Ok::<_, StartError>((sites, store))
        });
        let (sites, store) = reading.await.map_err(|error| StartError::Sites(error.to_string()))??;
        settings.web.token_file.get_or_insert_with(|| settings.data.join("token"));
        let http = HttpServer::bind(&settings.listen, HTTP, settings.web.clone()).await?;
        Ok(News { http, settings, scraper, store, sites })
    }

    /// Returns the addresses of the page.
    #[must_use]
    pub fn http_addresses(&self) -> Vec<SocketAddr> {
        self.http.addresses()
    }

    /// The token that the page asks for beyond loopback, if it can be reached from there.
    #[must_use]
    pub fn token(&self) -> Option<&Token> {
        self.http.token()
    }

    /// The hosts that its sites are on, and their feeds, in the order of their names.
    #[must_use]
    pub fn hosts(&self) -> Vec<String> {
        let usable = self.sites.1.iter().filter_map(|listed| match listed {
            Listed::Usable(site) => Some(site),
            Listed::Faulty(_) => None,
        });
        let urls = usable.flat_map(|site| std::iter::once(&site.url).chain(&site.feed));
        let hosts: BTreeSet<String> = urls.filter_map(|url| url.host_str().map(str::to_owned)).collect();
        hosts.into_iter().collect()
    }

    /// The sites file; `None`: the example sites.
    #[must_use]
    pub fn sites_file(&self) -> Option<&Path> {
        self.settings.sites.as_deref()
    }

    /// Serves until `shutdown` is ready.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let News { http, settings, scraper, store, sites: (text, sites) } = self;
        let board = Board::start(scraper, store, settings.publish.clone(), sites);
        if let Some(file) = &settings.sites {
            board.watch(file.clone(), text);
        }
        // The other half of the connections is for pages that come.
        let connections = switchboard_web::max_connections(settings.web.limits.connections);
        let clients = settings.clients.min(connections / 2).max(1);
        let state = Arc::new(State::new(board, settings.web.services.clone(), clients, settings.sites));
        let ending = state.ending.clone();
        let end = async move {
            shutdown.await;
            ending.send_replace(true);
        };
        let (known, last) = (state.clone(), state.clone());
        http.immediate(move |uri, _| immediate(&known, uri)).serve(router(state), end).await;
        last.board.save_unsaved().await;
    }
}

/// Returns the scraper of these settings. To be used inside a tokio runtime.
///
/// # Errors
///
/// The renderer's settings are out of bounds, or certificates cannot be read.
pub(crate) fn scraper(settings: &NewsSettings) -> Result<Scraper, StartError> {
    let guard = Guard::new(settings.allow.clone(), CONNECT);
    let options = Options {
        contact: settings.contact.clone(),
        timeout: settings.timeout,
        connect_timeout: CONNECT.min(settings.timeout),
        delay: settings.delay,
        ..Options::default()
    };
    let fetcher = Fetcher::new(guard, options)?;
    let renderer = match settings.rendering.clone() {
        Rendering::None => None,
        Rendering::Own(settings) => Some(Backend::Local(Renderer::new(settings)?)),
        Rendering::Shared(renderer) => Some(Backend::Local(renderer)),
        Rendering::Remote(address) => Some(Backend::Remote(Box::new(Remote::new(&address)?))),
    };
    Ok(Scraper::new(fetcher, renderer, settings.deadline))
}

/// The text and the sites of a file, or of the examples.
pub(crate) fn sites(file: Option<PathBuf>) -> Result<(String, Vec<Listed>), StartError> {
    let (path, text) = match file {
        Some(path) => {
            let text = read(&path).map_err(StartError::Sites)?;
            (path, text)
        }
        None => (PathBuf::from("the example sites"), EXAMPLES.to_owned()),
    };
    match parse_each(&text) {
        Ok(sites) => Ok((text, sites)),
        Err(problems) => Err(StartError::Sites(format!("{}: {}", path.display(), words(&problems)))),
    }
}

impl std::fmt::Debug for News {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("News").field("http", &self.http).finish_non_exhaustive()
    }
}
