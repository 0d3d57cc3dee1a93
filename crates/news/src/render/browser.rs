//! A running Chromium: its command line, its user, its private directory.

use super::cdp::{CallError, Connection};
use super::endpoint::Endpoint;
use super::health::{Health, OPEN};
use super::{RenderError, Request};
use crate::guard::{Domains, Guard, Proxy, ProxyLimits};
use serde_json::Value;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream as StdStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use switchboard_child::{Child, Exit, Launch, User};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::sync::watch;
use tokio::time::timeout;

/// The user that Chromium runs as when this program is root's: its sandbox refuses root.
const UNPRIVILEGED: &str = "nobody";
/// Gives the command the socket, which is its standard output, as the two descriptors that Chromium expects.
const PIPES: &str = "exec 3<&1 4>&1 1>/dev/null; exec \"$@\"";
/// Time for a Chromium that has closed its pipe to be gone, with all its processes and its directory.
const END: Duration = Duration::from_secs(5);
/// Signals that end it from outside; its own failures end it by others, after a complaint.
const SIGINT: i32 = nix::sys::signal::Signal::SIGINT as i32;
const SIGKILL: i32 = nix::sys::signal::Signal::SIGKILL as i32;
const SIGTERM: i32 = nix::sys::signal::Signal::SIGTERM as i32;
/// Bytes of Chromium's complaints that are kept, to say why it does not start.
const COMPLAINTS: usize = 16 << 10;

/// Features of Chromium that are off. One that it does not know does no harm.
const FEATURES: &[&str] = &[
    // These two look for devices in the network.
    "MediaRouter",
    "DialMediaRouteProvider",
    "OptimizationHints",
    "Translate",
    // Each context has a window, and the list below its address bar would be two more pages, with scripts of their own: two
    // thirds of the processor time of ten small pages.
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    "WebUIOmniboxFullPopup",
    // A process in reserve: a page uses that of its context's empty page, so two of three processes were started in vain.
    "SpareRendererForSitePerProcess",
];

/// Options of Chromium's start.
#[derive(Clone, Debug)]
pub struct BrowserOptions {
    /// The program. Default: `chromium`.
    pub program: PathBuf,
    /// The parent of the private directory. It must be ours alone to write to, and another user must be able to enter it:
    /// as root, Chromium runs as one.
    pub directory: PathBuf,
    /// The guard of every connection, by a proxy of the browser's own.
    pub guard: Guard,
    /// The limits of that proxy.
    pub proxy: ProxyLimits,
    /// Whether it runs in its sandbox. Default: yes.
    pub sandbox: bool,
    /// Time to start. Default: 30 s.
    pub start_timeout: Duration,
}

impl BrowserOptions {
    /// Defaults, with this guard and this directory.
    #[must_use]
    pub fn new(guard: Guard, directory: PathBuf) -> BrowserOptions {
        BrowserOptions {
            program: "chromium".into(),
            directory,
            guard,
            proxy: ProxyLimits::default(),
            sandbox: true,
            start_timeout: Duration::from_secs(30),
        }
    }
}

/// A running Chromium. One that was launched ends, with all its processes and its directory, when dropped.
pub struct Browser {
    pub(super) connection: Connection,
    pub(super) health: Health,
    /// `None` if it was not started here.
    child: Option<Child>,
    guard: Guard,
    limits: ProxyLimits,
    pub(super) proxy: Proxy,
    /// `Chrome/156.0...`
    version: String,
    agent: String,
}

impl Browser {
    /// Starts Chromium, in its sandbox. The program must have called [`switchboard_child::init`] first in `main`.
    ///
    /// # Errors
    ///
    /// It cannot be started, or does not answer in time.
    pub async fn launch(options: &BrowserOptions) -> Result<Browser, RenderError> {
        let limit = options.start_timeout;
        let program = options.program.display();
        if find(&options.program).is_none() {
            return Err(missing(&options.program));
        }
        let failed = |error: io::Error| RenderError::Start(error.to_string());
        let proxy = Proxy::start(options.guard.clone(), options.proxy.clone()).await.map_err(failed)?;
        let (complaints, sender) = pipe_of(COMPLAINTS).map_err(failed)?;
        let (own, address) = (options.clone(), proxy.address());
        let starting = tokio::task::spawn_blocking(move || start(&own, address, sender));
        let (child, stream) = starting.await.map_err(|error| RenderError::Start(error.to_string()))??;
        let stream = stream.set_nonblocking(true).and_then(|()| UnixStream::from_std(stream));
        let connection = Connection::new(stream.map_err(failed)?);
        match timeout(limit, version(&connection)).await {
            Ok(Ok(version)) => Ok(Browser::new(connection, Some(child), options, proxy, &version)),
            Ok(Err(_)) => Err(why(&options.program, child, complaints).await),
            Err(_) => Err(RenderError::Start(format!("{program} did not answer within {limit:?}"))),
        }
    }

