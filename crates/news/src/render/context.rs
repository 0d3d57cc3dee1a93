//! A browser context with one page.

use super::cdp::Connection;
use super::failure::Failure;
use super::health::Health;
use serde_json::{Value, json};
use std::net::SocketAddr;

/// A context, with all its pages. Disposed of when dropped.
pub(super) struct Context {
    connection: Connection,
    id: String,
    /// The page's session; empty until there is one.
    pub(super) session: String,
    /// The page.
    pub(super) target: String,
}

impl Drop for Context {
    fn drop(&mut self) {
        self.connection.forget(&self.session);
        self.connection.send(None, "Target.disposeBrowserContext", json!({ "browserContextId": self.id }));
    }
}

impl Context {
    /// Opens an empty page, which uses this proxy instead of the browser's.
    pub(super) async fn open(
        connection: &Connection,
        proxy: Option<SocketAddr>,
        health: &Health,
    ) -> Result<Context, Failure> {
        // A task, so that what a caller no longer waits for is disposed of as soon as it is there, and callers in a hurry
        // find out about a stuck browser, too.
        let (opening, health) = (open(connection.clone(), proxy), health.clone());
        let opening = tokio::spawn(async move { health.watch(opening).await });
        opening.await.map_err(|error| error.to_string())?
    }
}

async fn open(connection: Connection, proxy: Option<SocketAddr>) -> Result<Context, Failure> {
    let mut params = json!({ "disposeOnDetach": true });
    if let Some(proxy) = proxy {
        params["proxyServer"] = format!("http://{proxy}").into();
        params["proxyBypassList"] = "<-loopback>".into();
    }
    let id = text(&connection.call(None, "Target.createBrowserContext", params).await?, "browserContextId");
    let (session, target) = Default::default();
    let mut context = Context { connection, id: id.clone(), session, target };
    let connection = &context.connection;
    let deny = json!({ "behavior": "deny", "browserContextId": id });
    let denying = connection.begin(None, "Browser.setDownloadBehavior", deny);
    let page = json!({ "url": "about:blank", "browserContextId": id });
    let target = text(&connection.call(None, "Target.createTarget", page).await?, "targetId");
    denying.result().await?;
    let attach = json!({ "targetId": target, "flatten": true });
    let session = text(&connection.call(None, "Target.attachToTarget", attach).await?, "sessionId");
    (context.target, context.session) = (target, session);
    // The first answer of the page's own process, which the browser may be unable to start.
    context.connection.call(Some(&context.session), "Page.enable", json!({})).await?;
    Ok(context)
}

fn text(answer: &Value, key: &str) -> String {
    answer[key].as_str().unwrap_or_default().to_owned()
}
