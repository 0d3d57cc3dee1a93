//! A rendering service elsewhere, by Splash's contract.

use super::RenderStep;
use super::request::{RenderError, Rendered, Request};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::time::Duration;
use switchboard_http_client::header::CONTENT_TYPE;
use switchboard_http_client::{Client, Error, Method, Options, TrustError, Url as Address};
use url::Url;

/// Bytes of an answer: a page of 16 MiB in JSON, where a byte can take six.
const MAX_ANSWER: usize = 100 << 20;
/// The longest time-out that Splash takes by default.
const MAX_TIMEOUT: Duration = Duration::from_secs(90);
/// Time that an answer may come later than the service's own time-out.
const SPARE: Duration = Duration::from_secs(5);
/// Characters of an error that is no JSON.
const MAX_ERROR: usize = 200;

/// The address of a rendering service: Switchboard's own, or a Splash. It is the operator's choice, so it may be private.
#[derive(Clone, Debug)]
pub struct Remote {
    client: Client,
    endpoint: Address,
}

/// A rendering service cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// Its address is none.
    #[error("{0:?} is not the http:// or https:// address of a rendering service")]
    Address(String),
    /// The certificates to trust cannot be read.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

impl Remote {
    /// The service at this address: `http://127.0.0.1:8050`, for example. To be used inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// The address is none, or the certificates to trust cannot be read.
    pub fn new(address: &str) -> Result<Remote, RemoteError> {
        let endpoint = endpoint(address).ok_or_else(|| RemoteError::Address(address.to_owned()))?;
        let options = Options { timeout: MAX_TIMEOUT + SPARE, answer_limit: MAX_ANSWER, ..Options::default() };
        Ok(Remote { client: Client::new(&options)?, endpoint })
    }

    /// Checks an address for [`Remote::new`].
    ///
    /// # Errors
    ///
    /// It is none.
    pub fn check(address: &str) -> Result<(), RemoteError> {
        endpoint(address).map(drop).ok_or_else(|| RemoteError::Address(address.to_owned()))
    }

    /// Renders a page there.
    ///
    /// # Errors
    ///
    /// The service does not answer, or cannot render the page. The error names the page.
    pub async fn render(&self, request: &Request) -> Result<Rendered, RenderError> {
        let url = &request.url;
        request.enter(RenderStep::Service);
        let failed = |reason: String| RenderError::Failed { url: url.clone(), reason };
        let body = body(request).to_string();
        let headers = [(CONTENT_TYPE, "application/json")];
        let sending = self.client.send(Method::POST, &self.endpoint, &headers, body);
        let answer = match tokio::time::timeout(request.timeout.saturating_add(SPARE), sending).await {
            Err(_) | Ok(Err(Error::Timeout { .. })) => return Err(request.late()),
            Ok(Err(error)) => return Err(failed(format!("the rendering service cannot be asked: {error}"))),
            Ok(Ok(answer)) => answer,
        };
        match answer.status.as_u16() {
            504 => {
                let told: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                if let Some(step) = told["info"]["step"].as_str().and_then(RenderStep::named) {
                    request.enter(step);
                }
                return Err(request.late());
            }
            200 => {}
            status => {
                let text: String = String::from_utf8_lossy(&answer.body).chars().take(MAX_ERROR).collect();
                let told: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                let reason = told["info"]["text"].as_str().or(told["description"].as_str()).unwrap_or(&text);
                // Our own service names the page, too.
                let reason = reason.strip_suffix(&format!(" ({url})")).unwrap_or(reason);
                return Err(failed(format!("{reason}, says the rendering service (status {status})")));
            }
        }
        if let Some(cut) = answer.cut {
            return Err(failed(format!("the rendering service's answer is not whole: {cut}")));
        }
        let page: Value = serde_json::from_slice(&answer.body)
            .map_err(|error| failed(format!("the rendering service's answer is no JSON: {error}")))?;
        let html = page["html"].as_str();
        let png = page["png"].as_str().and_then(|data| STANDARD.decode(data).ok());
        Ok(Rendered {
            html: html.ok_or_else(|| failed("the rendering service's answer has no html".to_owned()))?.to_owned(),
            url: page["url"].as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| url.clone()),
            title: page["title"].as_str().unwrap_or_default().to_owned(),
            status: page["status"].as_u64().and_then(|status| status.try_into().ok()),
            retry_after: None,
            png,
        })
    }
}

/// Returns the address at which the service renders.
fn endpoint(address: &str) -> Option<Address> {
    let mut base: Url = address.parse().ok()?;
    if !matches!(base.scheme(), "http" | "https") || base.query().is_some() {
        return None;
    }
    if !base.path().ends_with('/') {
        base.set_path(&format!("{}/", base.path()));
    }
    base.join("render.json").ok()?.as_str().parse().ok()
}

fn body(request: &Request) -> Value {
    let mut body = json!({
        "url": request.url.as_str(),
        "timeout": request.timeout.min(MAX_TIMEOUT).as_secs_f64(),
        "wait": request.wait.as_secs_f64(),
        "images": u8::from(request.images),
        "viewport": format!("{}x{}", request.viewport.width, request.viewport.height),
        "html": 1,
        "png": u8::from(request.screenshot.is_some()),
    });
    let mut set = |key: &str, value: Value| body[key] = value;
    if let Some(selector) = &request.wait_for {
        set("wait_for", selector.as_str().into());
    }
    if let Some(limit) = request.resource_timeout {
        set("resource_timeout", limit.as_secs_f64().into());
    }
    if !request.headers.is_empty() {
        set("headers", json!(request.headers));
    }
    if !request.allowed_domains.is_empty() {
        set("allowed_domains", request.allowed_domains.join(",").into());
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_is_a_web_address_with_or_without_a_path() {
        for (address, endpoint) in [
            ("http://127.0.0.1:8050", "http://127.0.0.1:8050/render.json"),
            ("http://127.0.0.1:8050/", "http://127.0.0.1:8050/render.json"),
            ("http://render.example/splash", "http://render.example/splash/render.json"),
        ] {
            let remote = Remote::new(address).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(remote.endpoint.reveal(), endpoint);
        }
        for wrong in ["", "127.0.0.1:8050", "file:///x", "ws://127.0.0.1:9222/x", "http://a.example/?x=1"] {
            assert!(Remote::new(wrong).is_err(), "{wrong}");
        }
    }
}
