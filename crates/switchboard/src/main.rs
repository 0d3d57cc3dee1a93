//! The program `switchboard`: the command line, the settings, and the services put together.

mod arguments;
mod cli;
mod color;
mod config;
mod data;
mod display;
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
use clap::CommandFactory;
use cli::{Cli, Command, ConfigAction, ConfigArgs};
use config::{Settings, Started};
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;
use switchboard_driver::build_blocking_runtime;
use up::Chosen;

fn main() -> ExitCode {
    // First of all: a guardian of child processes is this program, started once more.
    switchboard_child::init();
    // An error leaves the signal's default.
    let _ = signals::survive_large_files();
    display::choose_encoding();
    match run(arguments::parse()) {
        Ok(code) => code,
        // Whoever read our output has seen enough: `switchboard listen ... | head` is no failure.
        Err(error) if error.is::<output::Closed>() => ExitCode::SUCCESS,
        Err(error) => {
            output::note_within(output::LAST_WORD, format!("switchboard: {}", output::reasons(&error)));
            if error.is::<output::UsageError>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
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
        Command::Top(args) => top::run(&args),
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

/// A client needs one thread, and one for what blocks.
fn block_on<T>(command: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = build_blocking_runtime(&mut tokio::runtime::Builder::new_current_thread(), 1)
        .context("cannot start the runtime")?;
    runtime.block_on(command)
}
