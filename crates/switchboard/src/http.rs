//! The HTTP of a broker or a monitor, asked by the client commands.

use crate::escape::escape;
use crate::server_address::{Door, Server, ServerAddress};
use anyhow::{Context, Result, bail};
use clap::Args;
use switchboard_http_client::{Client, Method, Options, StatusCode, Trust, Url, header};

/// The longest answer, in bytes: 10,000 processes take some megabytes.
const ANSWER: usize = 64 << 20;

/// Where a server is, and the token that it may ask for.
#[derive(Args, Clone, Debug)]
pub(crate) struct HttpArgs {
    #[command(flatten)]
    server: Server,
    /// The access token, which a server asks for that other machines can reach.
    #[arg(long, env = switchboard_web::ENVIRONMENT, hide_env_values = true)]
    token: Option<String>,
}

impl HttpArgs {
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
    /// Its address, without a path.
    base: String,
    token: Option<String>,
}

impl HttpServer {
    pub(crate) fn new(args: &HttpArgs, door: Door) -> Result<HttpServer> {
        let address = &args.server.address;
        let scheme = if address.is_https() { "https" } else { "http" };
        let trust = if address.is_https() { Trust::System } else { Trust::Nobody };
        let token = args.token.clone().filter(|token| !token.is_empty());
        if token.as_ref().is_some_and(|token| !token.bytes().all(|byte| byte.is_ascii_graphic())) {
            bail!("a token has visible ASCII characters only");
        }
        let client = Client::new(&Options { answer_limit: ANSWER, trust, ..Options::default() })?;
        Ok(HttpServer { client, door, base: format!("{scheme}://{}", address.authority(door)), token })
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
        let bearer = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let mut headers = vec![(header::ACCEPT, "application/json")];
        headers.extend(bearer.as_deref().map(|bearer| (header::AUTHORIZATION, bearer)));
        let answer = match self.client.send(method, &url, &headers, "").await {
            Ok(answer) => answer,
            Err(error) => {
                let error = error.to_string();
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
            StatusCode::UNAUTHORIZED => {
                bail!("{base} needs its token: --token TOKEN, or {} in the environment", switchboard_web::ENVIRONMENT)
            }
            StatusCode::NOT_FOUND if self.is_wrong_door(path, &text) => bail!("{base} is {}", self.wrong_door()),
            // The server's own sentence says what was wrong.
            StatusCode::NOT_FOUND | StatusCode::CONFLICT | StatusCode::BAD_REQUEST if !text.trim().is_empty() => {
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
            _ => path == "/status" || !text.contains("queue") && !text.contains("connection"),
        }
    }

    fn wrong_door(&self) -> String {
        match self.door {
            Door::MonitorHttp => format!(
                "no monitor; if it is the broker's HTTP, the monitor's page is on port {} by default",
                Door::MonitorHttp.default_port()
            ),
            _ => format!(
                "not the broker's HTTP; if it is the monitor, the broker's HTTP is on port {} by default",
                Door::BrokerHttp.default_port()
            ),
        }
    }
}
