use super::PATIENCE;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use url::{ParseError, Url};

/// How often a driver is started before it counts as broken.
const STARTS: usize = 5;

/// What a page is looked at with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    Light,
    Dark,
    Phone,
}

/// A browser with a profile of its own.
pub(crate) struct Browser {
    driver: Child,
    client: Client,
    _profile: TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        // With the browser, which would outlive its driver.
        let _ = killpg(Pid::from_raw(self.driver.id().cast_signed()), Signal::SIGKILL);
        let _ = self.driver.wait();
    }
}

impl Browser {
    pub(crate) async fn start(look: Look) -> Browser {
        // It takes a port that is free on one kind of loopback, and ends if another driver has it on the other kind.
        let (driver, port) = (0..STARTS).find_map(|_| start_driver()).expect("chromedriver says its port");
        let profile = tempfile::tempdir().expect("a directory");
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities(look, profile.path()))
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("chromium starts; if it is missing: apt-get install chromium chromium-driver");
        let browser = Browser { driver, client, _profile: profile };
        if look == Look::Dark {
            let dark = json!({ "features": [{ "name": "prefers-color-scheme", "value": "dark" }] });
            browser.tell_chromium("Emulation.setEmulatedMedia", dark).await;
        }
        browser
    }

    pub(crate) async fn open(&self, url: &str) {
        self.client.goto(url).await.expect("the page opens");
    }

    /// Opens a page in a tab of its own, which is looked at from then on.
    pub(crate) async fn open_tab(&self, url: &str) {
        let tab = self.client.new_window(true).await.expect("a tab");
        self.client.switch_to_window(tab.handle).await.expect("the tab is there");
        self.open(url).await;
    }

    /// Looks at the tab of this number, in the order in which they were opened.
    pub(crate) async fn look_at(&self, tab: usize) {
        let tabs = self.client.windows().await.expect("tabs");
        self.client.switch_to_window(tabs[tab].clone()).await.expect("the tab is there");
    }

    /// Runs a script before those of every page that is opened from now on.
    pub(crate) async fn before_each_page(&self, script: &str) {
        self.tell_chromium("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script })).await;
    }

    /// Tells the page that nobody looks at it, or that somebody does again.
    pub(crate) async fn set_visible(&self, visible: bool) {
        let state = if visible { "visible" } else { "hidden" };
        self.run(&format!(
            "Object.defineProperty(document, 'visibilityState', {{ value: '{state}', configurable: true }});
             Object.defineProperty(document, 'hidden', {{ value: {}, configurable: true }});
             document.dispatchEvent(new Event('visibilitychange'))",
            !visible
        ))
        .await;
    }

    pub(crate) async fn reload(&self) {
        self.client.refresh().await.expect("the page opens again");
    }

    pub(crate) async fn back(&self) {
        self.client.back().await.expect("there is something to go back to");
    }

    pub(crate) async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Waits until a script returns something that is true in JavaScript, and returns that.
    pub(crate) async fn until(&self, what: &str, script: &str) -> Value {
        let began = Instant::now();
        loop {
            let answer = self.run(script).await;
            if !matches!(answer, Value::Null | Value::Bool(false)) && answer != json!("") && answer != json!(0) {
                return answer;
            }
            if began.elapsed() > PATIENCE {
                let text = self.run("return document.body.innerText").await;
                panic!(
                    "not within {PATIENCE:?}: {what}; console: {:?}; the page says:\n{text:#}",
                    self.console().await
                );
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn click(&self, selector: &str) {
        let found = self.client.find(fantoccini::Locator::Css(selector)).await;
        found.unwrap_or_else(|_| panic!("there is no {selector}")).click().await.expect("clicked");
    }

    /// Moves the pressed mouse over a chart, from and to these parts of its width.
    pub(crate) async fn drag(&self, chart: &str, from: f64, to: f64) {
        self.pull("mouse", chart, from, to).await;
    }

    /// The same with a finger.
    pub(crate) async fn swipe(&self, chart: &str, from: f64, to: f64) {
        self.pull("touch", chart, from, to).await;
    }

    async fn pull(&self, pointer: &str, chart: &str, from: f64, to: f64) {
        let script = format!(
            "const b = document.querySelector('#{chart} .u-over').getBoundingClientRect(); return [b.left, b.top, b.width, b.height]"
        );
        let area: Vec<f64> = serde_json::from_value(self.run(&script).await).expect("four numbers");
        let at = |part: f64| (area[0] + area[2] * part).round() as i64;
        let y = (area[1] + area[3] / 2.0).round() as i64;
        let point = |x: i64| json!({ "type": "pointerMove", "x": x, "y": y, "duration": 20 });
        let steps = json!([
            point(at(from)), { "type": "pointerDown", "button": 0 }, point(at(f64::midpoint(from, to))), point(at(to)),
            { "type": "pointerUp", "button": 0 },
        ]);
        let pulled =
            json!({ "type": "pointer", "id": pointer, "parameters": { "pointerType": pointer }, "actions": steps });
        self.command("actions", json!({ "actions": [pulled] })).await;
    }

    /// Presses a key where the focus is.
    pub(crate) async fn press(&self, key: &str) {
        let actions = json!([{ "type": "keyDown", "value": key }, { "type": "keyUp", "value": key }]);
        self.command("actions", json!({ "actions": [{ "type": "key", "id": "keys", "actions": actions }] })).await;
    }

    /// What the browser has said about the page since the last call: nothing, if all is well.
    pub(crate) async fn console(&self) -> Vec<String> {
        let entries = self.command("se/log", json!({ "type": "browser" })).await;
        let message = |entry: &Value| entry["message"].as_str().unwrap_or_default().to_owned();
        entries.as_array().into_iter().flatten().map(message).collect()
    }

    pub(crate) async fn screenshot(&self, path: &Path) {
        let png = self.client.screenshot().await.expect("a picture");
        std::fs::write(path, png).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    async fn tell_chromium(&self, command: &str, parameters: Value) {
        self.command("goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await;
    }

    async fn command(&self, path: &'static str, body: Value) -> Value {
        self.client.issue_cmd(Post { path, body }).await.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// The browser's own end; without it the driver is killed, and Chromium with it.
    pub(crate) async fn close(self) {
        assert_eq!(self.console().await, Vec::<String>::new(), "the console");
        self.client.clone().close().await.expect("closed");
    }
}

fn start_driver() -> Option<(Child, String)> {
    let mut driver = Command::new("chromedriver")
        .arg("--port=0")
        .process_group(0)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("chromedriver is missing; install it: apt-get install chromium chromium-driver");
    let mut lines = BufReader::new(driver.stdout.take().expect("a pipe")).lines();
    let port = lines.find_map(|line| {
        let line = line.ok()?;
        let (_, port) = line.split_once("started successfully on port ")?;
        Some(port.trim_end_matches('.').to_owned())
    });
    // It must not find its output closed.
    std::thread::spawn(move || lines.for_each(drop));
    if port.is_none() {
        let _ = driver.wait();
    }
    Some((driver, port?))
}

fn capabilities(look: Look, profile: &Path) -> serde_json::Map<String, Value> {
    let mut args: Vec<String> = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        "--window-size=1280,1100",
        // Labels of time axes are the same on every machine.
        "--lang=en",
    ]
    .map(str::to_owned)
    .into();
    args.push(format!("--user-data-dir={}", profile.display()));
    let mut options = json!({ "args": args });
    if look == Look::Phone {
        options["mobileEmulation"] =
            json!({ "deviceMetrics": { "width": 360, "height": 1280, "pixelRatio": 1, "touch": true } });
    }
    let all = json!({
        "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" },
    });
    all.as_object().cloned().unwrap_or_default()
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
