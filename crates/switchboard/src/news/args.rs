//! The command lines of both services.

use super::examples;
use crate::config::Settings;
use crate::log::LogFormat;
use crate::output::UsageError;
use crate::server_address::{Door, ServerAddress};
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};
use switchboard_news::guard::Target;
use url::Url;

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct NewsArgs {
    #[command(subcommand)]
    pub(super) action: Option<Action>,
    #[command(flatten)]
    page: PageArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Fetch one site, and show what each step of its rule finds.
    ///
    /// Exit code 0 if it finds enough, 1 if not, 2 for a wrong command line or a site that is not in the file.
    #[command(after_help = examples::TEST)]
    Test {
        /// The site's name.
        site: String,
        /// JSON instead of words.
        #[arg(long, short = 'j')]
        json: bool,
        #[command(flatten)]
        fetching: Fetching,
    },
    /// Validate the sites file, without fetching anything.
    ///
    /// Exit code 0 if it is right, 1 if it has faults (a color that is none included), 2 for a wrong command line or a
    /// file that cannot be read.
    #[command(after_help = examples::CHECK)]
    Check {
        /// The sites file [default: that of --config].
        file: Option<PathBuf>,
        /// A configuration file with `news.sites`.
        #[arg(long, short = 'c', value_name = "FILE")]
        config: Option<PathBuf>,
        /// The verdict as JSON, on a wrong file, too.
        #[arg(long, short = 'j')]
        json: bool,
    },
    /// Propose rules for a page: the feeds that it announces, and the links that repeat.
    ///
    /// The output is a sites file: keep one of its tables. Exit code 1 if the page cannot be fetched.
    #[command(after_help = examples::SUGGEST)]
    Suggest {
        /// The page's address; https is assumed without a scheme.
        #[arg(value_parser = page)]
        url: PageUrl,
        /// JSON instead of a sites file.
        #[arg(long, short = 'j')]
        json: bool,
        #[command(flatten)]
        fetching: Fetching,
    },
    /// Print the sites file that is used without one.
    #[command(after_help = examples::SITES)]
    Examples,
}

/// Options of everything that fetches sites.
#[derive(Args, Debug)]
pub(super) struct Fetching {
    /// The sites file, in TOML [default: two example sites].
    #[arg(long, value_name = "FILE")]
    sites: Option<String>,
    /// A rendering service, as Splash's [default: a Chromium of this program].
    #[arg(long, value_name = "URL")]
    renderer: Option<String>,
    /// A host and port that sites may be at although the address is not of the public internet (repeatable).
    #[arg(long, value_name = "HOST:PORT", value_parser = pair)]
    allow: Vec<String>,
    #[command(flatten)]
    common: Common,
}

