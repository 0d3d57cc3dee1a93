//! `switchboard bench`.

use crate::cli::Bench;
use crate::output::{self, refused};
use crate::server_address::Door;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;
use switchboard_load::{Native, Outcome, Plan, run as load};

/// Loads a broker that runs already, and prints what it did.
pub(crate) fn run(args: &Bench) -> Result<()> {
    let server = &args.server.address;
    let native = Native(address(server.host(), server.port(Door::Native))?);
    let plan = Plan {
        publishers: args.publishers.into(),
        subscribers: args.subscribers.into(),
        channels: 1,
        queue: args.queue,
        size: args.size,
        time: args.seconds,
        rate: args.rate,
    };
    let outcome = load(&native, &plan).context("the broker was lost")?;
    let text = if args.json { format!("{}\n", as_json(&outcome)) } else { as_text(&outcome) };
    output::write(text.as_bytes())?;
    let tally = &outcome.tally;
    // What a topic's subscriber misses is by the rules, and shown; these never are.
    if tally.doubled + tally.out_of_order + tally.foreign > 0 {
        bail!("messages came twice, in a wrong order, or from nowhere");
    }
    Ok(())
}

/// For one address of a name.
const CONNECT: Duration = Duration::from_secs(3);

/// The address of `host` that answers.
fn address(host: &str, port: u16) -> Result<SocketAddr> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match runtime.block_on(switchboard_driver::connect(host, port, CONNECT)) {
        Ok(stream) => Ok(stream.peer_addr()?),
        Err(error) => bail!("cannot connect to {host}:{port}: {error}{}", refused(&error)),
    }
}

fn as_text(outcome: &Outcome) -> String {
    let (tally, latency) = (&outcome.tally, &outcome.latency);
    let mut text = String::new();
    let _ = writeln!(text, "published     {} in {:.2} s", outcome.sent, outcome.publish_seconds);
    let _ = writeln!(text, "delivered     {} in {:.2} s", tally.delivered, outcome.seconds);
    let _ = writeln!(text, "per second    {:.0}", outcome.per_second());
    let _ = writeln!(text, "lost          {}", outcome.lost());
    let _ = writeln!(text, "doubled       {}", tally.doubled);
    let _ = writeln!(text, "out of order  {}", tally.out_of_order);
    if outcome.undrained {
        text.push_str("More was still on its way when the time was over.\n");
    }
    if outcome.disconnected > 0 {
        let _ = writeln!(text, "Connections that the broker has ended: {}.", outcome.disconnected);
    }
    if latency.count() > 0 {
        let of = |share| latency.quantile(share) as f64 / 1e3;
        let (p50, p99, p999, max) = (of(0.5), of(0.99), of(0.999), latency.max() as f64 / 1e3);
        let _ = writeln!(text, "latency       p50 {p50:.0} us, p99 {p99:.0} us, p99.9 {p999:.0} us, max {max:.0} us");
    }
    text
}

fn as_json(outcome: &Outcome) -> Value {
    let (tally, latency) = (&outcome.tally, &outcome.latency);
    json!({
        "published": outcome.sent, "publish_seconds": outcome.publish_seconds,
        "delivered": tally.delivered, "seconds": outcome.seconds, "per_second": outcome.per_second(),
        "lost": outcome.lost(), "doubled": tally.doubled, "out_of_order": tally.out_of_order, "foreign": tally.foreign,
        "undrained": outcome.undrained, "disconnected": outcome.disconnected,
        "latency_ns": (latency.count() > 0).then(|| json!({
            "p50": latency.quantile(0.5), "p99": latency.quantile(0.99), "p99_9": latency.quantile(0.999),
            "max": latency.max(),
        })),
    })
}
