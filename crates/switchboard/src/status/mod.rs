//! `switchboard status`: over the broker's HTTP.

mod report;
mod view;

use crate::escape::escape;
use crate::http::{HttpArgs, HttpServer};
use crate::output::{self, note};
use crate::server_address::Door;
use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use ratatui::crossterm::terminal;
use report::Report;
use std::io::IsTerminal;
use std::time::Duration;
use tokio::time::sleep;
use view::{Size, render};

/// Time between two looks, unless told.
const PERIOD: Duration = Duration::from_secs(1);
/// Shortest and longest time between two looks.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(86_400);

pub(crate) const EXAMPLES: &str = "\
Examples:
  switchboard status
  switchboard status --watch --sort depth
  switchboard status --all --json";

#[derive(Args, Debug)]
pub(crate) struct Status {
    #[command(flatten)]
    http: HttpArgs,
    /// Print the broker's JSON.
    #[arg(long, short = 'j')]
    json: bool,
    /// Look again and again, until interrupted; a broker that restarts is waited for.
    #[arg(long, short = 'w')]
    watch: bool,
    /// Time between two looks, from 100ms to 1d; implies --watch [default: 1s].
    #[arg(long, short = 'i', allow_hyphen_values = true, value_name = "DURATION", value_parser = interval)]
    interval: Option<Duration>,
    /// List every channel and connection, however many, instead of those that matter most and fit.
    #[arg(long, short = 'a')]
    all: bool,
    /// Order of the channels [default: those that hold most first].
    #[arg(long, value_name = "COLUMN")]
    sort: Option<Sort>,
}

/// A column of the channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    Name,
    Depth,
    In,
    Out,
    Subs,
    Dropped,
}

fn interval(text: &str) -> Result<Duration, String> {
    match crate::cli::duration(text)? {
        time if (SHORTEST..=LONGEST).contains(&time) => Ok(time),
        _ => Err("it must be from 100ms to 1d".to_owned()),
    }
}

/// Prints the status, once or again and again.
pub(crate) async fn show(args: &Status) -> Result<()> {
    let server = HttpServer::new(&args.http, Door::BrokerHttp)?;
    let is_screen = std::io::stdout().is_terminal();
    let watches = args.watch || args.interval.is_some();
    // A screen that is drawn again keeps its size.
    let all = args.all || args.sort.is_some();
    let mut last = text(args, &server, all, is_screen, watches).await?;
    let mut is_away = false;
    loop {
        if watches && is_screen && !args.json {
            output::write(screen(&last).as_bytes())?;
        } else if !is_away {
            output::write(last.as_bytes())?;
        }
        if !watches {
            return Ok(());
        }
        sleep(args.interval.unwrap_or(PERIOD)).await;
        match text(args, &server, all, is_screen, watches).await {
            Ok(text) => (last, is_away) = (text, false),
            Err(error) if is_screen && !args.json => {
                let rest = last.split_once('\n').map_or("", |(_, rest)| rest);
                last = format!("The broker is away, asking again: {}\n{rest}", escape(&error.to_string()));
            }
            Err(error) if !is_away => {
                note(format_args!("The broker is away, asking again: {}", escape(&error.to_string())));
                is_away = true;
            }
            Err(_) => {}
        }
    }
}

async fn text(args: &Status, server: &HttpServer, all: bool, is_screen: bool, watches: bool) -> Result<String> {
    let answer = report::ask(server, all).await?;
    if args.json {
        return Ok(format!("{answer}\n"));
    }
    let report: Report = serde_json::from_value(answer)
        .with_context(|| format!("{} is no broker: its status is another", server.base()))?;
    let size = terminal::size().ok().filter(|_| is_screen).map(|(columns, rows)| Size {
        columns: columns.into(),
        // A scrolling output needs no bound.
        rows: (watches || !args.all).then_some(rows.into()),
    });
    Ok(render(&report, args.sort, size))
}

/// Draws over what was there: home, each line up to its end, and nothing below.
fn screen(text: &str) -> String {
    format!("\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n"))
}
