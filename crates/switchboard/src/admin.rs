//! `switchboard purge`, `kick` and `health`: over HTTP.

use crate::cli::{Health, Kick, Purge};
use crate::http::HttpServer;
use crate::names::percent;
use crate::output;
use crate::server_address::Door;
use crate::units::plural;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// Throws away what waits in a queue.
pub(crate) async fn purge(args: &Purge) -> Result<()> {
    let name = &args.queue;
    if let Some(reason) = no_queue(&name.0) {
        bail!("{name} {reason}");
    }
    let server = HttpServer::new(&args.http, Door::BrokerHttp)?;
    let answer = server.post(&format!("/purge?queue={}", percent(&name.0))).await?;
    let purged = field(&server, &answer, "purged")?;
    tell(args.json, &answer, &format!("Purged {} of {}.", plural(purged, "message"), name))
}

/// Why a name can be no queue's.
fn no_queue(name: &[u8]) -> Option<&'static str> {
    if name.starts_with(b"queue/") {
        return Some("is no queue: the names of queues begin with a slash, /queue");
    }
    let last = name.rsplit(|byte| *byte == b'/').next();
    let is_pattern = name.split(|byte| *byte == b'/').any(|level| level == b"*") || last == Some(b">");
    is_pattern.then_some("is a pattern, and one queue is purged at a time: `switchboard status` lists them")
}

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
    tell(args.json, &json!({ "health": answer.trim() }).to_string(), answer.trim())
}

fn field(server: &HttpServer, answer: &str, name: &str) -> Result<u64> {
    let value: Option<Value> = serde_json::from_str(answer).ok();
    value.and_then(|value| value[name].as_u64()).with_context(|| format!("{} is no broker", server.base()))
}

fn tell(json: bool, answer: &str, sentence: &str) -> Result<()> {
    output::write(format!("{}\n", if json { answer.trim_end() } else { sentence }).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::no_queue;

    #[test]
    fn what_can_be_no_queue_is_not_asked_for() {
        for name in ["queue/a", "/queue/*", "/queue/*/b", "/queue/>", "*"] {
            assert!(no_queue(name.as_bytes()).is_some(), "{name}");
        }
        for name in ["/queue/a", "/queue/a*", "/queue/>/b", "/queue", "/topic/a"] {
            assert!(no_queue(name.as_bytes()).is_none(), "{name}");
        }
    }
}
