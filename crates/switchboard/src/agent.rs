//! `switchboard agent`.

use crate::block_on;
use crate::escape::{self, escape};
use crate::http::{HttpArgs, HttpServer, IMPOSSIBLE_TOKEN, is_impossible, not_http};
use crate::output::{UsageError, note, plain};
use crate::server_address::{AddressError, Door, ServerAddress, or_default};
use crate::spoken::{SILENT, WITHOUT_TLS, instead_of_zmtp, is_silent, spoken};
use anyhow::{Result, anyhow};
use clap::Args;
use serde_json::json;
use std::ffi::OsString;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::mpsc;
use std::time::Duration;
use switchboard_driver::quantity::{parse_count, plural};
use switchboard_driver::start_thread;
use switchboard_monitor::agent::{self, Failed};
use switchboard_monitor::report::{Error, Options, Outcome};
use switchboard_wire::native::ForeignProtocol;

pub(crate) const EXAMPLES: &str = "\
Examples:
  switchboard agent python3 worker.py --verbose
  switchboard agent --service orders --program-version 1.4.2 ./orders
  switchboard agent --pid 1234";

/// Longest time for the question who is there.
const QUESTION: Duration = Duration::from_secs(5);
/// Beginning of the monitor's words about an answer that no collector gives.
const NO_COLLECTOR: &str = "this is no collector";
const DEFAULT: &str = "127.0.0.1";

#[derive(Args, Debug)]
pub(crate) struct Agent {
    /// The command and its arguments; options of the agent stand before it.
    #[arg(trailing_var_arg = true, required_unless_present = "pid", value_name = "COMMAND")]
    command: Vec<OsString>,
    /// Report a running process, and its children.
    #[arg(long, allow_hyphen_values = true, value_name = "N", value_parser = pid, conflicts_with = "command")]
    pid: Option<u32>,
    /// Address of the collector: a host, HOST:PORT, tcp:// or ipc:// for ZeroMQ (port 5555 unless given), http:// for the
    /// monitor's page (port 8088 unless given).
    #[arg(
        long,
        short = 's',
        value_name = "URL",
        env = "SWITCHBOARD_URL",
        default_value = DEFAULT,
        hide_env_values = true
    )]
    server: Collector,
    /// Access token; a collector that other machines can reach asks for it.
    #[arg(long, env = switchboard_web::ENVIRONMENT, hide_env_values = true)]
    token: Option<String>,
    /// Service name, up to 128 bytes [default: the script's or the command's name].
    #[arg(long)]
    service: Option<String>,
    /// Instance name, up to 128 bytes [default: the service and the first number that is free on this machine].
    #[arg(long)]
    instance: Option<String>,
    /// Color of its line on the page, as CSS has it: #0070c0, teal [default: one for each instance name].
    #[arg(long, value_parser = crate::color::color)]
    color: Option<String>,
    /// Version of the watched program.
    #[arg(long, value_name = "VERSION")]
    program_version: Option<String>,
    /// Number of reports that are kept while the collector is away, one a second; from 1 to 1000000.
    #[arg(long, allow_hyphen_values = true, value_name = "N", value_parser = backlog, default_value_t = Options::default().backlog)]
    backlog: usize,
    /// Time to deliver the last reports at the end; if it passes, the agent takes as long again to find out why.
    #[arg(long, allow_hyphen_values = true, value_name = "DURATION", value_parser = crate::cli::duration, default_value = "1")]
    linger: Duration,
    /// Print {"code", "collector", "delivered", "lost", "problem"} to the standard error at the end: the standard output is the
    /// command's.
    #[arg(long, short = 'j')]
    json: bool,
}

/// Reports that are kept at most: 11 days of them, some 300 MB.
const BACKLOG: u32 = 1_000_000;

fn backlog(text: &str) -> Result<usize, String> {
    from_1_to(BACKLOG, text).map(|number| number as usize)
}

/// The system's numbers of processes are positive, and signed.
fn pid(text: &str) -> Result<u32, String> {
    from_1_to(i32::MAX.cast_unsigned(), text)
}

/// A count from 1 to `most`; another one is refused with these bounds.
fn from_1_to(most: u32, text: &str) -> Result<u32, String> {
    let bounds = || format!("it must be from 1 to {most}");
    let number = parse_count(text).map_err(|reason| format!("{reason}: {}", bounds()))?;
    u32::try_from(number).ok().filter(|number| (1..=most).contains(number)).ok_or_else(bounds)
}

/// A collector's address, as reports take it.
#[derive(Clone, Debug)]
struct Collector {
    endpoint: String,
    /// Of an address as the banner shows it on a terminal.
    token: Option<String>,
}

