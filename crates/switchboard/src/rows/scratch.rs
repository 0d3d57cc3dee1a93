//! `switchboard rows scratch`.

use super::args::{Named, ScratchArgs};
use super::server::{Server, given};
use crate::output::{self, UsageError, note};
use anyhow::{Context, Result, anyhow};
use rustix::process::Signal;
use serde_json::json;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, ExitStatus};
use switchboard_rows::{Database, ScratchDatabase};
use tokio::signal::unix::{SignalKind, signal};

pub(super) async fn run(args: &ScratchArgs) -> Result<ExitCode> {
    match &args.action {
        Some(Named::Create { name, at, json }) => {
            check(name)?;
            let maker = given(at.database.as_deref())?;
            let database = ScratchDatabase::keep(&maker, name).await?;
            let drop = dropping(name, &maker, at.database.as_deref());
            let url = database.url_without_password();
            if *json {
                let answer = json!({ "database": name, "url": url, "drop": drop });
                output::write(format!("{answer}\n").as_bytes())?;
                return Ok(ExitCode::SUCCESS);
            }
            note(format_args!(
                "The database {name} is there, at the address below; the server may ask for a password."
            ));
            note(format_args!("To drop it: {drop}"));
            output::write(format!("{url}\n").as_bytes())?;
        }
        Some(Named::Drop { name, at, json }) => {
            check(name)?;
            ScratchDatabase::remove(&given(at.database.as_deref())?, name).await?;
            if *json {
                output::write(format!("{}\n", json!({ "dropped": name })).as_bytes())?;
            } else {
                note(format_args!("The database {name} is dropped."));
            }
        }
        None => return with_command(args).await,
    }
    Ok(ExitCode::SUCCESS)
}

/// A name that no server would take is an error of usage.
fn check(name: &str) -> Result<()> {
    ScratchDatabase::check_name(name).map_err(|error| UsageError::of(error.into()))
}

/// Arguments that drop a database again, for a shell. They hold no password: an address with one has to come by
/// `DATABASE_URL`, or is to be completed.
fn dropping(name: &str, maker: &Database, address: Option<&str>) -> String {
    let same = std::env::var("DATABASE_URL").is_ok_and(|given| address == Some(&*given));
    let at = if same { String::new() } else { format!(" --database {}", quoted(&maker.url_without_password())) };
    let separator = if name.starts_with('-') { "-- " } else { "" };
    format!("switchboard rows scratch drop{at} {separator}{}", quoted(name))
}

/// One word of a shell.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%=".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

async fn with_command(args: &ScratchArgs) -> Result<ExitCode> {
    let Some((program, rest)) = args.command.split_first() else {
        return Err(UsageError::of(anyhow!("which command? switchboard rows scratch -- COMMAND")));
    };
    // The terminal sends them to the command too, and the database has to outlive it.
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut terminations = signal(SignalKind::terminate())?;
    let mut hangups = signal(SignalKind::hangup())?;
    let (server, scratch) = tokio::select! {
        prepared = prepare(args) => prepared?,
        // Nobody else hears them yet. What was begun ends with this program.
        _ = interrupts.recv() => return Ok(ended_by(Signal::INT)),
        _ = terminations.recv() => return Ok(ended_by(Signal::TERM)),
        _ = hangups.recv() => return Ok(ended_by(Signal::HUP)),
    };
    let mut command = Command::new(program);
    command.args(rest).envs(scratch.database().environment());
    let child = command.spawn().with_context(|| format!("cannot run {}", shown(program)));
    let status = match child {
        Ok(mut child) => {
            let id = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
            let waiting = tokio::task::spawn_blocking(move || child.wait());
            tokio::pin!(waiting);
            loop {
                let passed_on = tokio::select! {
                    status = &mut waiting => break status?.context("cannot wait for the command"),
                    _ = interrupts.recv() => None,
                    _ = terminations.recv() => Some(Signal::TERM),
                    _ = hangups.recv() => Some(Signal::HUP),
                };
                if let (Some(signal), Some(id)) = (passed_on, id) {
                    // An error means that it has ended.
                    let _ = rustix::process::kill_process(id, signal);
                }
            }
        }
        Err(error) => Err(error),
    };
    // It blocks until the database is dropped.
    tokio::task::spawn_blocking(move || drop(scratch)).await?;
    server.stop().await;
    Ok(code(status?))
}

async fn prepare(args: &ScratchArgs) -> Result<(Server, ScratchDatabase)> {
    let server = Server::start(&args.at).await?;
    let scratch = ScratchDatabase::create(&server.database).await?;
    Ok((server, scratch))
}

/// Returns the exit code of a shell for a command that a signal has ended.
fn ended_by(signal: Signal) -> ExitCode {
    ExitCode::from(u8::try_from(128 + signal.as_raw()).unwrap_or(1))
}

fn shown(program: &OsString) -> String {
    program.to_string_lossy().into_owned()
}

/// The command's code; 128 and the signal's number, as shells have it.
fn code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| Some(128 + status.signal()?)).and_then(|code| u8::try_from(code).ok());
    ExitCode::from(code.unwrap_or(1))
}
