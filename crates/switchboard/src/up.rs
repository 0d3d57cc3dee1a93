//! `switchboard up`, `broker`, `monitor`, `rows`, `news` and `render`: the services, until a signal ends them.

mod files;
mod keep;
mod reload;
mod tell;

use crate::config::{Settings, Started};
use crate::data;
use crate::log::Log;
use crate::manager::{self, Manager};
use crate::memory;
use crate::news::{Page, Renderers, bind_page, bind_render};
use crate::output::{UsageError, note};
use crate::ready::{Addresses, Ready};
use crate::rows;
use crate::service::Stop;
use crate::signals::Signals;
use anyhow::{Context, Result, anyhow};
use std::cell::RefCell;
use std::io::ErrorKind;
use std::num::NonZero;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use switchboard_driver::quantity::show_duration;
use switchboard_driver::{build_blocking_runtime, ensure_threads};
use switchboard_monitor::{Monitor, Pipe, StartError};
use switchboard_server::{ChannelRules, Connector, Probe, Server, Shutdown};
use switchboard_web::BindError;
use tell::tell_losses;
use tokio::sync::watch;
use tokio::time::sleep;

/// Time that the monitor has to write what it has, beyond the broker's drain.
const CLOSING: Duration = Duration::from_secs(10);

/// Time that blocking tasks may take once everything has stopped.
const LEAVING: Duration = Duration::from_secs(1);

/// Threads for work that blocks which are there from the start: where the limit of threads is reached, they do all of it.
const BLOCKING: usize = 4;

/// The others that a start needs: the log's, the history's, the service manager's, and one that looks up a name.
const OTHER_THREADS: usize = 4;

/// Services that a command starts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chosen {
    /// Whatever can start does; the others are tried again.
    All,
    Broker,
    Monitor,
    Rows,
    News,
    Render,
}

impl Chosen {
    fn started(self) -> Started {
        match self {
            Chosen::All => Started::ALL,
            Chosen::Broker => Started { broker: true, ..Started::NONE },
            Chosen::Monitor => Started { monitor: true, ..Started::NONE },
            Chosen::Rows => Started { rows: true, ..Started::NONE },
            Chosen::News => Started { news: true, ..Started::NONE },
            Chosen::Render => Started { render: true, ..Started::NONE },
        }
    }

    /// Why a service cannot listen, with the option of the command that was given: a service's own has `--listen`, and
    /// `up` has a setting.
    pub(crate) fn advised(self, error: BindError, setting: &'static str) -> anyhow::Error {
        let option = if self == Chosen::All { setting } else { "--listen " };
        anyhow!("{}", error.with_option(option))
    }
}

/// Reads the settings.
type Read = Arc<dyn Fn() -> Result<Settings> + Send + Sync>;

/// Runs services until a signal ends them. `read` gives the settings, at SIGHUP once more.
pub(crate) fn run(
    chosen: Chosen,
    ready_file: Option<PathBuf>,
    read: impl Fn() -> Result<Settings> + Send + Sync + 'static,
) -> Result<()> {
    let read: Read = Arc::new(move || {
        let mut settings = read()?;
        if settings.wanted(chosen.started()).is_nothing() {
            let reason = "there is nothing to start: `listen` is empty, and must be at least one HOST:PORT";
            return Err(UsageError::of(anyhow!("{reason}")));
        }
        settings.check_together(chosen.started()).map_err(UsageError::of)?;
        settings.share_web()?;
        anyhow::Ok(settings)
    });
    // Before anything can fail: the file of an earlier run says that this one listens.
    let ready = Ready::begin(ready_file)?;
    let settings = read()?;
    let workers = std::thread::available_parallelism().map_or(1, NonZero::get);
    ensure_threads(workers + BLOCKING + OTHER_THREADS)?;
    let log = Log::start(&settings.log, settings.log_format);
    for text in settings.without_effect(chosen.started()) {
        tracing::warn!("{text}");
    }
    let reserved_files = files::needed(settings.wanted(chosen.started()), switchboard_web::open_files())?;
    let runtime = build_blocking_runtime(tokio::runtime::Builder::new_multi_thread().worker_threads(workers), BLOCKING)
        .context("cannot start the runtime")?;
    let result = runtime.block_on(async {
        // Before anybody can know that this process runs, and so end it.
        let signals = Signals::new()?;
        let services = Services {
            chosen,
            ready: ready.clone(),
            settings: RefCell::new(settings),
            reserved_files,
            addresses: RefCell::default(),
            connector: watch::Sender::new(None),
            news_connector: watch::Sender::new(None),
            renderers: Renderers::default(),
            channel_rules: RefCell::default(),
            probe: RefCell::default(),
            manager: Manager::from_environment(),
        };
        tokio::select! {
            result = services.run(signals, async || services.reload(read.clone(), &log).await) => result,
            () = log.watch() => Ok(()),
            // In the task that keeps the services: a service that blocks it is not answering either.
            () = manager::watch(&services.manager, || services.answers()) => Ok(()),
        }
    });
    runtime.shutdown_timeout(LEAVING);
    ready.end();
    result
}

