//! Queues of an earlier bench that was killed: it could not empty them.

use crate::block_on;
use crate::http::{HttpArgs, HttpServer};
use crate::names::percent;
use crate::output::note;
use crate::server_address::{Door, ServerAddress};
use anyhow::Result;
use serde_json::Value;
use std::time::Duration;
use switchboard_driver::quantity::plural;
use tokio::time::timeout;

/// Beginning of the names of a bench's channels. Without a slash, which some brokers do not take.
pub(super) const PREFIX: &str = "switchboard-bench-";
/// Prefixes before it, over the native protocol and over STOMP.
const BEFORE: [&str; 2] = ["/queue/", "/queue/bench."];
/// A broker whose HTTP is elsewhere is not waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// Empties what earlier benches have left in queues of theirs without a consumer, and says so. They stay where the broker's HTTP
/// does not answer at its default port, or asks for a token that is not in the environment.
pub(super) fn sweep(server: &ServerAddress) {
    let mut messages = 0;
    // A broker that cannot be asked is none of the bench's business.
    let _ = block_on(async { timeout(PATIENCE, purge(server, &mut messages)).await? });
    if messages > 0 {
        note(format_args!("Removed {} that an earlier bench had left.", plural(messages, "message")));
    }
}

/// Purges until nothing is left: there may be publishers that have left, and wait for room for their last messages.
async fn purge(server: &ServerAddress, messages: &mut u64) -> Result<()> {
    let host = server.host();
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let token = std::env::var(switchboard_web::ENVIRONMENT).ok();
    let http = HttpServer::new(&HttpArgs::of(format!("http://{host}").parse()?, token), Door::BrokerHttp)?;
    loop {
        let answer: Value = serde_json::from_str(&http.get("/queues?limit=1000").await?)?;
        let left: Vec<&str> = answer["queues"].as_array().into_iter().flatten().filter_map(left).collect();
        if left.is_empty() {
            return Ok(());
        }
        for name in left {
            let purged = http.post(&format!("/queues/purge?name={}", percent(name))).await?;
            *messages += serde_json::from_str::<Value>(&purged)?["purged"].as_u64().unwrap_or_default();
        }
    }
}

/// The name of a bench's queue that nobody consumes from.
fn left(row: &Value) -> Option<&str> {
    let name = row["name"].as_str().filter(|_| row["consumers"] == 0)?;
    BEFORE.iter().any(|before| name.strip_prefix(before).is_some_and(|rest| rest.starts_with(PREFIX))).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_queue_of_a_bench_without_a_consumer_is_left_and_no_other() {
        for (name, consumers, is_left) in [
            ("/queue/switchboard-bench-00a00100", 0, true),
            ("/queue/bench.switchboard-bench-00a00100", 0, true),
            ("/queue/switchboard-bench-00a00100", 1, false),
            ("/queue/switchboard-bench", 0, false),
            ("/queue/00a00100", 0, false),
            ("/queue/bench.00a00100", 0, false),
            ("/queue/x/switchboard-bench-1", 0, false),
        ] {
            assert_eq!(left(&json!({ "name": name, "consumers": consumers })).is_some(), is_left, "{name}");
        }
    }
}
