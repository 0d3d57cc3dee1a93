//! `switchboard status`: over the broker's HTTP.

mod report;
mod view;

use crate::escape;
use crate::http::{HttpArgs, HttpServer};
use crate::server_address::Door;
use crate::table;
use crate::watch::{self, Watch};
use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use report::Report;
pub(crate) use report::from_hex;
use view::render;

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
    #[command(flatten)]
    watch: Watch,
    /// List every channel and connection, however many, instead of those that matter most and fit.
    #[arg(long, short = 'a')]
    all: bool,
    /// Order of the channels [default: those with the most bytes first].
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

/// Prints the status, once or again and again.
pub(crate) async fn show(args: &Status) -> Result<()> {
    let server = HttpServer::new(&args.http, Door::BrokerHttp)?;
    // A screen that is drawn again keeps its size.
    let all = args.all || args.sort.is_some();
    let watches = args.watch.is_on();
    watch::show(&args.watch, args.json, async |is_screen| text(args, &server, all, is_screen, watches).await).await
}

async fn text(args: &Status, server: &HttpServer, all: bool, is_screen: bool, watches: bool) -> Result<String> {
    let answer = report::ask(server, all).await?;
    if args.json {
        return Ok(escape::json_line(answer));
    }
    let report: Report = serde_json::from_value(answer)
        .with_context(|| format!("{} is no broker: its status is another", server.base()))?;
    // A scrolling output needs no bound.
    let size = table::size(is_screen, watches || !args.all);
    Ok(render(&report, args.sort, size))
}
