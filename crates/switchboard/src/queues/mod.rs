//! `switchboard queues`: over the broker's HTTP.

mod act;
mod list;
mod peek;

use crate::escape;
use crate::http::{HttpArgs, HttpServer};
use crate::names::{Name, encode, percent};
use crate::server_address::Door;
use crate::watch::{self, Watch};
use anyhow::{Error, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use list::Queue;
use serde_json::Value;
use switchboard_driver::quantity::parse_count;

/// Similarity at which a name is suggested, from 0 to 1.
const ALIKE: f64 = 0.8;

pub(crate) const EXAMPLES: &str = "\
Examples:
  switchboard queues --watch --sort dead
  switchboard queues peek /queue/jobs -n 3        the next three, which stay
  switchboard queues peek /queue/dead/queue/jobs  why jobs have failed
  switchboard queues move /queue/dead/queue/jobs  try them again
  switchboard queues move /queue/jobs /queue/later -n 10
  switchboard queues pause /queue/jobs            hand nothing of it out
  switchboard queues resume /queue/jobs
  switchboard queues purge /queue/jobs --yes      throw away what waits";

const PEEK_EXAMPLES: &str = "\
Examples:
  switchboard queues peek /queue/jobs                  the next ten jobs
  switchboard queues peek /queue/dead/queue/jobs -n 1  why the oldest failed
  switchboard queues peek /queue/jobs --json";

const PURGE_EXAMPLES: &str = "\
Examples:
  switchboard queues purge /queue/jobs
  switchboard queues purge /queue/dead/queue/jobs --yes  without a question";

const MOVE_EXAMPLES: &str = "\
Examples:
  switchboard queues move /queue/dead/queue/jobs  back to their queues
  switchboard queues move /queue/jobs /queue/later
  switchboard queues move /queue/jobs /queue/later -n 10 --yes";

const PAUSE_EXAMPLES: &str = "\
Examples:
  switchboard queues pause /queue/jobs
  switchboard queues pause /queue/jobs --yes  without a question";

const RESUME_EXAMPLES: &str = "\
Examples:
  switchboard queues resume /queue/jobs";

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Queues {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    http: HttpArgs,
    /// Print the broker's JSON.
    #[arg(long, short = 'j')]
    json: bool,
    #[command(flatten)]
    watch: Watch,
    /// List every queue, however many, instead of those with the most bytes that fit.
    #[arg(long, short = 'a')]
    all: bool,
    /// Order of the queues [default: those with the most bytes first].
    #[arg(long, value_name = "COLUMN")]
    sort: Option<Sort>,
}

/// A column of the listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    Name,
    Depth,
    Flight,
    Cons,
    Oldest,
    In,
    Out,
    Returned,
    Dead,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Look at messages that wait in a queue, from its head on. They stay there.
    #[command(after_help = PEEK_EXAMPLES)]
    Peek(Peek),
    /// Delete all waiting messages of a queue. Those that consumers have stay.
    #[command(after_help = PURGE_EXAMPLES)]
    Purge(Act),
    /// Move what waits in a queue to another one, or dead letters back to where they came from.
    #[command(after_help = MOVE_EXAMPLES)]
    Move(Move),
    /// Stop delivering from a queue. Publishing goes on.
    #[command(after_help = PAUSE_EXAMPLES)]
    Pause(Act),
    /// Let a paused queue go on.
    #[command(after_help = RESUME_EXAMPLES)]
    Resume(Resume),
}

/// A queue of a broker.
#[derive(Args, Debug)]
struct Target {
    /// The queue's name, as it is listed: %XX is the byte of these two hexadecimal digits.
    #[arg(value_parser = Name::parser())]
    queue: Name,
    #[command(flatten)]
    http: HttpArgs,
    /// Print the broker's JSON.
    #[arg(long, short = 'j')]
    json: bool,
}

fn parse_some(text: &str) -> Result<u64, String> {
    match parse_count(text)? {
        0 => Err("it must be at least 1".to_owned()),
        count => Ok(count),
    }
}

#[derive(Args, Debug)]
struct Peek {
    #[command(flatten)]
    target: Target,
    /// Highest number of messages.
    #[arg(long, short = 'n', allow_hyphen_values = true, value_name = "N", value_parser = parse_some, default_value = "10")]
    count: u64,
}

#[derive(Args, Debug)]
struct Act {
    #[command(flatten)]
    target: Target,
    /// Do not ask. Without a terminal to ask on, this is needed.
    #[arg(long, short = 'y')]
    yes: bool,
}

#[derive(Args, Debug)]
struct Resume {
    #[command(flatten)]
    target: Target,
}

