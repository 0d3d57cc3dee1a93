use crate::capabilities::capabilities;
use crate::driver::Driver;
use crate::{Look, PATIENCE, Scheme};
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};
use url::{ParseError, Url};

/// A Chromium with a profile of its own. Its methods panic, as assertions do. Its processes and its files are gone when it is
/// dropped.
pub struct Browser {
    client: Client,
    driver: Driver,
}

impl std::fmt::Debug for Browser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Browser").field("driver", &self.driver.url()).finish_non_exhaustive()
    }
}

impl Browser {
    /// Starts Chromium with an empty page.
    ///
    /// # Panics
    ///
    /// If Chromium or its driver does not start, with the package that may be missing.
    pub async fn start(look: Look) -> Browser {
        let driver = Driver::start();
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities(look, &driver.directory().join("profile")))
            .connect(&driver.url())
            .await;
        let client = client.unwrap_or_else(|error| {
            panic!(
                "chromium does not start: {error}\nIf it is missing: apt-get install chromium chromium-driver. If it has no \
                 sandbox: sysctl kernel.unprivileged_userns_clone=1."
            )
        });
        let browser = Browser { client, driver };
        if look.scheme == Scheme::Dark {
            let dark = json!({ "features": [{ "name": "prefers-color-scheme", "value": "dark" }] });
            browser.tell_chromium("Emulation.setEmulatedMedia", dark).await;
        }
        browser
    }

    /// The private directory, with the profile in it.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.driver.directory()
    }

    /// Opens a page, and waits until it is loaded.
    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap_or_else(|error| panic!("{url}: {error}"));
    }

    /// Opens a page in a tab of its own. All other methods are about that tab from then on.
    pub async fn open_tab(&self, url: &str) {
        let tab = self.client.new_window(true).await.expect("a tab");
        self.client.switch_to_window(tab.handle).await.expect("the tab is there");
        self.open(url).await;
    }

    /// Makes all other methods be about the tab of this number, in the order in which they were opened.
    pub async fn look_at(&self, tab: usize) {
        let tabs = self.client.windows().await.expect("tabs");
        self.client.switch_to_window(tabs[tab].clone()).await.expect("the tab is there");
    }

    /// Runs a script before those of every page that is opened from now on.
    pub async fn before_each_page(&self, script: &str) {
        self.tell_chromium("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script })).await;
    }

    /// Tells the page that nobody looks at it, or that somebody does again.
    pub async fn set_visible(&self, visible: bool) {
        let state = if visible { "visible" } else { "hidden" };
        self.run(&format!(
            "Object.defineProperty(document, 'visibilityState', {{ value: '{state}', configurable: true }});
             Object.defineProperty(document, 'hidden', {{ value: {}, configurable: true }});
             document.dispatchEvent(new Event('visibilitychange'))",
            !visible
        ))
        .await;
    }

    /// Loads the page again.
    pub async fn reload(&self) {
        self.client.refresh().await.expect("the page opens again");
    }

    /// Goes back to the page before.
    pub async fn back(&self) {
        self.client.back().await.expect("there is something to go back to");
    }

    /// Runs the body of a function in the page, and returns what it returns. A promise is waited for.
    pub async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Runs a script until what it returns is true in JavaScript, and returns that. `what` is part of the message of a failure.
    ///
    /// # Panics
    ///
    /// After [`PATIENCE`], with the console and the text of the page.
    pub async fn until(&self, what: &str, script: &str) -> Value {
        let began = Instant::now();
        loop {
            let answer = self.run(script).await;
            if !matches!(answer, Value::Null | Value::Bool(false)) && answer != json!("") && answer != json!(0) {
                return answer;
            }
            if began.elapsed() > PATIENCE {
                let text = self.run("return document.body.innerText").await;
                let console = self.console().await;
                panic!("not within {PATIENCE:?}: {what}; console: {console:?}; the page says:\n{text:#}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The messages of the console since the last call: none, if all is well.
    pub async fn console(&self) -> Vec<String> {
        let entries = self.command("se/log", json!({ "type": "browser" })).await;
        let message = |entry: &Value| entry["message"].as_str().unwrap_or_default().to_owned();
        entries.as_array().into_iter().flatten().map(message).collect()
    }

    /// The window as it is, as PNG.
    pub async fn screenshot(&self) -> Vec<u8> {
        self.client.screenshot().await.expect("a picture")
    }

    /// A picture for the documentation: `monitor/dark` is `monitor/dark.png` in the directory that `SWITCHBOARD_SCREENSHOTS`
    /// names. Without the variable it is taken and dropped.
    pub async fn picture(&self, name: &str) {
        let png = self.screenshot().await;
        let Some(directory) = std::env::var_os("SWITCHBOARD_SCREENSHOTS") else { return };
        let path = Path::new(&directory).join(format!("{name}.png"));
        let written = std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/")));
        let written = written.and_then(|()| std::fs::write(&path, png));
        written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// Ends the browser.
    ///
    /// # Panics
    ///
    /// If the console has a message.
    pub async fn close(self) {
        assert_eq!(self.console().await, Vec::<String>::new(), "the console");
        self.client.clone().close().await.expect("closed");
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    async fn tell_chromium(&self, command: &str, parameters: Value) {
        self.command("goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await;
    }

    pub(crate) async fn command(&self, path: &'static str, body: Value) -> Value {
        self.client.issue_cmd(Post { path, body }).await.unwrap_or_else(|error| panic!("{path}: {error}"))
    }
}

/// A command beyond those that fantoccini has.
#[derive(Debug)]
struct Post {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Post {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}