    /// Uses a Chromium that runs already, and goes on when this is dropped. Its pages go through the guard as well; QUIC and
    /// WebRTC are its own business.
    ///
    /// # Errors
    ///
    /// It does not answer in time.
    pub async fn connect(endpoint: &Endpoint, options: &BrowserOptions) -> Result<Browser, RenderError> {
        let failed = |reason: String| RenderError::Endpoint { endpoint: endpoint.to_string(), reason };
        let limit = options.start_timeout;
        let proxy = Proxy::start(options.guard.clone(), options.proxy.clone()).await;
        let proxy = proxy.map_err(|error| failed(error.to_string()))?;
        let connection = Connection::new(endpoint.connect(limit).await?);
        match timeout(limit, version(&connection)).await {
            Ok(Ok(version)) => Ok(Browser::new(connection, None, options, proxy, &version)),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(_) => Err(failed(format!("no answer within {limit:?}"))),
        }
    }

    /// The browser behind a connection, which has answered with its version.
    fn new(
        connection: Connection,
        child: Option<Child>,
        options: &BrowserOptions,
        proxy: Proxy,
        answer: &Value,
    ) -> Browser {
        let text = |key: &str| answer[key].as_str().unwrap_or("unknown").to_owned();
        let (version, agent) = (text("product"), text("userAgent"));
        let (guard, limits) = (options.guard.clone(), options.proxy.clone());
        let health = Health::new(OPEN);
        Browser { connection, health, child, guard, limits, proxy, version, agent }
    }

    /// Its name and version.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The process that all of Chromium's others descend from; `None` if it was not started here.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.connection.is_gone()
    }

    /// Whether it opens no pages any more.
    pub(super) fn is_stuck(&self) -> bool {
        self.health.is_stuck()
    }

    /// Returns the number of open pages, or `None` if the browser has ended.
    pub async fn contexts(&self) -> Option<usize> {
        let answer = self.connection.call(None, "Target.getBrowserContexts", serde_json::json!({})).await.ok()?;
        answer["browserContextIds"].as_array().map(Vec::len)
    }

    /// Returns the processes that it has pages for, or `None` if it does not answer.
    pub(super) async fn renderers(&self) -> Option<Vec<u32>> {
        let answer = self.connection.call(None, "SystemInfo.getProcessInfo", serde_json::json!({})).await.ok()?;
        let processes = answer["processInfo"].as_array()?.iter().filter(|process| process["type"] == "renderer");
        Some(processes.filter_map(|process| process["id"].as_u64()?.try_into().ok()).collect())
    }

    /// The private directory; `None` if it was not started here.
    #[must_use]
    pub fn directory(&self) -> Option<&Path> {
        self.child.as_ref().map(Child::directory)
    }

    /// The proxy that a page has to be told of: that of the page, or that of a browser which was started without one.
    pub(super) fn told_proxy(&self, own: Option<&Proxy>) -> Option<SocketAddr> {
        own.or_else(|| self.child.is_none().then_some(&self.proxy)).map(Proxy::address)
    }

    /// A proxy for one page, if it asks for what the browser's proxy does not hold.
    pub(super) async fn proxy_for(&self, request: &Request) -> io::Result<Option<Proxy>> {
        if request.resource_timeout.is_none() && request.allowed_domains.is_empty() {
            return Ok(None);
        }
        let mut limits = self.limits.clone();
        if let Some(limit) = request.resource_timeout {
            (limits.idle, limits.answer) = (limits.idle.min(limit), limits.answer.min(limit));
        }
        let guard = match request.allowed_domains.as_slice() {
            [] => self.guard.clone(),
            domains => self.guard.only(Domains::new(domains)),
        };
        Proxy::start(guard, limits).await.map(Some)
    }

    /// The `User-Agent` of a page, if it is not the browser's own.
    pub(super) fn agent_for(&self, request: &Request) -> Option<String> {
        let chosen = request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("user-agent"));
        let added = request.agent.as_ref().map(|agent| format!("{} {agent}", self.agent));
        chosen.map(|(_, agent)| agent.clone()).or(added)
    }
}

async fn version(connection: &Connection) -> Result<Value, CallError> {
    connection.call(None, "Browser.getVersion", serde_json::json!({})).await
}

pub(super) fn missing(program: &Path) -> RenderError {
    if program.components().count() > 1 && program.exists() {
        return RenderError::Start(format!("{} is no program that can be started", program.display()));
    }
    RenderError::Missing(program.display().to_string())
}

/// The program's file, as a shell finds it.
pub(super) fn find(program: &Path) -> Option<PathBuf> {
    if program.components().count() > 1 {
        return is_program(program).then(|| program.to_owned());
    }
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(program)).find(|file| is_program(file))
}