/// Options of both services and of the commands.
#[derive(Args, Debug)]
struct Common {
    /// Run Chromium without its sandbox, where it cannot have one.
    #[arg(long)]
    no_sandbox: bool,
    /// Directory for the data of all services, a folder each [default: switchboard in $XDG_STATE_HOME or ~/.local/state].
    #[arg(long, value_name = "DIR", env = "SWITCHBOARD_DATA")]
    data: Option<String>,
    /// A configuration file, in TOML; `switchboard config` prints one.
    #[arg(long, short = 'c', value_name = "FILE")]
    config: Option<PathBuf>,
    /// Any setting that `switchboard config` prints, as TABLE.KEY=VALUE (repeatable).
    #[arg(long, allow_hyphen_values = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// Options of a service.
#[derive(Args, Debug)]
struct Serving {
    /// Log level: off, error, warn, info, debug or trace [default: info].
    #[arg(long, value_name = "LEVEL")]
    log: Option<String>,
    /// Format of log lines [default: text].
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
    /// Write the addresses to this file, as JSON, once everything listens.
    #[arg(long, value_name = "PATH")]
    ready_file: Option<PathBuf>,
}

#[derive(Args, Debug)]
struct PageArgs {
    /// Address of the page, over HTTP (repeatable) [default: 127.0.0.1:8080].
    #[arg(long, value_name = "HOST:PORT")]
    listen: Vec<String>,
    #[command(flatten)]
    serving: Serving,
    #[command(flatten)]
    fetching: Fetching,
    /// Broker to publish new headlines (/topic/news) and broken rules (/topic/alerts) to.
    #[arg(long, short = 's', value_name = "URL")]
    server: Option<ServerAddress>,
}

#[derive(Args, Debug)]
pub(crate) struct RenderArgs {
    /// Address of the rendering service, over HTTP (repeatable) [default: 127.0.0.1:8050].
    #[arg(long, value_name = "HOST:PORT")]
    listen: Vec<String>,
    #[command(flatten)]
    serving: Serving,
    /// A host and port that pages may reach although the address is not of the public internet (repeatable).
    #[arg(long, value_name = "HOST:PORT", value_parser = pair)]
    allow: Vec<String>,
    #[command(flatten)]
    common: Common,
}

/// The address of a page, and whether its scheme was not given.
#[derive(Clone, Debug)]
pub(super) struct PageUrl {
    pub(super) url: Url,
    pub(super) is_assumed: bool,
}

fn page(text: &str) -> Result<PageUrl, String> {
    let has_scheme = text.contains("://");
    let given = if has_scheme { text.to_owned() } else { format!("https://{text}") };
    let url: Url = given.parse().map_err(|error| format!("it is not the address of a page: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("only http:// and https:// addresses can be fetched".to_owned());
    }
    Ok(PageUrl { url, is_assumed: !has_scheme })
}

fn pair(text: &str) -> Result<String, String> {
    // A comma would make two of it.
    text.parse::<Target>().map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// The texts of an option that can be repeated, as the setting takes them.
fn joined(list: &[String]) -> Option<String> {
    (!list.is_empty()).then(|| list.join(","))
}

impl Common {
    fn read(&self, pairs: &[(&str, Option<String>)]) -> Result<Settings> {
        let mut settings = Settings::default();
        if let Some(path) = &self.config {
            settings.read_file(path)?;
        }
        settings.set_pairs(&self.set)?;
        let no_sandbox = self.no_sandbox.then(|| "false".to_owned());
        let own = [("data", self.data.clone()), ("render.sandbox", no_sandbox)];
        for (key, value) in own.iter().chain(pairs) {
            if let Some(value) = value {
                settings.set_option(key, value)?;
            }
        }
        settings.web.limits.check()?;
        Ok(settings)
    }
}

impl Serving {
    fn pairs(&self) -> Vec<(&'static str, Option<String>)> {
        let format = self.log_format.map(|format| format.name().to_owned());
        vec![("log", self.log.clone()), ("log-format", format)]
    }
}

impl Fetching {
    fn pairs(&self) -> Vec<(&'static str, Option<String>)> {
        vec![
            ("news.sites", self.sites.clone()),
            ("news.renderer", self.renderer.clone()),
            ("news.allow", joined(&self.allow)),
        ]
    }

    pub(super) fn settings(&self) -> Result<Settings> {
        self.common.read(&self.pairs()).map_err(UsageError::of)
    }
}

impl NewsArgs {
    pub(super) fn settings(&self) -> Result<Settings> {
        self.read().map_err(UsageError::of)
    }

    fn read(&self) -> Result<Settings> {
        let broker =
            self.page.server.as_ref().map(|server| format!("switchboard://{}", server.authority(Door::Native)));
        let fetching = &self.page.fetching;
        let own = vec![("news.listen", joined(&self.page.listen)), ("news.broker", broker)];
        let pairs = [self.page.serving.pairs(), fetching.pairs(), own].concat();
        let settings = fetching.common.read(&pairs)?;
        if settings.news.service.listen.is_empty() {
            bail!("news.listen is empty: at least one HOST:PORT is needed");
        }
        Ok(settings)
    }

    pub(super) fn ready_file(&self) -> Option<&Path> {
        self.page.serving.ready_file.as_deref()
    }
}

impl RenderArgs {
    pub(super) fn settings(&self) -> Result<Settings> {
        self.read().map_err(UsageError::of)
    }

    fn read(&self) -> Result<Settings> {
        let own = vec![("render.listen", joined(&self.listen)), ("render.allow", joined(&self.allow))];
        let pairs = [self.serving.pairs(), own].concat();
        let settings = self.common.read(&pairs)?;
        if settings.render.listen.is_empty() {
            bail!("render.listen is empty: at least one HOST:PORT is needed");
        }
        Ok(settings)
    }

    pub(super) fn ready_file(&self) -> Option<&Path> {
        self.serving.ready_file.as_deref()
    }
}
