//! Both services, started by the settings of the program.

use super::publish::Publisher;
use crate::config::Settings;
use crate::data;
use crate::up::Chosen;
use anyhow::{Result, anyhow};
use std::net::SocketAddr;
use std::path::Path;
use switchboard_child::sweep;
use switchboard_driver::quantity::plural;
use switchboard_monitor::Pipe;
use switchboard_news::guard::Allow;
use switchboard_news::render::{Renderer, RendererSettings};
use switchboard_news::service::{News, NewsSettings, RenderService, RenderServiceSettings, Rendering, StartError};
use switchboard_web::Token;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

/// The Chromiums of this program: services that may reach the same share one.
#[derive(Default)]
pub(crate) struct Renderers(Mutex<Vec<Renderer>>);

impl Renderers {
    /// The renderer whose pages may reach these pairs. What an earlier run left is removed first.
    async fn get(&self, data: &Path, settings: &RendererSettings, allow: &Allow) -> Result<Renderer> {
        // Services begin side by side: who comes second waits, and neither makes another nor sweeps beside the first one.
        let mut renderers = self.0.lock().await;
        if let Some(known) = renderers.iter().find(|renderer| renderer.settings().allow == *allow) {
            return Ok(known.clone());
        }
        let data = data.to_owned();
        let preparing = spawn_blocking(move || {
            let directory = data::renderer_folder(&data)?;
            let left = sweep(&directory);
            if left > 0 {
                let folders = plural(left, "folder");
                tracing::info!("removed {folders} that an earlier Chromium had left");
            }
            anyhow::Ok(directory)
        });
        let directory = preparing.await??;
        let renderer = Renderer::new(RendererSettings { directory, allow: allow.clone(), ..settings.clone() })?;
        renderers.push(renderer.clone());
        Ok(renderer)
    }
}

/// The page of headlines, and the way of its messages.
pub(crate) struct Page {
    news: News,
    publisher: Option<Publisher>,
    chosen: Chosen,
}

impl Page {
    pub(crate) fn http_addresses(&self) -> Vec<SocketAddr> {
        self.news.http_addresses()
    }

    pub(crate) fn token(&self) -> Option<&Token> {
        self.news.token()
    }

    /// Which hosts it asks, for the banner, in lines. Nobody has chosen the examples, so these say how to choose.
    pub(crate) fn asks(&self) -> String {
        asks(&self.news.hosts(), self.news.sites_file(), self.chosen)
    }

    /// Serves until `shutdown` is ready.
    pub(crate) async fn run(self, shutdown: impl Future<Output = ()>) {
        let Page { news, publisher, .. } = self;
        news.run(shutdown).await;
        if let Some(publisher) = publisher {
            publisher.finish().await;
        }
    }
}

fn asks(hosts: &[String], file: Option<&Path>, chosen: Chosen) -> String {
    let names = hosts.join(",\n");
    match (file, chosen) {
        (Some(file), _) => format!("{}, by {}", plural(hosts.len(), "host"), file.display()),
        (None, Chosen::All) => {
            format!("{names},\nwhich are examples: --set news.sites=FILE for others,\n--set news.listen= for none")
        }
        (None, _) => format!("{names},\nwhich are examples: --sites FILE for others"),
    }
}

/// The page's settings, all but who is told of what is new.
pub(super) async fn page_settings(settings: &Settings, renderers: &Renderers) -> Result<NewsSettings> {
    let mut service = settings.news.service.clone();
    let data = data::directory(settings.data.as_deref())?;
    service.data = data::folder(&data, "news")?;
    service.rendering = match &settings.news.renderer {
        Some(address) => Rendering::Remote(address.clone()),
        None => Rendering::Shared(renderers.get(&data, &settings.render.chromium, &service.allow).await?),
    };
    Ok(service)
}

/// The page of headlines. `pipe` leads to the broker of this program, if it has one; a broker of the settings comes first.
pub(crate) async fn bind_page(
    settings: &Settings,
    renderers: &Renderers,
    pipe: Option<Pipe>,
    chosen: Chosen,
) -> Result<Page> {
    let mut service = page_settings(settings, renderers).await?;
    let given = settings.news.broker.clone().map(|url| (url, None));
    // The name only: the connections are pipes.
    let broker = given.or_else(|| pipe.map(|pipe| ("switchboard://localhost".to_owned(), Some(pipe))));
    let publisher = broker.map(|(url, pipe)| {
        let (publisher, publish) = Publisher::start(url, pipe, &settings.news);
        service.publish = publish;
        publisher
    });
    if let Rendering::Shared(renderer) = &service.rendering {
        warn_of_missing(renderer);
    }
    let news = News::bind(service).await.map_err(|error| advised(error, chosen, "--set news.listen="))?;
    Ok(Page { news, publisher, chosen })
}

/// The rendering service.
pub(crate) async fn bind_render(settings: &Settings, renderers: &Renderers, chosen: Chosen) -> Result<RenderService> {
    let data = data::directory(settings.data.as_deref())?;
    let chromium = &settings.render.chromium;
    let renderer = renderers.get(&data, chromium, &chromium.allow).await?;
    warn_of_missing(&renderer);
    let mut service = RenderServiceSettings::new(renderer);
    service.listen.clone_from(&settings.render.listen);
    service.web = settings.web.clone();
    service.web.token_file.get_or_insert_with(|| data.join("token"));
    service.max_timeout = settings.render.max_timeout;
    RenderService::bind(service).await.map_err(|error| advised(error, chosen, "--set render.listen="))
}

fn advised(error: StartError, chosen: Chosen, setting: &'static str) -> anyhow::Error {
    match error {
        StartError::Bind(error) => chosen.advised(error, setting),
        error => anyhow!("{error}"),
    }
}

/// Says once what pages that need a browser will come to.
fn warn_of_missing(renderer: &Renderer) {
    static ONCE: std::sync::Once = std::sync::Once::new();
    if let Some(error) = renderer.missing() {
        ONCE.call_once(|| tracing::warn!("no page can be rendered: {error}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_banner_names_the_hosts_of_the_examples_and_what_asks_others() {
        let (all, one) = (["a.example".to_owned(), "b.example".to_owned()], ["a.example".to_owned()]);
        let (none, file) = (None, Some(Path::new("sites.toml")));
        let lines = |chosen| asks(&all, none, chosen).lines().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(lines(Chosen::News), ["a.example,", "b.example,", "which are examples: --sites FILE for others"]);
        let others = ["which are examples: --set news.sites=FILE for others,", "--set news.listen= for none"];
        assert_eq!(lines(Chosen::All), [&["a.example,", "b.example,"][..], &others].concat());
        assert_eq!(asks(&all, file, Chosen::All), "2 hosts, by sites.toml");
        assert_eq!(asks(&one, file, Chosen::News), "1 host, by sites.toml");
    }
}
