//! `switchboard kick` and `health`: over HTTP.

use crate::cli::{Health, Kick};
use crate::http::HttpServer;
use crate::output;
use crate::server_address::Door;
use anyhow::{Context, Result};
use serde_json::{Value, json};

pub(crate) const KICK_EXAMPLES: &str = "\
Examples:
  switchboard status  the numbers of connections
  switchboard kick 17
  switchboard kick 17 -s broker.example:25080";

pub(crate) const HEALTH_EXAMPLES: &str = "\
Examples:
  switchboard health                        the broker here
  switchboard health http://127.0.0.1:8088  the monitor";

/// A kick is no ban, as with NATS and RabbitMQ: an address may be that of many clients, and a name is the client's own choice.
const COMES_BACK: &str =
    "Most clients connect again at once: to keep one away, stop its program or block its address in the firewall.";

/// Closes a connection.
pub(crate) async fn kick(args: &Kick) -> Result<()> {
    let server = HttpServer::new(&args.http, Door::BrokerHttp)?;
    let answer = server.post(&format!("/kick?connection={}", args.connection)).await?;
    let kicked = field(&server, &answer, "kicked")?;
    tell(args.json, &answer, &format!("Closed connection {kicked}. {COMES_BACK}"))
}

/// Says whether a server is alive.
pub(crate) async fn health(args: &Health) -> Result<()> {
    let http = args.url.as_ref().map_or_else(|| args.http.clone(), |url| args.http.at(url));
    let server = HttpServer::new(&http, Door::BrokerHttp)?;
    let answer = server.get("/healthz").await?;
    if answer.trim() != "ok" {
        return Err(server.wrong_door().await);
    }
    let lacking = server.lacking().await;
    let sentence = lacking.as_ref().map_or_else(|| "ok".to_owned(), |lacking| format!("ok, but not ready: {lacking}"));
    let mut shown = json!({ "health": "ok" });
    if let Some(lacking) = lacking {
        shown["not_ready"] = lacking.into();
    }
    tell(args.json, &shown.to_string(), &sentence)
}

pub(crate) fn field(server: &HttpServer, answer: &str, name: &str) -> Result<u64> {
    let value: Option<Value> = serde_json::from_str(answer).ok();
    value.and_then(|value| value[name].as_u64()).with_context(|| format!("{} is no broker", server.base()))
}

pub(crate) fn tell(json: bool, answer: &str, sentence: &str) -> Result<()> {
    output::write(format!("{}\n", if json { answer.trim_end() } else { sentence }).as_bytes())
}
