//! One page: in a context of its own, which is disposed of whatever happens.

use super::browser::Browser;
use super::cdp::{Call, CallError, Connection, MAX_EVENTS};
use super::context::Context;
use super::failure::{Failure, words};
use super::messages::MAX_MESSAGE;
use super::request::{RenderError, Rendered, Request};
use super::workers::Workers;
use super::{RenderStep, screenshot};
use crate::devtools::Event;
use crate::guard::{Proxy, REFUSED};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::mpsc::Receiver;
use tokio::time::{sleep, timeout};
use url::Url;

/// Characters of a rendered page.
const MAX_HTML: usize = 16 << 20;
/// Frames and workers of one page that are looked after; a page with more is an attack.
const MAX_SESSIONS: usize = 200;
/// Events that the browser waits for an answer to.
const ANSWERED: [&str; 3] = ["Page.javascriptDialogOpening", "Fetch.requestPaused", "Target.attachedToTarget"];
/// Errors of an answer that has begun.
const CUT: [&str; 4] = [
    "net::ERR_CONTENT_LENGTH_MISMATCH",
    "net::ERR_INCOMPLETE_CHUNKED_ENCODING",
    "net::ERR_CONNECTION_CLOSED",
    "net::ERR_CONNECTION_RESET",
];
/// Types of resources that are not loaded without [`Request::images`].
const PICTURES: [&str; 3] = ["Image", "Font", "Media"];
const SERIALIZE: &str = include_str!("serialize.js");
/// Timers see what an observer of the document does not: open shadow trees.
const WAIT_FOR: &str = "(selector => new Promise(done => {
    const find = root => root.querySelector(selector)
        || [...root.querySelectorAll('*')].some(e => e.shadowRoot && find(e.shadowRoot));
    const look = () => { find(document) ? done(1) : setTimeout(look, 50); };
    look();
}))";
const IS_SELECTOR: &str = "(selector => { try { document.createDocumentFragment().querySelector(selector); return true; } \
                           catch { return false; } })";
const LOADED: &str = "new Promise(done => document.readyState === 'complete' ? done(1) \
                      : addEventListener('load', () => done(1)))";

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
            Ok(result) => result.map_err(|failure| failure.of(url.clone())),
            Err(_) => Err(request.late()),
        }
    }

    async fn render_untimed(&self, request: &Request) -> Result<Rendered, Failure> {
        request.enter(RenderStep::Open);
        // A proxy of its own holds what concerns this page alone: it sees every connection, also those of workers.
        let proxy = self.proxy_for(request).await.map_err(|error| error.to_string())?;
        let context = Context::open(&self.connection, self.told_proxy(proxy.as_ref()), &self.health).await?;
        let page = Page {
            connection: &self.connection,
            session: &context.session,
            target: &context.target,
            request,
            agent: self.agent_for(request),
            proxy: proxy.as_ref().unwrap_or(&self.proxy),
            state: Mutex::default(),
        };
        let mut events = self.connection.events(page.session);
        page.prepare().await?;
        // The page's events are answered all the while: a dialog would stop its scripts.
        tokio::select! {
            rendered = page.render() => rendered,
            failure = page.follow(&mut events) => Err(failure),
        }
    }
}

#[derive(Default)]
struct State {
    /// Of the newest document of the page itself.
    status: Option<u16>,
    retry_after: Option<String>,
    /// The request that it answers.
    answered: Option<String>,
    /// The page's address, after redirects.
    document: Option<Url>,
    /// Whether the headers of the request are sent.
    is_begun: bool,
    sessions: usize,
    workers: Workers,
}

pub(super) struct Page<'a> {
    connection: &'a Connection,
    session: &'a str,
    target: &'a str,
    pub(super) request: &'a Request,
    /// The `User-Agent`, if it is not the browser's.
    agent: Option<String>,
    /// The proxy of its connections.
    proxy: &'a Proxy,
    state: Mutex<State>,
}