struct Services {
    chosen: Chosen,
    ready: Ready,
    /// The settings in force.
    settings: RefCell<Settings>,
    /// Open files that are not for the broker's connections.
    reserved_files: usize,
    addresses: RefCell<Addresses>,
    /// The way to this program's broker, once there is one.
    connector: watch::Sender<Option<Connector>>,
    news_connector: watch::Sender<Option<Connector>>,
    renderers: Renderers,
    /// The rules of this program's broker, once there is one.
    channel_rules: RefCell<Option<ChannelRules>>,
    probe: RefCell<Option<Probe>>,
    manager: Manager,
}

impl Services {
    async fn run(&self, signals: Signals, reload: impl AsyncFn()) -> Result<()> {
        let settings = self.settings.borrow().clone();
        let (drain, watched) = (settings.server.drain, settings.monitor.clone());
        let started = settings.wanted(self.chosen.started());
        let mut served = settings.into_server();
        served.reserved_files = self.reserved_files;
        let start_broker = async || {
            let server = Server::bind(served.clone()).await.map_err(|error| anyhow!("{error}"))?;
            // The rules may have changed while it could not start.
            let rules = server.channel_rules();
            rules.set(self.settings.borrow().channel_rules());
            *self.channel_rules.borrow_mut() = Some(rules);
            *self.probe.borrow_mut() = Some(server.probe());
            // The monitor waits for it: whoever comes first.
            self.connector.send_replace(Some(server.connector("monitor")));
            self.news_connector.send_replace(Some(server.connector("news")));
            anyhow::Ok(server)
        };
        let start_monitor = async || self.start_monitor(&watched).await;
        let start_rows = async || rows::bind(&self.settings(), self.chosen).await;
        let start_news = async || self.start_news().await;
        let start_render = async || bind_render(&self.settings(), &self.renderers, self.chosen).await;

        let broker = self.begin("broker", started.broker, &start_broker, Addresses::add_broker).await;
        let answers = is_up(&broker);
        let (sender, stop) = Stop::new();
        let mut serving = pin!(async {
            let server = self.keep("broker", broker, start_broker, Addresses::add_broker, &stop).await?;
            let Some(server) = server else { return Ok(None) };
            let ended = server.run(stop.clone().requested()).await;
            // A broker that has failed ends the program, and the others in order.
            sender.send_replace(true);
            anyhow::Ok(Some(ended?))
        });
        let mut asked = pin!(async {
            let what = match started.broker {
                true => format!("connections have {} to read their queued messages", show_duration(drain)),
                false => "open requests have a second for their answers".to_owned(),
            };
            let stopping = format!("Stopping: {what}; a signal after a second stops at once.");
            tokio::select! {
                () = signals.stop(&stopping, reload) => {}
                () = stop.clone().requested() => {}
            }
            self.ready.end();
            self.manager.stopping(drain.saturating_add(CLOSING + LEAVING));
            sender.send_replace(true);
        });
        let begun = async {
            tokio::join!(
                self.begin("monitor", started.monitor, &start_monitor, Addresses::add_monitor),
                self.begin("rows", started.rows, &start_rows, Addresses::add_rows),
                self.begin("news", started.news, &start_news, Addresses::add_news),
                self.begin("render", started.render, &start_render, Addresses::add_render),
            )
        };
        // The broker serves while the others begin: a large history or a slow lookup of a name delays no client.
        let (monitor, rows, news, render) = tokio::select! {
            begun = begun => begun,
            ended = &mut serving, if answers => return ended.map(drop),
            () = &mut asked => return serving.await.map(stopped),
        };
        let runs = [answers, is_up(&monitor), is_up(&rows), is_up(&news), is_up(&render)];
        if !runs.contains(&true) {
            return Err(nothing_runs(self.addresses.borrow().down()));
        }
        for (name, reason) in self.addresses.borrow().down() {
            tracing::error!("{name} does not run, and is tried again: {reason}");
        }
        let mut states = self.states().subscribe();
        states.mark_unchanged();
        self.tell()?;
        tokio::spawn(memory::watch());

        let watching = async {
            let monitor = self.keep("monitor", monitor, start_monitor, Addresses::add_monitor, &stop).await?;
            let Some(monitor) = monitor else { return Ok(()) };
            tokio::select! {
                written = monitor.run(stop.clone().requested()) => written.map_err(Into::into),
                () = async {
                    stop.clone().requested().await;
                    sleep(drain.saturating_add(CLOSING)).await;
                } => Err(anyhow!("the monitor did not stop within {CLOSING:?}: its latest samples may be lost")),
            }
        };
        let serving_rows = async {
            let service = self.keep("rows", rows, start_rows, Addresses::add_rows, &stop).await?;
            if let Some(service) = service {
                service.run(stop.clone().requested()).await;
            }
            anyhow::Ok(())
        };
        let showing = async {
            let page = self.keep("news", news, start_news, Addresses::add_news, &stop).await?;
            if let Some(page) = page {
                page.run(stop.clone().requested()).await;
            }
            anyhow::Ok(())
        };
        let rendering = async {
            let service = self.keep("render", render, start_render, Addresses::add_render, &stop).await?;
            if let Some(service) = service {
                service.run(stop.clone().requested()).await;
            }
            anyhow::Ok(())
        };
        let following = async {
            tokio::select! {
                followed = self.follow(states) => followed,
                () = stop.clone().requested() => Ok(()),
            }
        };
        let (shutdown, watched, served_rows, shown, rendered, followed, ()) =
            tokio::join!(serving, watching, serving_rows, showing, rendering, following, asked);
        stopped(shutdown?);
        watched.and(served_rows).and(shown).and(rendered).and(followed)
    }

