//! The program `switchboard`: the command line, the settings, and the services put together.

mod cli;
mod color;
mod config;
mod data;
mod escape;
mod examples;
#[cfg(test)]
mod examples_tests;
mod http;
mod log;
mod names;
mod output;
mod ready;
mod server_address;
mod service;
mod signals;
mod units;

mod client;
mod lines;
mod stop;

mod admin;
mod agent;
mod bench;
mod listen;
mod listing;
mod man;
mod manager;
mod memory;
mod monitor;
mod news;
mod queues;
mod rows;
mod send;
mod spoken;
mod standard;
mod status;
mod table;
mod top;
mod up;
mod watch;

use anyhow::{Context, Result};
use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, Parser};
use cli::{Cli, Command, ConfigAction, ConfigArgs};
use config::{Settings, Started};
use serde_json::json;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use switchboard_driver::build_runtime;
use up::Chosen;

fn main() -> ExitCode {
    // First of all: a guardian of child processes is this program, started once more.
    switchboard_child::init();
    match run(parse()) {
        Ok(code) => code,
        // Whoever read our output has seen enough: `switchboard listen ... | head` is no failure.
        Err(error) if error.is::<output::Closed>() => ExitCode::SUCCESS,
        Err(error) => {
            output::note_within(output::LAST_WORD, format!("switchboard: {}", output::reasons(&error)));
            if error.is::<output::UsageError>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

/// Services take a file by an option: who gives one without is told which.
fn parse() -> Cli {
    Cli::try_parse().unwrap_or_else(|mut error| {
        let word = [ContextKind::InvalidSubcommand, ContextKind::InvalidArg]
            .into_iter()
            .find_map(|kind| error.get(kind).map(ToString::to_string));
        if let Some(file) = word.filter(|word| word.ends_with(".toml")) {
            let of_news = std::env::args_os().nth(1).is_some_and(|command| command == "news");
            let sites = if of_news { format!("--sites {file}, or ") } else { String::new() };
            let tip = format!("a file is given by {sites}--config {file}");
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
        }
        // A passcode is not for the terminal, however wrong its address is.
        if let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue)
            && let Some((_, host)) = value.rsplit_once('@')
        {
            let shown = format!("***@{host}");
            error.insert(ContextKind::InvalidValue, ContextValue::String(shown));
        }
        if word_is_purge(&error) {
            let tip = "a queue is purged by `switchboard queues purge QUEUE`";
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
        }
        if error.use_stderr() { error.exit() } else { help(&error) }
    })
}

/// Prints the help or the version; clap alone says nothing when that fails.
fn help(text: &clap::Error) -> ! {
    let printed = text.print().and_then(|()| std::io::stdout().flush());
    match printed {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            output::note_within(output::LAST_WORD, format!("switchboard: cannot write the output: {error}"));
            std::process::exit(1)
        }
        _ => std::process::exit(0),
    }
}

/// Returns true if the command was `purge`, which has become one of `queues`.
fn word_is_purge(error: &clap::Error) -> bool {
    error.get(ContextKind::InvalidSubcommand).is_some_and(|word| word.to_string() == "purge")
}

/// Checks that what a command prints or reads has a place, before it takes or sends anything. A service needs none.
fn check_standard(command: &Command) -> Result<()> {
    match command {
        Command::Send(args) if args.stdin => standard::input()?,
        _ => {}
    }
    match command {
        Command::Send(args) if !args.json => Ok(()),
        Command::Listen(_) | Command::Send(_) | Command::Status(_) | Command::Top(_) | Command::Bench(_) => {
            standard::output()
        }
        Command::Queues(_) | Command::Config(_) | Command::Completions { .. } => standard::output(),
        _ => Ok(()),
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    let command = cli.command.unwrap_or(Command::Up(cli.up));
    check_standard(&command)?;
    match command {
        // Its exit code is that of the command that it runs.
        Command::Agent(args) => return agent::run(args),
        Command::Up(args) => up::run(Chosen::All, args.ready_file.clone(), move || args.chosen.settings()),
        Command::Broker(args) => up::run(Chosen::Broker, args.ready_file.clone(), move || args.chosen.settings()),
        Command::Monitor(args) => monitor::run(args),
        Command::Rows(args) => return rows::run(args),
        Command::News(args) => return news::run(*args),
        Command::Render(args) => news::render(args),
        Command::Config(args) => config(&args),
        Command::Listen(args) => return block_on(listen::run(&args)),
        Command::Send(args) => return block_on(send::run(&args)),
        Command::Status(args) => block_on(status::show(&args)),
        Command::Top(args) => block_on(top::run(&args)),
        Command::Bench(args) => return bench::run(&args),
        Command::Queues(args) => block_on(queues::run(&args)),
        Command::Kick(args) => block_on(admin::kick(&args)),
        Command::Health(args) => block_on(admin::health(&args)),
        Command::Man { directory } => man::run(&directory),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "switchboard", &mut script);
            output::write(&script)
        }
    }?;
    Ok(ExitCode::SUCCESS)
}

fn config(args: &ConfigArgs) -> Result<()> {
    let Some(ConfigAction::Check { file, json }) = &args.action else {
        let settings = args.chosen.settings()?;
        let text = if args.json { format!("{}\n", settings.json()) } else { settings.print() };
        return output::write(text.as_bytes());
    };
    let mut settings = Settings::default();
    let of_file = |checked: Result<()>| checked.with_context(|| file.display().to_string());
    let is_input = ["-", "/dev/stdin"].iter().any(|name| Path::new(name) == file);
    let read = if is_input { settings.read_input() } else { settings.read_file(file) };
    let read = read.and_then(|()| of_file(settings.check().and_then(|()| settings.check_together(Started::ALL))));
    let read = read.map_err(output::UsageError::of);
    if let (Err(problem), true) = (&read, *json) {
        let answer = json!({ "file": file.display().to_string(), "right": false, "problem": problem.to_string() });
        output::write_json(answer)?;
    }
    read?;
    let without_effect = settings.without_effect(Started::ALL);
    if *json {
        let answer = json!({ "file": file.display().to_string(), "right": true, "without_effect": without_effect });
        return output::write_json(answer);
    }
    for text in without_effect {
        output::note(format_args!("{text}"));
    }
    output::write(format!("{} is right.\n", file.display()).as_bytes())
}

/// A client needs one thread.
fn block_on<T>(command: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime =
        build_runtime(&mut tokio::runtime::Builder::new_current_thread()).context("cannot start the runtime")?;
    runtime.block_on(command)
}
