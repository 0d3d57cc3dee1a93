//! One page: in a context of its own, which is disposed of whatever happens.

use super::browser::Browser;
use super::cdp::{CallError, Connection, Event};
use crate::guard::REFUSED;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
use tokio::time::{sleep, timeout};
use url::Url;

/// Characters of a rendered page.
const MAX_HTML: usize = 16 << 20;

/// What is to be rendered.
#[derive(Clone, Debug)]
pub struct Request {
    /// The page.
    pub url: Url,
    /// The longest duration of everything. Default: 30 s.
    pub timeout: Duration,
    /// Time after the load. Default: none.
    pub wait: Duration,
    /// The selector of an element that is waited for.
    pub wait_for: Option<String>,
    /// Whether pictures, fonts, audio and video are loaded. Default: no.
    pub images: bool,
}

impl Request {
    /// Defaults, for this page.
    #[must_use]
    pub fn new(url: Url) -> Request {
        Request { url, timeout: Duration::from_secs(30), wait: Duration::ZERO, wait_for: None, images: false }
    }
}

/// A rendered page.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// Its elements as HTML; open shadow trees stand in the place of their hosts' children.
    pub html: String,
}

/// Why there is no rendered page.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RenderError {
    /// Chromium cannot be started.
    #[error("cannot start Chromium: {0}; on Debian: apt-get install chromium")]
    Start(String),
    /// Not an `http` or `https` address.
    #[error("{0}: only http:// and https:// addresses can be rendered")]
    Scheme(Url),
    /// Not rendered in time.
    #[error("{url}: not rendered within {limit:?}")]
    Timeout {
        /// The page.
        url: Url,
        /// The limit.
        limit: Duration,
    },
    /// The page cannot be loaded.
    #[error("{url}: {reason}")]
    Failed {
        /// The page.
        url: Url,
        /// Why not.
        reason: String,
    },
}

/// Copies the tree that is shown, with open shadow trees, into a document without scripts. Runs in a world of its own, so
/// that the page cannot change what the functions do.
const SERIALIZE: &str = r"(limit => {
    const inert = document.implementation.createHTMLDocument('');
    let left = 300000;
    const copy = (node, depth) => {
        if (left-- <= 0 || depth > 2000) { return null; }
        if (node.nodeType === 3) { return inert.createTextNode(node.data); }
        if (node.nodeType !== 1) { return null; }
        const made = inert.importNode(node, false);
        let children = (node.shadowRoot || node).childNodes;
        if (node.localName === 'slot') {
            const given = node.assignedNodes();
            if (given.length) { children = given; }
        }
        for (const child of children) {
            const inner = copy(child, depth + 1);
            if (inner) { made.appendChild(inner); }
        }
        return made;
    };
    const root = copy(document.documentElement, 0);
    const html = '<!DOCTYPE html>' + (root ? root.outerHTML : '');
    return html.length > limit ? null : html;
})";

/// A browser context, with all its pages.
struct Context {
    connection: Connection,
    id: String,
    session: Option<String>,
}

impl Drop for Context {
    fn drop(&mut self) {
        if let Some(session) = &self.session {
            self.connection.forget(session);
        }
        self.connection.send(None, "Target.disposeBrowserContext", json!({ "browserContextId": self.id }));
    }
}

impl Browser {
    /// Renders a page.
    ///
    /// # Errors
    ///
    /// It is not rendered in time, cannot be loaded, is a download, or its tab crashed. The error names the page.
    pub async fn render(&self, request: &Request) -> Result<Rendered, RenderError> {
        let url = &request.url;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(RenderError::Scheme(url.clone()));
        }
        match timeout(request.timeout, self.render_untimed(request)).await {
            Ok(result) => result.map_err(|reason| RenderError::Failed { url: url.clone(), reason }),
            Err(_) => Err(RenderError::Timeout { url: url.clone(), limit: request.timeout }),
        }
    }

    async fn render_untimed(&self, request: &Request) -> Result<Rendered, String> {
        let connection = &self.connection;
        let words = |error: CallError| error.to_string();
        let made = connection.call(None, "Target.createBrowserContext", json!({ "disposeOnDetach": true })).await;
        let id = text(&made.map_err(words)?, "browserContextId");
        let mut context = Context { connection: connection.clone(), id: id.clone(), session: None };
        let deny = json!({ "behavior": "deny", "browserContextId": id });
        connection.call(None, "Browser.setDownloadBehavior", deny).await.map_err(words)?;
        let target = json!({ "url": "about:blank", "browserContextId": id });
        let target = text(&connection.call(None, "Target.createTarget", target).await.map_err(words)?, "targetId");
        let attach = json!({ "targetId": target, "flatten": true });
        let session = text(&connection.call(None, "Target.attachToTarget", attach).await.map_err(words)?, "sessionId");
        context.session = Some(session.clone());
        let page = Page { connection, session: &session, target };
        let mut events = connection.events(&session);
        for method in ["Page.enable", "Inspector.enable", "Network.enable"] {
            page.call(method, json!({})).await?;
        }
        if !request.images {
            let patterns = ["Image", "Font", "Media"].map(|kind| json!({ "resourceType": kind }));
            page.call("Fetch.enable", json!({ "patterns": patterns })).await?;
        }
        let work = async {
            page.load(&request.url).await?;
            sleep(request.wait).await;
            page.wait_for(request.wait_for.as_deref()).await?;
            page.html().await
        };
        // The page's events are answered all the while: a dialog would stop its scripts.
        tokio::select! {
            html = work => html.map(|html| Rendered { html }),
            reason = page.follow(&mut events) => Err(reason),
        }
    }
}