    /// The pages of the services that run lead to each other.
    fn link_pages(&self) {
        let services = &self.settings.borrow().web.services;
        self.addresses.borrow().pages().iter().for_each(|(name, addresses)| services.set_page(name, addresses));
    }

    fn settings(&self) -> Settings {
        self.settings.borrow().clone()
    }

    /// Returns true if this program has a broker of its own, or will have one.
    fn has_broker(&self) -> bool {
        self.settings.borrow().wanted(self.chosen.started()).broker
    }

    /// A monitor that uses this program's broker, if it was told of no other.
    async fn start_monitor(&self, settings: &switchboard_monitor::Settings) -> Result<Monitor> {
        let mut settings = settings.clone();
        let data = data::directory(self.settings.borrow().data.as_deref())?;
        settings.data = data::folder(&data, "monitor")?;
        if settings.broker.is_none() && self.has_broker() {
            // The name only: the connections are pipes.
            settings.broker = Some("switchboard://localhost".to_owned());
            settings.pipe = Some(pipe(&self.connector));
        }
        Monitor::bind(settings).await.map_err(|error| match error {
            StartError::Bind(error) => self.chosen.advised(error, "--set monitor.listen="),
            StartError::Collect { endpoint, source } if matches!(self.chosen, Chosen::Monitor | Chosen::All) => anyhow!(
                "cannot collect at {endpoint}: {source}; choose another one with --collect tcp://HOST:PORT, or none with \
                 --collect ''"
            ),
            error => anyhow!("{error}"),
        })
    }

    /// A page that publishes at this program's broker, if it was told of no other.
    async fn start_news(&self) -> Result<Page> {
        let own = self.has_broker().then(|| pipe(&self.news_connector));
        bind_page(&self.settings(), &self.renderers, own, self.chosen).await
    }

    /// Returns true once the program's broker has answered a task of the runtime's threads.
    async fn answers(&self) -> bool {
        let probe = self.probe.borrow().clone();
        tokio::spawn(async move { probe.is_none_or(|probe| probe.answers()) }).await.unwrap_or(false)
    }
}

/// Connections to the broker of this program. One that is asked for before the broker runs is refused, as over TCP.
fn pipe(connector: &watch::Sender<Option<Connector>>) -> Pipe {
    let connector = connector.subscribe();
    Pipe::new(move || {
        let connector = connector.borrow().clone();
        async move {
            match connector {
                Some(connector) => connector.connect().await,
                None => Err(ErrorKind::ConnectionRefused.into()),
            }
        }
    })
}

/// Says that everything has stopped, and first what the broker's clients did not get.
fn stopped(shutdown: Option<Shutdown>) {
    if let Some(shutdown) = shutdown {
        tell_losses(&shutdown);
    }
    note(format_args!("Stopped."));
}

fn is_up<T>(service: &Option<Result<T>>) -> bool {
    matches!(service, Some(Ok(_)))
}

fn nothing_runs(failures: &[(&str, String)]) -> anyhow::Error {
    match failures {
        [(_, reason)] => anyhow!("{reason}"),
        _ => {
            let reasons: Vec<String> = failures.iter().map(|(name, reason)| format!("\n  {name}: {reason}")).collect();
            anyhow!("no service can start:{}", reasons.concat())
        }
    }
}