#[derive(Args, Debug)]
struct Move {
    #[command(flatten)]
    act: Act,
    /// The other queue; without it, dead letters go back to the queues that they came from.
    #[arg(value_parser = Name::parser())]
    to: Option<Name>,
    /// Highest number of messages [default: all that wait].
    #[arg(long, short = 'n', allow_hyphen_values = true, value_name = "N", value_parser = parse_some)]
    count: Option<u64>,
}

/// Lists the queues, or does something to one.
pub(crate) async fn run(args: &Queues) -> Result<()> {
    match &args.action {
        None => show(args).await,
        Some(Action::Peek(peek)) => peek::run(peek).await,
        Some(Action::Purge(act)) => act::purge(act).await,
        Some(Action::Move(order)) => act::move_messages(order).await,
        Some(Action::Pause(act)) => act::pause(act).await,
        Some(Action::Resume(resume)) => act::resume(resume).await,
    }
}

async fn show(args: &Queues) -> Result<()> {
    let server = HttpServer::new(&args.http, Door::BrokerHttp)?;
    let all = args.all || args.sort.is_some();
    watch::show(&args.watch, args.json, async |is_screen| {
        let answer = list::ask(&server, all).await?;
        if args.json {
            return Ok(escape::json_line(answer));
        }
        list::render(&answer, args.sort, all, is_screen, args.watch.is_on() || !args.all)
    })
    .await
}

impl Target {
    /// The broker, once the name may be a queue's.
    fn server(&self) -> Result<HttpServer> {
        if let Some(reason) = no_queue(&self.queue.0) {
            bail!("{} {reason}", self.queue);
        }
        HttpServer::new(&self.http, Door::BrokerHttp)
    }

    /// The path of a request about the queue.
    fn path(&self, verb: &str) -> String {
        format!("/queues/{verb}?name={}", percent(&self.queue.0))
    }

    /// An error, with the name of a queue that is nearly so called if there is none of this name.
    async fn explain(&self, server: &HttpServer, error: Error) -> Error {
        if !error.to_string().starts_with("there is no queue ") {
            return error;
        }
        let wanted = self.queue.to_string();
        if has_wildcard(&self.queue.0) {
            return anyhow::anyhow!(
                "there is no queue {wanted}: it is a pattern, and this is for one queue at a time; `switchboard queues` \
                 lists them"
            );
        }
        let Ok(answer) = list::ask(server, false).await else { return error };
        let names = answer["queues"].as_array().into_iter().flatten().filter_map(queue_of);
        let names = names.map(|queue| encode(&queue.bytes()));
        // The common prefix makes no names alike.
        let own = |name: &str| name.strip_prefix("/queue/").unwrap_or(name).to_owned();
        let alike = names.map(|name| (strsim::jaro_winkler(&own(&wanted), &own(&name)), name));
        let alike = alike.filter(|(alike, _)| *alike >= ALIKE);
        match alike.max_by(|a, b| a.0.total_cmp(&b.0)) {
            Some((_, nearest)) => anyhow::anyhow!("there is no queue {wanted}; the nearest is {nearest}"),
            None => anyhow::anyhow!("there is no queue {wanted}; `switchboard queues` lists them"),
        }
    }
}

fn queue_of(row: &Value) -> Option<Queue> {
    serde_json::from_value(row.clone()).ok()
}

/// The reason why a name can be no queue's.
fn no_queue(name: &[u8]) -> Option<&'static str> {
    name.starts_with(b"queue/").then_some("is no queue: the names of queues begin with a slash, /queue")
}

/// Returns true for a name that a subscription takes for a pattern. Messages that are published to it wait in a queue of that name.
fn has_wildcard(name: &[u8]) -> bool {
    let last = name.rsplit(|byte| *byte == b'/').next();
    name.split(|byte| *byte == b'/').any(|level| level == b"*") || last == Some(b">")
}

#[cfg(test)]
mod tests {
    use super::{has_wildcard, no_queue};

    #[test]
    fn what_can_be_no_queue_is_not_asked_for() {
        assert!(no_queue(b"queue/a").is_some());
        for name in ["/queue/a", "/queue/*", "/queue/>", "/queue", "/topic/a"] {
            assert!(no_queue(name.as_bytes()).is_none(), "{name}");
        }
    }

    #[test]
    fn a_level_that_stands_for_others_makes_a_pattern() {
        for name in ["/queue/*", "/queue/*/b", "/queue/>", "*"] {
            assert!(has_wildcard(name.as_bytes()), "{name}");
        }
        for name in ["/queue/a", "/queue/a*", "/queue/>/b", "/queue"] {
            assert!(!has_wildcard(name.as_bytes()), "{name}");
        }
    }
}
