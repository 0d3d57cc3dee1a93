//! The HTTP of a broker or a monitor, asked by the client commands.

use crate::escape::escape;
use crate::output::UsageError;
use crate::server_address::{Door, Server, ServerAddress};
use crate::spoken::{OWN, SILENT, WITHOUT_TLS, spoken};
use anyhow::{Context, Error, Result, anyhow, bail};
use clap::Args;
use serde_json::Value;
use switchboard_driver::quantity::show_duration;
use switchboard_http_client::{Answer, Client, Method, Options, StatusCode, Step, Trust, Url, header};
use switchboard_wire::native::ForeignProtocol;

/// The longest answer, in bytes: 10,000 processes take some megabytes.
const ANSWER: usize = 64 << 20;

/// The fault of a token that no server has.
pub(crate) const IMPOSSIBLE_TOKEN: &str =
    "a token has visible ASCII characters only, whether by --token, by SWITCHBOARD_TOKEN or in an address";

pub(crate) fn is_impossible(token: &str) -> bool {
    !token.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Options of a server over HTTP: its address and token.
#[derive(Args, Clone, Debug)]
pub(crate) struct HttpArgs {
    #[command(flatten)]
    server: Server,
    /// Access token; a server that other machines can reach asks for it.
    #[arg(long, env = switchboard_web::ENVIRONMENT, hide_env_values = true)]
    token: Option<String>,
}

impl HttpArgs {
    /// A server that is asked by this token.
    pub(crate) fn of(address: ServerAddress, token: Option<String>) -> HttpArgs {
        HttpArgs { server: Server { address }, token }
    }

    /// The same for another server.
    pub(crate) fn at(&self, address: &ServerAddress) -> HttpArgs {
        HttpArgs { server: Server { address: address.clone() }, token: self.token.clone() }
    }
}

/// A server that is asked over HTTP.
#[derive(Clone, Debug)]
pub(crate) struct HttpServer {
    client: Client,
    door: Door,
    address: ServerAddress,
    /// Its address, without a path.
    base: String,
    token: Option<String>,
}

impl HttpServer {
    pub(crate) fn new(args: &HttpArgs, door: Door) -> Result<HttpServer> {
        let address = &args.server.address;
        let scheme = if address.is_https() { "https" } else { "http" };
        let trust = if address.is_https() { Trust::System } else { Trust::Nobody };
        // The token of an address belongs to its server.
        let given = address.token().map(str::to_owned).or_else(|| args.token.clone());
        let token = given.filter(|token| !token.is_empty());
        if token.as_deref().is_some_and(is_impossible) {
            return Err(UsageError::of(anyhow!("{IMPOSSIBLE_TOKEN}")));
        }
        let client = Client::new(&Options { answer_limit: ANSWER, trust, ..Options::default() })?;
        let base = format!("{scheme}://{}", address.authority(door));
        Ok(HttpServer { client, door, address: address.clone(), base, token })
    }

    /// The server's address, for people.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    pub(crate) async fn get(&self, path: &str) -> Result<String> {
        self.ask(Method::GET, path).await
    }

    pub(crate) async fn post(&self, path: &str) -> Result<String> {
        self.ask(Method::POST, path).await
    }

    /// The body of an answer that is no error.
    async fn ask(&self, method: Method, path: &str) -> Result<String> {
        let base = &self.base;
        let url: Url = format!("{base}{path}").parse().with_context(|| format!("--server {base}"))?;
        let answer = match self.send(method, &url).await {
            Ok(answer) => answer,
            Err(switchboard_http_client::Error::Timeout { step: Step::Headers, limit }) => {
                bail!("cannot ask {base}: it {SILENT} within {}", show_duration(limit))
            }
            Err(error) => {
                // The client hides the host, which may be a secret elsewhere.
                let error = error.to_string().replace("its host", self.address.host());
                let is_https = self.address.is_https();
                match if is_https || not_http(&error) { self.spoken().await } else { None } {
                    Some(ForeignProtocol::Http) if is_https => bail!("{base} {WITHOUT_TLS}"),
                    Some(ForeignProtocol::Http) | None => {}
                    Some(protocol) => bail!("{base} speaks {protocol}, not HTTP: {}", self.right_door()),
                }
                if not_http(&error) {
                    bail!("{base} does not speak HTTP: {}", self.right_door());
                }
                let advice = if error.contains("refused") { self.start() } else { "" };
                bail!("cannot ask {base}: {error}{advice}");
            }
        };
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        match answer.status {
            status if status.is_success() => match answer.cut {
                None => Ok(text),
                Some(cut) => bail!("cannot ask {base}: {cut}"),
            },
            StatusCode::UNAUTHORIZED if self.token.is_some() => {
                bail!("{base} refuses this token: it is not that of this server")
            }
            StatusCode::UNAUTHORIZED if text.contains(WITHOUT_TOKEN) => {
                bail!("{base} refuses: {}", escape(text.trim()))
            }
            StatusCode::UNAUTHORIZED => {
                bail!("{base} needs its token: --token TOKEN, or {} in the environment", switchboard_web::ENVIRONMENT)
            }
            StatusCode::NOT_FOUND if self.is_wrong_door(path, &text) => Err(self.wrong_door().await),
            // The broker takes each request of ours by its method.
            StatusCode::METHOD_NOT_ALLOWED => Err(self.wrong_door().await),
            // That port names the broker's HTTP, which is no monitor either.
            StatusCode::BAD_REQUEST if self.door == Door::MonitorHttp && text.contains(OWN) => {
                bail!("{base} speaks Switchboard's native protocol and STOMP, not HTTP: {}", self.right_door())
            }
            status if status.is_redirection() => {
                let location = answer.headers.get(header::LOCATION);
                let location = location.map(|location| String::from_utf8_lossy(location.as_bytes()).into_owned());
                let to = location.map_or_else(String::new, |location| format!(": it moved to {}", escape(&location)));
                bail!("{base} answers {}{to}", status.as_u16())
            }
            // The server's own sentence says what was wrong.
            StatusCode::NOT_FOUND
            | StatusCode::CONFLICT
            | StatusCode::BAD_REQUEST
            | StatusCode::SERVICE_UNAVAILABLE
                if !text.trim().is_empty() =>
            {
                bail!("{}", escape(text.trim()))
            }
            status => bail!("{base} answers {status}: {}", escape(text.trim())),
        }
    }

    fn start(&self) -> &'static str {
        match self.door {
            Door::MonitorHttp => ": nobody listens there, so start the monitor with `switchboard monitor`",
            _ => ": nobody listens there, so start the broker with `switchboard`",
        }
    }

    /// Whether a page that every such server has is missing.
    fn is_wrong_door(&self, path: &str, text: &str) -> bool {
        let path = path.split('?').next().unwrap_or_default();
        match self.door {
            Door::MonitorHttp => path == "/api/processes",
            _ => {
                let is_brokers = ["there is no queue ", " is a topic", "there is no connection "];
                matches!(path, "/status" | "/queues") || !is_brokers.iter().any(|part| text.contains(part))
            }
        }
    }

    /// The answer is not that of the server that was meant: names the service, where it is one of ours.
    pub(crate) async fn wrong_door(&self) -> Error {
        let wanted = match self.door {
            Door::MonitorHttp => "no monitor",
            _ => "not the broker's HTTP",
        };
        let found = self.service().await.map_or_else(String::new, |service| format!("{service}, "));
        anyhow!("{} is {found}{wanted}: {}", self.base, self.right_door())
    }

    fn right_door(&self) -> String {
        let name = match self.door {
            Door::MonitorHttp => "the monitor's page",
            _ => "the broker's HTTP",
        };
        format!("{name} is on port {} by default", self.door.default_port())
    }

    /// The service that answers there, by what only it has.
    pub(crate) async fn service(&self) -> Option<&'static str> {
        let status: Option<Value> = self.peek("/status").await.and_then(|text| serde_json::from_str(&text).ok());
        if let Some(status) = status {
            let has = |keys: [&str; 2]| keys.iter().all(|key| status.get(key).is_some());
            return if has(["totals", "channels"]) {
                Some("the broker's HTTP")
            } else if has(["tables", "read_only"]) {
                Some("the service of rows")
            } else {
                None
            };
        }
        for (path, part, service) in [
            ("/api/self", "{", "the monitor"),
            ("/news.opml", "<opml", "the page of headlines"),
            ("/", "Switchboard's rendering service", "the rendering service"),
        ] {
            if self.peek(path).await.is_some_and(|text| text.contains(part)) {
                return Some(service);
            }
        }
        None
    }

    /// The body of an answer, if it is there.
    async fn peek(&self, path: &str) -> Option<String> {
        let url: Url = format!("{}{path}", self.base).parse().ok()?;
        let answer = self.send(Method::GET, &url).await.ok().filter(|answer| answer.status.is_success())?;
        Some(String::from_utf8_lossy(&answer.body).into_owned())
    }

    /// The part that a service lacks, by its answer to `/readyz`. It is alive all the same.
    pub(crate) async fn lacking(&self) -> Option<String> {
        let url: Url = format!("{}/readyz", self.base).parse().ok()?;
        let answer = self.send(Method::GET, &url).await.ok()?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let lacking = text.strip_prefix("not ready\n")?.lines().next();
        Some(escape(lacking.unwrap_or("it does not say why")))
    }

    async fn send(&self, method: Method, url: &Url) -> Result<Answer, switchboard_http_client::Error> {
        let bearer = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let mut headers = vec![(header::ACCEPT, "application/json")];
        headers.extend(bearer.as_deref().map(|bearer| (header::AUTHORIZATION, bearer)));
        self.client.send(method, url, &headers, "").await
    }

    /// The protocol that is spoken there, without TLS.
    async fn spoken(&self) -> Option<ForeignProtocol> {
        let (address, door) = (self.address.clone(), self.door);
        let asked = tokio::task::spawn_blocking(move || spoken(&address, door));
        asked.await.ok()?
    }
}