/// Returns true for a file that somebody may execute. Chromium may run as another user than this program.
fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|data| data.is_file() && data.mode() & 0o111 != 0)
}

/// The written bytes, and true at their end.
type Complaints = watch::Receiver<(Vec<u8>, bool)>;

/// A pipe whose first bytes are kept and whose others are thrown away, so that nobody who writes to it ever waits.
fn pipe_of(limit: usize) -> io::Result<(Complaints, io::PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    let mut reader = pipe::Receiver::from_owned_fd(reader.into())?;
    let (sender, receiver) = watch::channel((Vec::new(), false));
    tokio::spawn(async move {
        let mut part = [0; 4096];
        while let Ok(count @ 1..) = reader.read(&mut part).await {
            sender.send_modify(|(kept, _)| kept.extend(&part[..count.min(limit - kept.len())]));
        }
        sender.send_modify(|(_, is_whole)| *is_whole = true);
    });
    Ok((receiver, writer))
}

/// Why it ended at once: by whose hand, or in its own words.
async fn why(program: &Path, child: Child, mut complaints: Complaints) -> RenderError {
    let ending = tokio::task::spawn_blocking(move || child.wait(END)).await;
    if let Ok(Some(Exit::Signal(signal @ (SIGINT | SIGKILL | SIGTERM)))) = ending {
        return RenderError::Killed { signal };
    }
    // Its descendants may keep the pipe open.
    let _ = timeout(Duration::from_secs(5), complaints.wait_for(|(_, is_whole)| *is_whole)).await;
    let text = String::from_utf8_lossy(&complaints.borrow().0).into_owned();
    let line = |word: &str| text.lines().find(|line| line.contains(word)).map(|line| line.trim().to_owned());
    match line("sandbox").or_else(|| line("Sandbox")) {
        Some(line) => RenderError::Sandbox(line),
        None => {
            let last = line("FATAL").or_else(|| text.lines().last().map(str::to_owned)).unwrap_or_default();
            RenderError::Start(format!("{} ended at once: {last}", program.display()))
        }
    }
}

fn start(
    options: &BrowserOptions,
    proxy: SocketAddr,
    complaints: io::PipeWriter,
) -> Result<(Child, StdStream), RenderError> {
    let failed = |error: &dyn std::fmt::Display| RenderError::Start(error.to_string());
    let user = if User::is_root() { User::named(UNPRIVILEGED) } else { Ok(User::current()) };
    let mut launch =
        Launch::new(&options.directory, user.map_err(|error| failed(&error))?).map_err(|error| failed(&error))?;
    let (ours, theirs) = StdStream::pair().map_err(|error| failed(&error))?;
    let home = launch.directory().to_owned();
    let profile = format!("--user-data-dir={}", home.join("profile").display());
    for variable in ["HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"] {
        launch.env(variable, &home);
    }
    launch.stdout(OwnedFd::from(theirs)).stderr(complaints);
    let program = options.program.display().to_string();
    let proxy = format!("--proxy-server=http://{proxy}");
    let without = format!("--disable-features={}", FEATURES.join(","));
    let mut arguments = vec![
        "-c",
        PIPES,
        "sh",
        &program,
        "--headless",
        "--remote-debugging-pipe",
        &profile,
        &proxy,
        // Loopback goes through the proxy as well, and no name is looked up outside it.
        "--proxy-bypass-list=<-loopback>",
        "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
        "--disable-quic",
        "--webrtc-ip-handling-policy=disable_non_proxied_udp",
        "--force-webrtc-ip-handling-policy",
        // Shared memory lies in TMPDIR, which is removed with the private directory.
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-default-apps",
        "--disable-extensions",
        "--disable-sync",
        "--disable-breakpad",
        "--disable-domain-reliability",
        "--no-pings",
        &without,
        // A window of its own at the start would show a page that nobody asked for.
        "--no-startup-window",
        // No page is in the foreground: without these its timers are slowed down.
        "--disable-background-timer-throttling",
        "--disable-backgrounding-occluded-windows",
        "--disable-renderer-backgrounding",
        "--mute-audio",
        "--no-first-run",
        "--no-default-browser-check",
        "--password-store=basic",
    ];
    if !options.sandbox {
        arguments.push("--no-sandbox");
    }
    let child = launch.spawn("/bin/sh", arguments).map_err(|error| failed(&error))?;
    Ok((child, ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_and_a_file_that_nobody_may_execute_are_no_program() {
        for path in ["/tmp", "/etc/passwd"] {
            assert_eq!(find(Path::new(path)), None, "{path}");
            assert!(missing(Path::new(path)).to_string().contains("is no program"), "{path}");
        }
        assert_eq!(find(Path::new("/bin/sh")), Some("/bin/sh".into()));
        assert!(find(Path::new("sh")).is_some_and(|file| file.ends_with("sh")));
        assert!(missing(Path::new("/does/not/exist")).to_string().contains("there is no"));
    }
}