struct Page<'a> {
    connection: &'a Connection,
    session: &'a str,
    target: String,
}

impl Page<'_> {
    async fn call(&self, method: &'static str, params: Value) -> Result<Value, String> {
        self.connection.call(Some(self.session), method, params).await.map_err(|error| error.to_string())
    }

    async fn load(&self, url: &Url) -> Result<(), String> {
        let answer = self.call("Page.navigate", json!({ "url": url.as_str() })).await?;
        if answer["isDownload"].as_bool() == Some(true) {
            return Err("it is a download, not a page".to_owned());
        }
        match answer["errorText"].as_str() {
            None | Some("") => {}
            Some("net::ERR_TUNNEL_CONNECTION_FAILED") => {
                return Err(
                    "the connection was refused by the guard, or failed (net::ERR_TUNNEL_CONNECTION_FAILED)".to_owned()
                );
            }
            Some("net::ERR_ABORTED") => {
                return Err("it is no page: a download, or nothing (net::ERR_ABORTED)".to_owned());
            }
            Some(reason) => return Err(reason.to_owned()),
        }
        self.evaluate("new Promise(done => document.readyState === 'complete' ? done(1) : addEventListener('load', () => done(1)))").await?;
        Ok(())
    }

    async fn wait_for(&self, selector: Option<&str>) -> Result<(), String> {
        let Some(selector) = selector else { return Ok(()) };
        let selector = Value::from(selector);
        // Timers see what an observer of the document does not: open shadow trees.
        let script = format!(
            "new Promise((done, fail) => {{ const find = root => root.querySelector({selector}) || \
             [...root.querySelectorAll('*')].some(e => e.shadowRoot && find(e.shadowRoot)); \
             const look = () => {{ try {{ find(document) ? done(1) : setTimeout(look, 50); }} catch (e) {{ fail(e); }} }}; \
             look(); }})"
        );
        self.evaluate(&script).await.map(|_| ())
    }

    async fn html(&self) -> Result<String, String> {
        let value = self.evaluate(&format!("{SERIALIZE}({MAX_HTML})")).await?;
        value.as_str().map(str::to_owned).ok_or_else(|| format!("it has more than {MAX_HTML} characters"))
    }

    /// In a world of its own, made anew each time: a navigation ends it.
    async fn evaluate(&self, script: &str) -> Result<Value, String> {
        let world = json!({ "frameId": self.target, "worldName": "switchboard" });
        let world = self.call("Page.createIsolatedWorld", world).await?;
        let params = json!({
            "expression": script, "contextId": world["executionContextId"], "awaitPromise": true, "returnByValue": true,
        });
        let answer = self.call("Runtime.evaluate", params).await?;
        match &answer["exceptionDetails"] {
            Value::Null => Ok(answer["result"]["value"].clone()),
            details => {
                Err(format!("script error: {}", details["exception"]["description"].as_str().unwrap_or("unknown")))
            }
        }
    }

    /// Answers events until one of them ends the page.
    async fn follow(&self, events: &mut Receiver<Event>) -> String {
        while let Some(Event { method, params }) = events.recv().await {
            let send = |method, params| self.connection.send(Some(self.session), method, params);
            match method.as_str() {
                "Page.javascriptDialogOpening" => {
                    let accept = params["type"] == "beforeunload";
                    send("Page.handleJavaScriptDialog", json!({ "accept": accept }));
                }
                "Fetch.requestPaused" => {
                    let params = json!({ "requestId": params["requestId"], "errorReason": "BlockedByClient" });
                    send("Fetch.failRequest", params);
                }
                "Inspector.targetCrashed" => return "its tab crashed".to_owned(),
                "Inspector.detached" => return "its tab was closed".to_owned(),
                "Network.responseReceived"
                    if params["type"] == "Document" && params["frameId"] == self.target.as_str() =>
                {
                    if let Some(reason) = header(&params["response"]["headers"]) {
                        return reason;
                    }
                }
                _ => {}
            }
        }
        "the browser has ended, or the page sent too many events".to_owned()
    }
}

/// The guard's reason, if it answered in the place of the server.
fn header(headers: &Value) -> Option<String> {
    let headers = headers.as_object()?;
    headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(REFUSED))?.1.as_str().map(str::to_owned)
}

fn text(answer: &Value, key: &str) -> String {
    answer[key].as_str().unwrap_or_default().to_owned()
}
