//! The command line of this process, and advice where it is wrong.

mod order;

use crate::cli::Cli;
use crate::output;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory, Parser};
use std::ffi::OsString;
use std::io::Write;

/// Similarity from which on a command is suggested, from 0 to 1.
const ALIKE: f64 = 0.7;

/// Reads the command line, or ends the process.
pub(crate) fn parse() -> Cli {
    let words = order::behind_actions(&Cli::command(), std::env::args_os());
    Cli::try_parse_from(&words).unwrap_or_else(|mut error| {
        advise(&mut error, &words);
        if error.use_stderr() { error.exit() } else { help(&error) }
    })
}

/// Adds the advice that clap has none of.
fn advise(error: &mut clap::Error, words: &[OsString]) {
    let word = [ContextKind::InvalidSubcommand, ContextKind::InvalidArg]
        .into_iter()
        .find_map(|kind| error.get(kind).map(ToString::to_string));
    // Services take a file by an option: who gives one without is told which.
    if let Some(file) = word.filter(|word| word.ends_with(".toml")) {
        let of_news = words.get(1).is_some_and(|command| command == "news");
        let sites = if of_news { format!("--sites {file}, or ") } else { String::new() };
        tip(error, format!("a file is given by {sites}--config {file}"));
    }
    if let Some(variable) = variable_of(error, words) {
        tip(error, format!("the value is that of {variable} in the environment"));
    }
    // A passcode is not for the terminal, however wrong its address is.
    if let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue)
        && let Some((_, host)) = value.rsplit_once('@')
    {
        let shown = format!("***@{host}");
        error.insert(ContextKind::InvalidValue, ContextValue::String(shown));
    }
    let unknown = error.get(ContextKind::InvalidSubcommand).map(ToString::to_string);
    if unknown.as_deref() == Some("purge") {
        tip(error, "a queue is purged by `switchboard queues purge QUEUE`".to_owned());
    } else if let Some(unknown) = unknown
        && error.kind() == ErrorKind::InvalidSubcommand
        && error.get(ContextKind::SuggestedSubcommand).is_none()
        && let Some(near) = nearest(&unknown, words)
    {
        // Behind `help` clap suggests nothing.
        error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(vec![near]));
    }
}

fn tip(error: &mut clap::Error, text: String) {
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![text.into()]));
}

/// The environment variable that a refused value is from: its option is not on the command line.
fn variable_of(error: &clap::Error, words: &[OsString]) -> Option<String> {
    if !matches!(error.kind(), ErrorKind::ValueValidation | ErrorKind::InvalidValue) {
        return None;
    }
    // `--server <URL>`
    let shown = error.get(ContextKind::InvalidArg)?.to_string();
    let long = shown.strip_prefix("--")?.split([' ', '=']).next();
    let root = Cli::command();
    let command = asked(&root, words);
    let argument = command.get_arguments().find(|argument| argument.get_long() == long)?;
    let sets = |word: &OsString| word.to_str().is_some_and(|word| order::sets(command, word, argument));
    (!words.iter().any(sets)).then(|| argument.get_env()).flatten().map(|name| name.to_string_lossy().into_owned())
}

/// The name that is most alike, of the actions of the command that was asked about.
fn nearest(unknown: &str, words: &[OsString]) -> Option<String> {
    let root = Cli::command();
    let alike =
        asked(&root, words).get_subcommands().map(|known| (strsim::jaro(unknown, known.get_name()), known.get_name()));
    let nearest = alike.filter(|(alike, _)| *alike > ALIKE).max_by(|a, b| a.0.total_cmp(&b.0));
    nearest.map(|(_, name)| name.to_owned())
}

/// The command that a line asks for, or for help about.
fn asked<'a>(root: &'a Command, words: &[OsString]) -> &'a Command {
    let mut command = root;
    for word in words.iter().skip(1).filter(|word| *word != "help") {
        match command.find_subcommand(word) {
            Some(found) => command = found,
            None => break,
        }
    }
    command
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

#[cfg(test)]
mod tests {
    use super::*;

    fn error(line: &str) -> String {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let mut error = Cli::try_parse_from(&words).expect_err("wrong");
        advise(&mut error, &words);
        error.to_string()
    }

    #[test]
    fn a_misspelt_command_is_corrected_behind_help_too() {
        for (line, near) in [
            ("switchboard sttus", "'status'"),
            ("switchboard help sttus", "'status'"),
            ("switchboard queues help pek", "'peek'"),
            ("switchboard help queues pek", "'peek'"),
            ("switchboard rows help trigers", "'triggers'"),
        ] {
            let error = error(line);
            assert!(error.contains("tip: ") && error.contains(near), "{line}: {error}");
        }
        let far = error("switchboard help xyz");
        assert!(!far.contains("tip: "), "{far}");
        for line in ["switchboard purge", "switchboard help purge"] {
            assert!(error(line).contains("switchboard queues purge QUEUE"), "{line}");
        }
    }
}