/// Words of a server that asks for a token and has none.
const WITHOUT_TOKEN: &str = "this server has none";

/// Whether an attempt failed because the answer was no HTTP, or came before the request.
pub(crate) fn not_http(problem: &str) -> bool {
    ["invalid HTTP", "unexpected message"].iter().any(|part| problem.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::time::Duration;

    #[test]
    fn a_server_that_accepts_a_connection_and_says_nothing_is_named() {
        // The kernel accepts for it.
        let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = silent.local_addr().expect("an address").to_string();
        let args = HttpArgs::of(address.parse().expect("an address"), None);
        let mut server = HttpServer::new(&args, Door::BrokerHttp).expect("a client");
        let options = Options { timeout: Duration::from_secs(1), trust: Trust::Nobody, ..Options::default() };
        server.client = Client::new(&options).expect("a client");
        let error = crate::block_on(server.get("/status")).expect_err("silence").to_string();
        assert_eq!(error, format!("cannot ask http://{address}: it {SILENT} within 1s"));
    }

    /// The error of a request to a server that answers so.
    fn refused_by(answer: &'static str) -> String {
        use std::io::{Read, Write};
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.read(&mut [0; 4096]).and_then(|_| stream.write_all(answer.as_bytes()));
            }
        });
        let server =
            HttpServer::new(&HttpArgs::of(address.parse().expect("one"), None), Door::BrokerHttp).expect("a client");
        crate::block_on(server.get("/status")).expect_err("no status").to_string()
    }

    #[test]
    fn a_server_that_asks_for_a_token_and_has_none_is_quoted() {
        let body = "this server has none; set SWITCHBOARD_TOKEN where it runs";
        let said = refused_by(concat!(
            "HTTP/1.1 401 Unauthorized\r\nContent-Length: 57\r\n\r\n",
            "this server has none; set SWITCHBOARD_TOKEN where it runs"
        ));
        assert!(said.ends_with(body) && !said.contains("--token"), "{said}");
    }

    #[test]
    fn a_server_that_does_not_speak_http_is_named_as_such() {
        assert!(refused_by("220 smtp ESMTP\r\n").contains("does not speak HTTP"));
        assert!(refused_by("CONNECTED\nversion:1.2\n\n\0").contains("speaks STOMP, not HTTP"));
    }
}
