//! A running Chromium: its command line, its user, its private directory.

use super::RenderError;
use super::cdp::Connection;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use switchboard_child::{Child, Launch, User};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// The user that Chromium runs as when this program is root's: its sandbox refuses root.
const UNPRIVILEGED: &str = "nobody";
/// Gives the command the socket, which is its standard output, as the two descriptors that Chromium expects.
const PIPES: &str = "exec 3<&1 4>&1 1>/dev/null; exec \"$@\"";

/// How Chromium is started.
#[derive(Clone, Debug)]
pub struct BrowserOptions {
    /// The program. Default: `chromium`.
    pub program: PathBuf,
    /// Where the private directory is made. It must be ours alone to write to, and another user must be able to enter it:
    /// as root, Chromium runs as one.
    pub directory: PathBuf,
    /// The guard's proxy, which everything goes through.
    pub proxy: SocketAddr,
    /// Time to start. Default: 30 s.
    pub start_timeout: Duration,
}

impl BrowserOptions {
    /// Defaults, with this proxy and this directory.
    #[must_use]
    pub fn new(proxy: SocketAddr, directory: PathBuf) -> BrowserOptions {
        BrowserOptions { program: "chromium".into(), directory, proxy, start_timeout: Duration::from_secs(30) }
    }
}

/// A running Chromium. Ends, with all its processes and its directory, when dropped.
pub struct Browser {
    pub(crate) connection: Connection,
    child: Child,
    /// `Chrome/156.0...`
    version: String,
}

impl Browser {
    /// Starts Chromium, in its sandbox. The program must have called [`switchboard_child::init`] first in `main`.
    ///
    /// # Errors
    ///
    /// It cannot be started, or does not answer in time.
    pub async fn launch(options: &BrowserOptions) -> Result<Browser, RenderError> {
        let limit = options.start_timeout;
        let own = options.clone();
        let starting = tokio::task::spawn_blocking(move || start(&own));
        let (child, stream) = starting.await.map_err(|error| RenderError::Start(error.to_string()))??;
        let stream = stream.set_nonblocking(true).and_then(|()| UnixStream::from_std(stream));
        let connection = Connection::new(stream.map_err(|error| RenderError::Start(error.to_string()))?);
        let asking = connection.call(None, "Browser.getVersion", serde_json::json!({}));
        match timeout(limit, asking).await {
            Ok(Ok(answer)) => {
                let version = answer["product"].as_str().unwrap_or("unknown").to_owned();
                Ok(Browser { connection, child, version })
            }
            Ok(Err(_)) => Err(RenderError::Start(format!("{} ended at once", options.program.display()))),
            Err(_) => Err(RenderError::Start(format!("{} did not answer within {limit:?}", options.program.display()))),
        }
    }

    /// Its name and version.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The process that all of Chromium's others descend from.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.connection.is_gone()
    }

    /// How many pages are open, or `None` if it has ended.
    pub async fn contexts(&self) -> Option<usize> {
        let answer = self.connection.call(None, "Target.getBrowserContexts", serde_json::json!({})).await.ok()?;
        answer["browserContextIds"].as_array().map(Vec::len)
    }

    /// The private directory.
    #[must_use]
    pub fn directory(&self) -> &std::path::Path {
        self.child.directory()
    }
}

fn start(options: &BrowserOptions) -> Result<(Child, StdStream), RenderError> {
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
    launch.stdout(OwnedFd::from(theirs)).stderr(Stdio::null());
    let program = options.program.display().to_string();
    let proxy = format!("--proxy-server=http://{}", options.proxy);
    let arguments = [
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
        "--mute-audio",
        "--no-first-run",
        "--no-default-browser-check",
        "--password-store=basic",
    ];
    let child = launch.spawn("/bin/sh", arguments).map_err(|error| failed(&error))?;
    Ok((child, ours))
}
