//! `switchboard bench`.

mod args;
mod leftover;

pub(crate) use args::{Bench, EXAMPLES};

use crate::block_on;
use crate::cli::Peer;
use crate::client::connect;
use crate::escape::escape;
use crate::output::{self, UsageError, note, plain, refused};
use crate::server_address::Door;
use crate::spoken::{SILENT, spoken};
use anyhow::{Result, anyhow, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use signal_hook::consts::{SIGCONT, SIGINT, SIGTERM};
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use switchboard_client::native::LIMIT;
use switchboard_client::options::Protocol;
use switchboard_client::{Error, Options};
use switchboard_driver::quantity::plural;
use switchboard_driver::quantity::show_duration;
use switchboard_driver::{build_runtime, start_thread};
use switchboard_load::{Native, Outcome, Plan, Stomp, run_until as load};
use switchboard_wire::native::ForeignProtocol;

/// A topic that nobody subscribes to.
const PROBE: &str = "/topic/switchboard/bench";

/// Loads a running broker, and prints what it did.
pub(crate) fn run(args: &Bench) -> Result<ExitCode> {
    let server = &args.server.address;
    let is_stomp = server.is_explicitly(Door::Stomp);
    let door = if is_stomp { Door::Stomp } else { Door::Native };
    may_open(usize::from(args.publishers) + usize::from(args.subscribers))?;
    let at = address(server.host(), server.port(door))?;
    let login = match server.login() {
        (Some(login), passcode) => Some((login, passcode.unwrap_or_default())),
        (None, _) => None,
    };
    let (native, stomp) = (Native(at), Stomp { login, prefetch: args.prefetch, ..Stomp::at(at) });
    if args.prefetch.is_some() && !(is_stomp && args.queue) {
        return Err(UsageError::of(anyhow!("--prefetch is for acks: of a queue, with stomp:// in --server")));
    }
    check_size(args, is_stomp)?;
    let plan = Plan {
        publishers: args.publishers.into(),
        subscribers: args.subscribers.into(),
        channels: 1,
        queue: args.queue,
        size: args.size,
        time: args.seconds,
        rate: args.rate,
        prefix: leftover::PREFIX,
    };
    if args.queue {
        leftover::sweep(server);
    }
    if !args.json {
        output::write(format!("{}\n", describe(args, at)).as_bytes())?;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let code = Arc::new(AtomicUsize::new(0));
    // A second one ends the process there and then.
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, stop.clone())?;
        signal_hook::flag::register_usize(signal, code.clone(), 128 + signal as usize)?;
        signal_hook::flag::register(signal, stop.clone())?;
    }
    let resumed = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGCONT, resumed.clone())?;
    let began = Instant::now();
    let progress = (!args.json && io::stderr().is_terminal()).then(|| Progress::start(args.seconds));
    let loaded = if is_stomp { load(&stomp, &plan, &stop) } else { load(&native, &plan, &stop) };
    drop(progress);
    let outcome = match loaded {
        Ok(outcome) => outcome,
        // A broker's answer to HTTP is HTTP, too, so only where nothing was measured.
        Err(error) => {
            let answers = || if is_stomp { stomp.open().is_ok() } else { native.open(b"/null").is_ok() };
            return Err(explain(error, at, || spoken(server, door).filter(|_| !answers()), is_stomp));
        }
    };
    if stop.load(Relaxed) {
        note(format_args!("Interrupted after {:.1} s: what was measured by then.", began.elapsed().as_secs_f64()));
    }
    if resumed.load(Relaxed) {
        note(format_args!("The bench was stopped for a while, as by Ctrl-Z: the figures include that time."));
    }
    let text = if args.json { format!("{}\n", as_json(args, &outcome)) } else { as_text(&outcome) };
    output::write(text.as_bytes())?;
    let tally = &outcome.tally;
    if outcome.sent == 0 {
        bail!("nothing was published: the time was over before the first message; give --seconds more, or --rate");
    }
    if tally.delivered == 0 {
        let sent = plural(outcome.sent, "published message");
        bail!(
            "nothing arrived of {sent} of {} bytes: the broker's log says why, for instance that its limit is lower \
             (setting message)",
            args.size
        );
    }
    // Drops for a topic's subscriber are by the rules, and shown; these never are.
    if tally.doubled + tally.out_of_order + tally.foreign > 0 {
        bail!("messages came twice, in a wrong order, or from nowhere");
    }
    Ok(ExitCode::from(u8::try_from(code.load(Relaxed)).unwrap_or(u8::MAX)))
}

/// Files of this process beside its connections, and some to spare.
const OTHER_FILES: usize = 16;

/// Makes sure that this process may have so many connections: an error in the middle would be taken for one of the broker.
fn may_open(connections: usize) -> Result<()> {
    let needed = (connections + OTHER_FILES) as u64;
    let limit = getrlimit(Resource::Nofile);
    let is_less = |limit: Option<u64>| limit.is_some_and(|most| most < needed);
    if !is_less(limit.current) {
        return Ok(());
    }
    if is_less(limit.maximum) || setrlimit(Resource::Nofile, Rlimit { current: Some(needed), ..limit }).is_err() {
        let most = limit.maximum.or(limit.current).unwrap_or_default();
        bail!(
            "{connections} connections take {needed} open files, and this process may have {most} (ulimit -n): give fewer \
             --publishers and --subscribers, or raise that limit"
        );
    }
    Ok(())
}

