//! Splash's arguments, from a query or a JSON object.

use super::splash::SplashError;
use crate::render::{MAX_SIDE, Request, Screenshot, Viewport};
use serde_json::{Map, Value};
use std::time::Duration;
use switchboard_http_client::{HeaderName, HeaderValue};
use url::Url;

/// Splash's default time-out.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The longest `resource_timeout` that means anything.
const MAX_RESOURCE: f64 = 86_400.0;
/// Headers of a request.
const MAX_HEADERS: usize = 100;
/// Domains of a request.
const MAX_DOMAINS: usize = 1000;
/// Bytes of a selector.
const MAX_SELECTOR: usize = 10_000;
/// Arguments of Splash whose absence would change what is rendered.
const UNSUPPORTED: [&str; 12] = [
    "allowed_content_types",
    "baseurl",
    "body",
    "cookies",
    "filters",
    "forbidden_content_types",
    "js",
    "js_source",
    "load_args",
    "lua_source",
    "proxy",
    "save_args",
];
/// Headers that belong to the connection.
const OWN_HEADERS: [&str; 10] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The arguments of one request.
pub(super) struct Arguments(Map<String, Value>);

impl Arguments {
    /// Of a query; with a body, those of its JSON object count more.
    pub(super) fn new(query: &str, body: Option<&[u8]>) -> Result<Arguments, SplashError> {
        let mut all = Map::new();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            // The first one counts, as for Splash.
            all.entry(key.into_owned()).or_insert_with(|| value.into_owned().into());
        }
        if let Some(body) = body {
            let invalid = |text: &str| SplashError::option("invalid_json", "", text);
            match serde_json::from_slice(body) {
                Ok(Value::Object(object)) => all.extend(object),
                Ok(_) => return Err(invalid("the body is no JSON object")),
                Err(error) => return Err(invalid(&format!("Can't decode JSON: {error}"))),
            }
        }
        all.retain(|_, value| !value.is_null());
        Ok(Arguments(all))
    }

    /// The request, without a screenshot.
    pub(super) fn request(&self, max_timeout: Duration) -> Result<Request, SplashError> {
        for name in UNSUPPORTED {
            if self.0.get(name).is_some_and(|value| *value != "" && *value != Value::Array(Vec::new())) {
                return Err(bad(name, &format!("{name} is not supported")));
            }
        }
        if self.text("http_method")?.is_some_and(|method| !method.eq_ignore_ascii_case("GET")) {
            return Err(bad("http_method", "only GET is supported"));
        }
        let missing = || SplashError::option("argument_required", "url", "Required argument is missing: url");
        let text = self.text("url")?.ok_or_else(missing)?;
        let url: Url = text.parse().map_err(|error| bad("url", &format!("{text:?} is not a URL: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad("url", "only http:// and https:// addresses can be rendered"));
        }
        let most = max_timeout.as_secs_f64();
        let timeout = self.number("timeout", 0.0, most)?.map(Duration::from_secs_f64);
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            let range = format!("timeout is above 0, and at most {most}");
            return Err(bad("timeout", &format!("Argument is out of the allowed range: {range}")));
        }
        let timeout = timeout.unwrap_or(TIMEOUT.min(max_timeout));
        let wait = self.number("wait", 0.0, timeout.as_secs_f64())?.map(Duration::from_secs_f64);
        let resource = self.number("resource_timeout", 0.0, MAX_RESOURCE)?.filter(|seconds| *seconds > 0.0);
        let wait_for = self.text("wait_for")?.filter(|selector| !selector.is_empty());
        if wait_for.is_some_and(|selector| selector.len() > MAX_SELECTOR) {
            return Err(bad("wait_for", &format!("it is longer than {MAX_SELECTOR} bytes")));
        }
        Ok(Request {
            timeout,
            resource_timeout: resource.map(Duration::from_secs_f64),
            wait: wait.unwrap_or_default(),
            wait_for: wait_for.map(str::to_owned),
            images: self.flag("images", true)?,
            viewport: self.viewport(wait)?,
            headers: self.headers()?,
            allowed_domains: self.domains()?,
            ..Request::new(url)
        })
    }

    /// The screenshot, by the arguments of `render.png`.
    pub(super) fn screenshot(&self, request: &Request) -> Result<Screenshot, SplashError> {
        let full = self.flag("render_all", false)?;
        if full && request.wait.is_zero() {
            return Err(bad("render_all", "Pass non-zero 'wait' to render full webpage"));
        }
        let side = |name| -> Result<Option<u32>, SplashError> {
            Ok(self.number(name, 1.0, f64::from(MAX_SIDE))?.map(|side| side as u32))
        };
        if self.text("scale_method")?.is_some_and(|method| !matches!(method, "raster" | "vector")) {
            return Err(bad("scale_method", "scale_method is raster or vector"));
        }
        let full = full || self.0.get("viewport").is_some_and(|value| value == "full");
        Ok(Screenshot { full, width: side("width")?, height: side("height")? })
    }

    /// 0 or 1.
    pub(super) fn flag(&self, name: &'static str, default: bool) -> Result<bool, SplashError> {
        match self.0.get(name) {
            None => Ok(default),
            Some(Value::Bool(value)) => Ok(*value),
            Some(Value::String(text)) if text == "0" => Ok(false),
            Some(Value::String(text)) if text == "1" => Ok(true),
            Some(Value::Number(number)) if number.as_u64() == Some(0) => Ok(false),
            Some(Value::Number(number)) if number.as_u64() == Some(1) => Ok(true),
            Some(_) => Err(bad(name, &format!("{name} is 0 or 1"))),
        }
    }

    fn text(&self, name: &'static str) -> Result<Option<&str>, SplashError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(bad(name, &format!("{name} is a text"))),
        }
    }

    fn number(&self, name: &'static str, least: f64, most: f64) -> Result<Option<f64>, SplashError> {
        let number = match self.0.get(name) {
            None => return Ok(None),
            Some(Value::Number(number)) => number.as_f64(),
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(_) => None,
        };
        match number {
            None => Err(bad(name, &format!("Argument '{name}' has a wrong type"))),
            Some(number) if (least..=most).contains(&number) => Ok(Some(number)),
            Some(_) => {
                Err(bad(name, &format!("Argument is out of the allowed range: {name} is from {least} to {most}")))
            }
        }
    }

    fn viewport(&self, wait: Option<Duration>) -> Result<Viewport, SplashError> {
        let Some(text) = self.text("viewport")? else { return Ok(Viewport::default()) };
        if text == "full" {
            if wait.is_none_or(|wait| wait.is_zero()) {
                return Err(bad("viewport", "Pass non-zero 'wait' to render full webpage"));
            }
            return Ok(Viewport::default());
        }
        let sides = text.split_once('x').and_then(|(width, height)| {
            let side = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok());
            Viewport::new(side(width)??, side(height)??)
        });
        sides.ok_or_else(|| {
            bad("viewport", &format!("viewport is WIDTHxHEIGHT with sides up to {MAX_SIDE} and 16 Mi pixels, or full"))
        })
    }

    fn domains(&self) -> Result<Vec<String>, SplashError> {
        let Some(text) = self.text("allowed_domains")? else { return Ok(Vec::new()) };
        let domains: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
        if domains.len() > MAX_DOMAINS {
            return Err(bad("allowed_domains", &format!("more than {MAX_DOMAINS} domains")));
        }
        Ok(domains)
    }

    /// An object, or a list of pairs; in a query, as JSON.
    fn headers(&self) -> Result<Vec<(String, String)>, SplashError> {
        let wrong = || bad("headers", "'headers' must be either a JSON array of (name, value) pairs or a JSON object");
        let value = match self.0.get("headers") {
            None => return Ok(Vec::new()),
            Some(Value::String(text)) => serde_json::from_str(text).map_err(|_| wrong())?,
            Some(value) => value.clone(),
        };
        let pair = |name: &Value, value: &Value| -> Result<(String, String), SplashError> {
            let (name, value) = (name.as_str().ok_or_else(wrong)?, value.as_str().ok_or_else(wrong)?);
            let is_name = name.parse::<HeaderName>().is_ok();
            let is_own = OWN_HEADERS.iter().any(|own| own.eq_ignore_ascii_case(name));
            if !is_name || is_own || HeaderValue::from_str(value).is_err() {
                return Err(bad("headers", &format!("the header {name:?} cannot be sent")));
            }
            Ok((name.to_owned(), value.to_owned()))
        };
        let headers: Vec<_> = match &value {
            Value::Object(object) => {
                object.iter().map(|(name, value)| pair(&Value::from(name.as_str()), value)).collect::<Result<_, _>>()?
            }
            Value::Array(list) => list
                .iter()
                .map(|entry| match entry.as_array().map(Vec::as_slice) {
                    Some([name, value]) => pair(name, value),
                    _ => Err(wrong()),
                })
                .collect::<Result<_, _>>()?,
            _ => return Err(wrong()),
        };
        if headers.len() > MAX_HEADERS {
            return Err(bad("headers", &format!("more than {MAX_HEADERS} headers")));
        }
        Ok(headers)
    }
}