impl Page<'_> {
    pub(super) async fn call(&self, method: &'static str, params: Value) -> Result<Value, Failure> {
        Ok(self.connection.call(Some(self.session), method, params).await?)
    }

    async fn prepare(&self) -> Result<(), Failure> {
        let viewport = self.request.viewport;
        let size = json!({
            "width": viewport.width, "height": viewport.height, "deviceScaleFactor": 1, "mobile": false,
        });
        let own = [("Inspector.enable", json!({})), ("Emulation.setDeviceMetricsOverride", size)];
        let begin = |(method, params)| self.connection.begin(Some(self.session), method, params);
        let calls: Vec<Call<'_>> = own.into_iter().chain(self.rules(true)).map(begin).collect();
        for call in calls {
            call.result().await?;
        }
        Ok(())
    }

    /// Returns the rules for the page, and for each of its frames and workers of another process.
    fn rules(&self, is_page: bool) -> Vec<(&'static str, Value)> {
        let mut rules = vec![("Network.enable", json!({}))];
        if let Some(agent) = &self.agent {
            rules.push(("Network.setUserAgentOverride", json!({ "userAgent": agent })));
        }
        let mut kinds = if self.request.images { Vec::new() } else { PICTURES.to_vec() };
        if is_page && !self.request.headers.is_empty() {
            kinds.push("Document");
        }
        if !kinds.is_empty() {
            let patterns: Vec<Value> = kinds.iter().map(|kind| json!({ "resourceType": kind })).collect();
            rules.push(("Fetch.enable", json!({ "patterns": patterns })));
        }
        let attach = json!({ "autoAttach": true, "waitForDebuggerOnStart": true, "flatten": true });
        rules.push(("Target.setAutoAttach", attach));
        rules
    }

    async fn render(&self) -> Result<Rendered, Failure> {
        if let Some(selector) = &self.request.wait_for {
            // In the empty page: a wrong selector needs no look at the other.
            let is_valid = self.evaluate(&format!("{IS_SELECTOR}({})", Value::from(selector.as_str()))).await?;
            if is_valid != true {
                return Err(Failure::Selector(selector.clone()));
            }
        }
        self.request.enter(RenderStep::Navigation);
        if !self.load(&self.request.url).await? {
            return Ok(self.empty());
        }
        self.request.enter(RenderStep::Wait);
        sleep(self.request.wait).await;
        if let Some(selector) = &self.request.wait_for {
            self.request.enter(RenderStep::WaitForSelector);
            self.evaluate(&format!("{WAIT_FOR}({})", Value::from(selector.as_str()))).await?;
        }
        let png = match &self.request.screenshot {
            Some(wanted) => {
                self.request.enter(RenderStep::Screenshot);
                Some(screenshot::take(self, *wanted).await?)
            }
            None => None,
        };
        self.request.enter(RenderStep::Serialize);
        let value = self.evaluate(&format!("{SERIALIZE}({MAX_HTML})")).await?;
        let html = value["html"].as_str().ok_or_else(|| format!("it has more than {MAX_HTML} characters"))?;
        let url = value["url"].as_str().and_then(|url| url.parse().ok());
        let state = self.state.lock();
        Ok(Rendered {
            html: html.to_owned(),
            url: url.unwrap_or_else(|| self.request.url.clone()),
            title: value["title"].as_str().unwrap_or_default().to_owned(),
            status: state.status,
            retry_after: state.retry_after.clone(),
            png,
        })
    }

    /// An answer without a body, in whose place the browser would show a page of its own.
    fn empty(&self) -> Rendered {
        let html = "<!DOCTYPE html><html><head></head><body></body></html>".to_owned();
        let (url, state) = (self.request.url.clone(), self.state.lock());
        let (status, retry_after) = (state.status, state.retry_after.clone());
        Rendered { html, url, title: String::new(), status, retry_after, png: None }
    }

    /// Returns whether there is a page.
    async fn load(&self, url: &Url) -> Result<bool, Failure> {
        let answer = self.call("Page.navigate", json!({ "url": url.as_str() })).await?;
        if answer["isDownload"].as_bool() == Some(true) {
            return Err("it is a download, not a page".to_owned().into());
        }
        match answer["errorText"].as_str() {
            None | Some("") => {}
            Some("net::ERR_HTTP_RESPONSE_CODE_FAILURE") => {
                self.catch_up().await;
                return Ok(false);
            }
            Some(failure @ "net::ERR_TUNNEL_CONNECTION_FAILED") => {
                self.catch_up().await;
                let last = self.state.lock().document.clone();
                let known = [last.as_ref(), Some(url)]
                    .into_iter()
                    .flatten()
                    .find_map(|url| self.proxy.reason(url.host_str()?, url.port_or_known_default()?));
                return Err(known.unwrap_or_else(|| format!("the connection cannot be made ({failure})")).into());
            }
            Some("net::ERR_ABORTED") => {
                return Err("it is no page: a download, or nothing (net::ERR_ABORTED)".to_owned().into());
            }
            Some(reason) => return Err(words(reason).into()),
        }
        self.evaluate(LOADED).await.map(|_| true)
    }

    /// The browser has told the status, and where it was going, before: by its next answer that is read.
    async fn catch_up(&self) {
        let _ = self.call("Page.getNavigationHistory", json!({})).await;
    }

    /// In a world of its own, made anew each time: a navigation ends it, and then the next page is asked.
    pub(super) async fn evaluate(&self, script: &str) -> Result<Value, Failure> {
        loop {
            match self.evaluate_once(script).await {
                Err(CallError::Refused { message, .. }) if is_navigation(&message) => {
                    // The new document's frame may not be there yet.
                    sleep(std::time::Duration::from_millis(20)).await;
                }
                Err(error) => return Err(error.into()),
                Ok(answer) => {
                    return match &answer["exceptionDetails"] {
                        Value::Null => Ok(answer["result"]["value"].clone()),
                        details => {
                            let text = details["exception"]["description"].as_str().unwrap_or("unknown");
                            // The lines below are the stack, which is our script's.
                            let first = text.lines().next().unwrap_or_default();
                            Err(format!("its document cannot be read: {first}").into())
                        }
                    };
                }
            }
        }
    }

    async fn evaluate_once(&self, script: &str) -> Result<Value, CallError> {
        let session = Some(self.session);
        let world = json!({ "frameId": self.target, "worldName": "switchboard" });
        let world = self.connection.call(session, "Page.createIsolatedWorld", world).await?;
        let params = json!({
            "expression": script, "contextId": world["executionContextId"], "awaitPromise": true, "returnByValue": true,
        });
        self.connection.call(session, "Runtime.evaluate", params).await
    }

    /// Answers events until one of them ends the page.
    async fn follow(&self, events: &mut Receiver<Event>) -> Failure {
        while let Some(Event { session, method, params }) = events.recv().await {
            let is_page = session == self.session;
            let send = |method, params| self.connection.send(Some(&session), method, params);
            let Some(params) = params else {
                if ANSWERED.contains(&method.as_str()) {
                    return format!("the browser's message {method} is over the limit of {MAX_MESSAGE} bytes").into();
                }
                // A large message of a WebSocket, for example, or an address that holds a picture.
                continue;
            };
            match method.as_str() {
                "Page.javascriptDialogOpening" => {
                    let accept = params["type"] == "beforeunload";
                    send("Page.handleJavaScriptDialog", json!({ "accept": accept }));
                }
                "Fetch.requestPaused" => {
                    let (method, params) = self.decide(&params);
                    send(method, params);
                }
                "Target.attachedToTarget" => {
                    if let Err(reason) = self.attach(&session, &params) {
                        return reason.into();
                    }
                }
                "Target.detachedFromTarget" => {
                    let ended = params["sessionId"].as_str().unwrap_or_default();
                    let next = self.state.lock().workers.remove(ended);
                    if let Some(next) = next {
                        self.run(&next);
                    }
                }
                "Inspector.targetCrashed" if is_page => return "its tab crashed".to_owned().into(),
                "Inspector.detached" if is_page => return "its tab was closed".to_owned().into(),
                "Network.requestWillBeSent" if params["type"] == "Document" && params["frameId"] == self.target => {
                    let url = params["request"]["url"].as_str().and_then(|url| url.parse().ok());
                    let mut state = self.state.lock();
                    (state.document, state.answered) = (url, None);
                }
                "Network.responseReceived" if params["type"] == "Document" && params["frameId"] == self.target => {
                    let headers = &params["response"]["headers"];
                    // The guard answered in the place of the server.
                    if let Some(reason) = header(headers, REFUSED) {
                        return reason.into();
                    }
                    let status = params["response"]["status"].as_u64();
                    let mut state = self.state.lock();
                    state.answered = params["requestId"].as_str().map(str::to_owned);
                    state.status = status.and_then(|status| status.try_into().ok());
                    state.retry_after = header(headers, "Retry-After");
                }
                // The browser would wait for the rest of its document for ever.
                "Network.loadingFailed" if is_page && params["canceled"] != true => {
                    let error = params["errorText"].as_str().unwrap_or_default();
                    let failed = params["requestId"].as_str();
                    let is_cut = CUT.contains(&error) && self.state.lock().answered.as_deref() == failed;
                    if is_cut && failed.is_some() {
                        return format!("the answer is not whole: {}", words(error)).into();
                    }
                }
                _ => {}
            }
        }
        if self.connection.is_gone() {
            return Failure::Gone;
        }
        format!("the browser tells more of it than the limit of {MAX_EVENTS} events").into()
    }

    /// Decides about a waiting request: the first one of the page gets the headers, pictures are refused.
    fn decide(&self, params: &Value) -> (&'static str, Value) {
        let id = &params["requestId"];
        if params["resourceType"] != "Document" {
            return ("Fetch.failRequest", json!({ "requestId": id, "errorReason": "BlockedByClient" }));
        }
        let is_first = params["frameId"] == self.target && !std::mem::replace(&mut self.state.lock().is_begun, true);
        if !is_first {
            return ("Fetch.continueRequest", json!({ "requestId": id }));
        }
        let own = &self.request.headers;
        let sent = params["request"]["headers"].as_object().into_iter().flatten();
        let kept = sent.filter(|(name, _)| !own.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)));
        let mut headers: Vec<Value> = kept.map(|(name, value)| json!({ "name": name, "value": value })).collect();
        headers.extend(own.iter().map(|(name, value)| json!({ "name": name, "value": value })));
        ("Fetch.continueRequest", json!({ "requestId": id, "headers": headers }))
    }

    /// A frame or worker of another process, which waits until it is told to go on.
    fn attach(&self, parent: &str, params: &Value) -> Result<(), String> {
        let Some(child) = params["sessionId"].as_str() else { return Ok(()) };
        let may_run = {
            let mut state = self.state.lock();
            state.sessions += 1;
            if state.sessions > MAX_SESSIONS {
                return Err(format!("it has more than {MAX_SESSIONS} frames and workers"));
            }
            params["targetInfo"]["type"] != "worker" || state.workers.add(child)
        };
        self.connection.share(parent, child);
        for (method, params) in self.rules(false) {
            self.connection.send(Some(child), method, params);
        }
        if may_run {
            self.run(child);
        }
        Ok(())
    }

    /// Lets a frame or worker go on.
    fn run(&self, session: &str) {
        self.connection.send(Some(session), "Runtime.runIfWaitingForDebugger", json!({}));
    }
}

/// Whether a script was cut off because the page went elsewhere.
fn is_navigation(message: &str) -> bool {
    ["context was destroyed", "Cannot find context", "navigated or closed", "uniqueContextId not found"]
        .iter()
        .any(|known| message.contains(known))
}

/// The text of a header, whatever the case of its name.
fn header(headers: &Value, wanted: &str) -> Option<String> {
    let headers = headers.as_object()?;
    headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted))?.1.as_str().map(str::to_owned)
}