/// Sends one message of a size that only a broker takes that is configured for it. A topic without subscribers drops it.
fn check_size(args: &Bench, is_stomp: bool) -> Result<()> {
    if args.size <= LIMIT {
        return Ok(());
    }
    let peer = Peer { server: args.server.clone(), no_reconnect: true };
    let protocol = if is_stomp { Protocol::Stomp } else { Protocol::Native };
    block_on(async {
        let client = connect(&peer, Duration::ZERO, Options { protocol, ..Options::default() }).await?;
        client.publish(PROBE, vec![b'x'; args.size]).await?;
        client.close().await.map_err(|error| match error {
            Error::Closed | Error::InDoubt(_) | Error::Rejected { .. } | Error::Server { .. } => too_large(args.size),
            error => error.into(),
        })
    })
}

/// Returns the error of a message of this size that a broker does not take.
pub(crate) fn too_large(bytes: usize) -> anyhow::Error {
    anyhow!(
        "the broker closed the connection on a message of {bytes} bytes: its limit is {LIMIT} bytes, unless it is configured \
         otherwise (setting message)"
    )
}

/// Returns the error of a load in the words of the other commands.
fn explain(
    error: io::Error,
    at: SocketAddr,
    spoken: impl FnOnce() -> Option<ForeignProtocol>,
    is_stomp: bool,
) -> anyhow::Error {
    // The load generator reports a frame ERROR as it came.
    if let Some(frame) = error.to_string().strip_prefix("ERROR\n") {
        return anyhow!("the broker reports an error: {}", words(frame));
    }
    if error.kind() == io::ErrorKind::ConnectionRefused {
        return anyhow!("cannot connect to {at}: {}{}", plain(&error.to_string()), refused(&error));
    }
    match spoken() {
        // A frame ERROR over STOMP is an answer, and no reason.
        Some(protocol) if !(is_stomp && protocol == ForeignProtocol::Stomp) => {
            let own = if is_stomp { "STOMP" } else { "the broker's native protocol" };
            anyhow!("{at} speaks {protocol}, not {own}")
        }
        // A time limit of the socket.
        _ if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
            anyhow!("the broker at {at} {SILENT}")
        }
        _ => anyhow::Error::new(error).context("the broker was lost"),
    }
}

/// The message and the body of a frame ERROR, on one line.
fn words(frame: &str) -> String {
    let (headers, body) = frame.split_once("\n\n").unwrap_or((frame, ""));
    let message = headers.lines().find_map(|line| line.strip_prefix("message:")).unwrap_or_default();
    let said: Vec<_> = [message, body].into_iter().map(str::trim).filter(|text| !text.is_empty()).map(escape).collect();
    if said.is_empty() { "an error without a message".to_owned() } else { said.join(": ") }
}

fn describe(args: &Bench, at: SocketAddr) -> String {
    let pace = match args.rate {
        Some(rate) => format!("{rate} messages a second"),
        None => "as fast as the broker takes them".to_owned(),
    };
    format!(
        "{} to {} over one {} of {at}: messages of {} bytes for {}, {pace}",
        plural(args.publishers, "publisher"),
        plural(args.subscribers, "subscriber"),
        if args.queue { "queue" } else { "topic" },
        args.size,
        show_duration(args.seconds),
    )
}

/// Says on a terminal how long it still takes.
struct Progress(Arc<AtomicBool>, Option<JoinHandle<()>>);

impl Progress {
    fn start(time: Duration) -> Progress {
        let done = Arc::new(AtomicBool::new(false));
        let seen = done.clone();
        let thread = start_thread("progress", move || {
            let began = Instant::now();
            while !seen.load(Relaxed) {
                let elapsed = began.elapsed().as_secs_f64();
                let _ = write!(io::stderr(), "\r{elapsed:.0} of {:.0} s\x1b[K", time.as_secs_f64());
                std::thread::park_timeout(Duration::from_secs(1));
            }
            let _ = write!(io::stderr(), "\r\x1b[K");
        });
        Progress(done, thread.ok())
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
        if let Some(thread) = self.1.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

/// For one address of a name.
const CONNECT: Duration = Duration::from_secs(3);

/// The address of `host` that answers.
fn address(host: &str, port: u16) -> Result<SocketAddr> {
    let runtime = build_runtime(&mut tokio::runtime::Builder::new_current_thread())?;
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
    let _ = writeln!(text, "duplicated    {}", tally.doubled);
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

fn as_json(args: &Bench, outcome: &Outcome) -> Value {
    let (tally, latency) = (&outcome.tally, &outcome.latency);
    json!({
        "publishers": args.publishers, "subscribers": args.subscribers, "queue": args.queue,
        "size": args.size, "rate": args.rate,
        "published": outcome.sent, "publish_seconds": outcome.publish_seconds,
        "delivered": tally.delivered, "seconds": outcome.seconds, "per_second": outcome.per_second(),
        "lost": outcome.lost(), "duplicated": tally.doubled, "out_of_order": tally.out_of_order, "foreign": tally.foreign,
        "undrained": outcome.undrained, "disconnected": outcome.disconnected,
        "latency_ns": (latency.count() > 0).then(|| json!({
            "p50": latency.quantile(0.5), "p99": latency.quantile(0.99), "p99_9": latency.quantile(0.999),
            "max": latency.max(),
        })),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_that_does_not_answer_is_named_as_such() {
        let at = "127.0.0.1:25000".parse().expect("an address");
        for kind in [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut] {
            let error = explain(kind.into(), at, || None, false).to_string();
            assert_eq!(error, "the broker at 127.0.0.1:25000 accepts connections and does not answer");
        }
        let lost = explain(io::ErrorKind::ConnectionReset.into(), at, || None, false).to_string();
        assert_eq!(lost, "the broker was lost");
    }
}