impl FromStr for Collector {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Collector, AddressError> {
        if text.starts_with("ipc://") {
            return Ok(Collector { endpoint: text.to_owned(), token: None });
        }
        let address: ServerAddress = or_default(text, DEFAULT).parse().map_err(|error| match error {
            AddressError::Scheme(scheme) => AddressError::CollectorScheme(scheme),
            error => error,
        })?;
        let endpoint = match (address.is_explicitly(Door::MonitorHttp), address.is_https()) {
            (true, true) => format!("https://{}", address.authority(Door::MonitorHttp)),
            (true, false) => format!("http://{}", address.authority(Door::MonitorHttp)),
            _ => format!("tcp://{}", address.authority(Door::Collector)),
        };
        Ok(Collector { endpoint, token: address.token().map(str::to_owned) })
    }
}

/// Its exit code is the command's.
pub(crate) fn run(args: Agent) -> Result<ExitCode> {
    let token = args.server.token.or(args.token).filter(|token| !token.is_empty());
    if token.as_deref().is_some_and(is_impossible) {
        return Err(UsageError::of(anyhow!("{IMPOSSIBLE_TOKEN}")));
    }
    let options = Options {
        collector: args.server.endpoint,
        token,
        service: args.service,
        instance: args.instance,
        color: args.color,
        version: args.program_version,
        backlog: args.backlog,
        linger: args.linger,
    };
    let (code, reports) = match args.pid {
        // Without the causes: the sentence has them.
        Some(pid) => (0, Ok(agent::watch(pid, &options).map_err(failure)?)),
        None => match agent::run(&args.command, &options) {
            Ok(ended) => (ended.code, ended.reports),
            Err(Failed::NotRun(error)) => {
                note(format_args!("switchboard agent: {error}"));
                return Ok(error.code().into());
            }
            Err(Failed::Report(error)) => return Err(failure(error)),
            Err(error) => return Err(anyhow!("{error}")),
        },
    };
    let reports = match reports {
        Ok(reports) => reports,
        Err(error) => {
            note(format_args!("switchboard agent: the command was not watched: {error}"));
            return Ok(code.into());
        }
    };
    let reports = reports.map(|reports| if reports.lost > 0 { named(reports, &options) } else { reports });
    if args.json {
        let summary = summary(code, &options.collector, reports.as_ref()).to_string();
        note(format_args!("{}", escape::json(&summary)));
        return Ok(code.into());
    }
    // The standard error is the command's: a word is said there only when something is missing.
    match reports {
        Some(Outcome { lost: 0, .. }) => {}
        Some(Outcome { lost, problem, .. }) => {
            note(format_args!("switchboard agent: {}", undelivered(lost, &options.collector, problem.as_deref())));
        }
        None => note(format_args!("switchboard agent: it is not known whether the reports have arrived")),
    }
    Ok(code.into())
}

/// Without the causes: the sentence has them.
fn failure(error: Error) -> anyhow::Error {
    let is_usage = error.is_usage();
    let error = anyhow!("{error}");
    if is_usage { UsageError::of(error) } else { error }
}

/// Counts that are not known are null.
fn summary(code: u8, collector: &str, reports: Option<&Outcome>) -> serde_json::Value {
    json!({
        "code": code,
        "collector": collector,
        "delivered": reports.map(|reports| reports.delivered),
        "lost": reports.map(|reports| reports.lost),
        "problem": reports.and_then(|reports| reports.problem.as_deref()),
    })
}

/// The same, with the service or the protocol at an address where a collector was expected. Takes `linger` at most, because a
/// server may answer byte by byte for ever.
fn named(reports: Outcome, options: &Options) -> Outcome {
    let (asked, own, (sender, receiver)) = (reports.clone(), options.clone(), mpsc::channel());
    // It ends with this program.
    // Without a thread there is no answer, and the reports' own problem stays.
    let _ = start_thread("question", move || sender.send(asked_who(asked, &own)));
    receiver.recv_timeout(options.linger.min(QUESTION)).unwrap_or(reports)
}

fn asked_who(reports: Outcome, options: &Options) -> Outcome {
    let address = options.collector.parse::<ServerAddress>().ok();
    let Some(problem) = reports.problem.as_deref() else {
        // Nothing has failed yet: what waits for an answer has a limit of its own, which is longer.
        let door = |address: &ServerAddress| {
            if address.is_explicitly(Door::MonitorHttp) { Door::MonitorHttp } else { Door::Collector }
        };
        let within = options.linger.min(QUESTION) / 4;
        let silent = address.filter(|address| !within.is_zero() && is_silent(address, door(address), within));
        return Outcome { problem: silent.map(|_| format!("the server there {SILENT}")), ..reports };
    };
    if let Some(found) = address.as_ref().and_then(|address| found(address, problem, options)) {
        return Outcome { problem: Some(found), ..reports };
    }
    let address = address.filter(|address| address.is_explicitly(Door::MonitorHttp));
    let address = address.filter(|address| address.is_https() || not_http(problem));
    let is_https = address.as_ref().is_some_and(ServerAddress::is_https);
    let problem = match address.and_then(|address| spoken(&address, Door::MonitorHttp)) {
        Some(ForeignProtocol::Http) if is_https => format!("the server there {WITHOUT_TLS}"),
        Some(ForeignProtocol::Http) | None => return reports,
        Some(protocol) => format!("the server there speaks {protocol}, not HTTP"),
    };
    Outcome { problem: Some(problem), ..reports }
}