fn bad(argument: &str, text: &str) -> SplashError {
    SplashError::option("bad_argument", argument, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Duration = Duration::from_secs(90);

    fn get(query: &str) -> Result<Request, SplashError> {
        Arguments::new(&format!("url=http://a.example/&{query}"), None)?.request(MOST)
    }

    fn post(body: &str) -> Result<Request, SplashError> {
        Arguments::new("url=http://query.example/", Some(body.as_bytes()))?.request(MOST)
    }

    #[test]
    fn the_defaults_are_splashs() {
        let request = get("").expect("a request");
        assert_eq!((request.timeout, request.wait, request.images), (TIMEOUT, Duration::ZERO, true));
        assert_eq!(request.viewport, Viewport { width: 1024, height: 768 });
        assert_eq!((request.resource_timeout, request.wait_for, request.headers.len()), (None, None, 0));
        let brief = Arguments::new("url=http://a/", None).expect("arguments").request(Duration::from_secs(5));
        assert_eq!(brief.expect("a request").timeout, Duration::from_secs(5));
    }

    #[test]
    fn each_argument_is_taken_within_its_bounds_alone() {
        for good in [
            "timeout=90",
            "timeout=0.001",
            "timeout=0.5",
            "wait=30",
            "timeout=5&wait=5",
            "resource_timeout=0",
            "resource_timeout=86400",
            "images=0",
            "images=1",
            "viewport=1x1",
            "viewport=16384x1024",
            "viewport=full&wait=1",
            "http_method=get",
            "wait_for=a",
            "proxy=",
            "unknown=1",
            "headers={}",
            "headers=[[\"A\",\"b\"]]",
        ] {
            assert!(get(good).is_ok(), "{good}: {:?}", get(good).err());
        }
        for bad in [
            "timeout=91",
            "timeout=90.1",
            "timeout=0",
            "timeout=-1",
            "timeout=nan",
            "timeout=inf",
            "timeout=x",
            "timeout=",
            "wait=30.5",
            "wait=foo",
            "timeout=5&wait=6",
            "resource_timeout=-1",
            "resource_timeout=86401",
            "images=2",
            "images=yes",
            "viewport=0x1",
            "viewport=16385x1",
            "viewport=+1x1",
            "viewport=x",
            "viewport=99999999999x1",
            "viewport=full",
            "viewport=full&wait=0",
            "http_method=POST",
            "proxy=http://x/",
            "js_source=1",
            "lua_source=x",
            "baseurl=http://b/",
            "headers=x",
            "headers=1",
            "headers={\"A\":1}",
            "headers={\"A b\":\"c\"}",
            "headers={\"A\":\"b\\r\\nC: d\"}",
            "headers={\"Host\":\"x\"}",
            "headers=[[\"A\"]]",
        ] {
            assert!(get(bad).is_err(), "{bad}");
        }
        for url in ["", "url=", "url=x", "url=file:///etc/passwd", "url=chrome://version", "url=data:text/html,x"] {
            assert!(Arguments::new(url, None).expect("arguments").request(MOST).is_err(), "{url}");
        }
    }

    #[test]
    fn json_counts_more_than_the_query_and_is_an_object() {
        let request = post(
            "{\"url\":\"http://json.example/\",\"wait\":0.5,\"images\":0,\"headers\":{\"A\":\"b\"},\"viewport\":null}",
        );
        let request = request.unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!((request.url.host_str(), request.images), (Some("json.example"), false));
        assert_eq!((request.wait, request.headers.len()), (Duration::from_millis(500), 1));
        assert_eq!(post("{}").expect("a request").url.host_str(), Some("query.example"));
        for bad in ["", "[]", "x", "1", "{\"url\":1}", "{\"wait\":[]}", "{\"wait_for\":1}", "{\"images\":[]}"] {
            assert!(post(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_screenshot_has_a_size_within_bounds() {
        let shot = |query: &str| {
            let all = Arguments::new(&format!("url=http://a/&{query}"), None)?;
            all.screenshot(&all.request(MOST)?)
        };
        assert_eq!(shot("").expect("one"), Screenshot::default());
        let full = Screenshot { full: true, width: Some(1), height: Some(MAX_SIDE) };
        assert_eq!(shot("render_all=1&wait=1&width=1&height=16384").expect("one"), full);
        assert!(shot("viewport=full&wait=0.1").expect("one").full);
        for bad in ["render_all=1", "render_all=1&wait=0", "width=0", "height=0", "width=16385", "scale_method=x"] {
            assert!(shot(bad).is_err(), "{bad}");
        }
    }
}