/// The server that took no report, in words, if it is known and no collector.
fn found(address: &ServerAddress, problem: &str, options: &Options) -> Option<String> {
    let remedy = "the collector is on port 5555 by default, the monitor's page on port 8088";
    if address.is_explicitly(Door::Collector) {
        let protocol = instead_of_zmtp(address)?;
        return Some(format!("the server there speaks {protocol}, not ZeroMQ: {remedy}"));
    }
    if !problem.starts_with(NO_COLLECTOR) {
        return None;
    }
    let args = HttpArgs::of(address.clone(), options.token.clone());
    let service = block_on(async { anyhow::Ok(HttpServer::new(&args, Door::MonitorHttp)?.service().await) }).ok()??;
    Some(format!("this is {service}, no collector: {remedy}"))
}

fn undelivered(lost: u64, collector: &str, problem: Option<&str>) -> String {
    let reports = format!("{} {}", plural(lost, "report"), if lost == 1 { "was" } else { "were" });
    let problem = problem.map_or_else(String::new, |problem| format!(": {}", escape(&plain(problem))));
    format!("{reports} not delivered to {collector}{problem}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        agent: Agent,
    }

    fn command(line: &str) -> Result<Vec<String>, String> {
        let cli = Cli::try_parse_from(line.split(' ')).map_err(|error| error.to_string())?;
        Ok(cli.agent.command.iter().map(|part| part.to_string_lossy().into_owned()).collect())
    }

    #[test]
    fn numbers_beyond_their_bounds_are_refused_with_the_bounds() {
        let backlogs =
            [("-1", false), ("0", false), ("1", true), ("1000000", true), ("1000001", false), ("1e3", false)];
        for (text, is_right) in backlogs.into_iter().chain([("99999999999999999999", false)]) {
            let answer = command(&format!("agent --backlog {text} x"));
            assert!(answer.as_ref().err().is_none_or(|error| error.contains("from 1 to 1000000")), "{answer:?}");
            assert_eq!(answer.is_ok(), is_right, "{text}");
        }
        for (text, is_right) in [("-1", false), ("0", false), ("1", true), ("2147483647", true), ("2147483648", false)]
        {
            let answer = command(&format!("agent --pid {text}"));
            assert!(answer.as_ref().err().is_none_or(|error| error.contains("from 1 to 2147483647")), "{answer:?}");
            assert_eq!(answer.is_ok(), is_right, "{text}");
        }
        assert!(command("agent --linger -1 x").is_err_and(|error| error.contains("it must not be negative")));
    }

    #[test]
    fn an_unknown_scheme_is_refused_with_those_of_a_collector() {
        let error = command("agent --server ftp://a x").expect_err("unknown");
        assert!(error.contains("write tcp://, ipc://, http:// or https://"), "{error}");
        assert!(command("agent --server ipc:///run/x x").is_ok());
    }

    #[test]
    fn a_color_that_no_page_can_show_is_refused() {
        assert!(command("agent --color teal x").is_ok());
        assert!(command("agent --color notacolor x").is_err_and(|error| error.contains("#0070c0")));
    }

    #[test]
    fn a_command_needs_no_dashes_before_it_and_keeps_its_own_options() {
        for (line, expected) in [
            ("agent python3 x.py -v --pid 5", vec!["python3", "x.py", "-v", "--pid", "5"]),
            ("agent --service s -- ./a --service b", vec!["./a", "--service", "b"]),
            ("agent --service s env -- x", vec!["env", "--", "x"]),
            ("agent -- a -- b", vec!["a", "--", "b"]),
        ] {
            assert_eq!(command(line), Ok(expected.into_iter().map(str::to_owned).collect()), "{line}");
        }
        assert!(command("agent --sevice s x").is_err_and(|error| error.contains("--service")));
        assert!(command("agent --pid 5 x").is_err());
        assert!(command("agent").is_err());
    }

    #[test]
    fn what_was_not_delivered_is_a_sentence() {
        let refused = Some("Connection refused (os error 111)");
        assert_eq!(undelivered(1, "tcp://a:1", refused), "1 report was not delivered to tcp://a:1: connection refused");
        assert_eq!(undelivered(2, "http://a:1", Some("EOF")), "2 reports were not delivered to http://a:1: EOF");
        assert_eq!(undelivered(2, "http://a:1", None), "2 reports were not delivered to http://a:1");
        let hostile = Some("it answers 500: \x1b[2J\u{202e}a\nb");
        let text = undelivered(2, "http://a:1", hostile);
        assert!(text.ends_with(r": it answers 500: \u{1b}[2J\u{202e}a\nb"), "{text}");
    }
}
