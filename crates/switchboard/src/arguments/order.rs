//! Options before an action: `queues -s HOST peek QUEUE` is `queues peek -s HOST QUEUE`.

use clap::{Arg, Command};
use std::ffi::OsString;
use std::ops::Range;

/// Moves options that stand before an action behind its name, if the action has them, too. Others stay, and are refused: they are
/// of the command without an action.
pub(super) fn behind_actions(root: &Command, arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut line: Vec<OsString> = arguments.into_iter().collect();
    let mut commands = vec![root];
    let mut at = 1;
    while let Some(Found { options, name, action }) = find(&commands, line.get(at..).unwrap_or_default()) {
        let mut words = line[at..at + name].to_vec();
        let mut moved = vec![line[at + name].clone()];
        for (range, arguments) in options.iter().rev() {
            if arguments.iter().all(|argument| has(action, argument)) {
                let option: Vec<OsString> = words.drain(range.clone()).collect();
                moved.splice(1..1, option);
            }
        }
        let next = at + words.len() + 1;
        line.splice(at..=at + name, words.into_iter().chain(moved));
        commands.push(action);
        at = next;
    }
    line
}

/// The next action of a line, and the options before it, each with the arguments that it sets.
struct Found<'a> {
    options: Vec<(Range<usize>, Vec<&'a Arg>)>,
    /// Index of its name.
    name: usize,
    action: &'a Command,
}

/// Finds the name of an action of the last of these commands, behind options that one of them has.
fn find<'a>(commands: &[&'a Command], words: &[OsString]) -> Option<Found<'a>> {
    let last = commands.last().filter(|command| command.has_subcommands())?;
    let mut options = Vec::new();
    let mut at = 0;
    loop {
        let word = words.get(at)?.to_str()?;
        if let Some(action) = last.find_subcommand(word) {
            return Some(Found { options, name: at, action });
        }
        let (arguments, takes_next) = option(commands, word)?;
        let end = at + 1 + usize::from(takes_next);
        options.push((at..end, arguments));
        at = end;
    }
}

/// The arguments that a word sets, and whether the next word is the value of the last one. `None` for a word that is no known option.
fn option<'a>(commands: &[&'a Command], word: &str) -> Option<(Vec<&'a Arg>, bool)> {
    let known = || commands.iter().rev().flat_map(|command| command.get_arguments());
    if let Some(long) = word.strip_prefix("--") {
        let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
        let argument = known().find(|argument| argument.get_long() == Some(name))?;
        return Some((vec![argument], value.is_none() && argument.get_action().takes_values()));
    }
    let letters = word.strip_prefix('-').filter(|letters| !letters.is_empty())?;
    let mut arguments = Vec::new();
    for (at, letter) in letters.char_indices() {
        let argument = known().find(|argument| argument.get_short() == Some(letter))?;
        arguments.push(argument);
        if argument.get_action().takes_values() {
            // The value stands behind its letter, or is the next word.
            return Some((arguments, at + letter.len_utf8() == letters.len()));
        }
    }
    Some((arguments, false))
}

/// Returns true if a word of a command's line sets this argument.
pub(super) fn sets(command: &Command, word: &str, argument: &Arg) -> bool {
    let found = option(&[command], word);
    found.is_some_and(|(arguments, _)| arguments.iter().any(|other| other.get_id() == argument.get_id()))
}

/// Returns true if an action, or one below it, has this option.
fn has(action: &Command, option: &Arg) -> bool {
    let names = |argument: &Arg| (argument.get_long().map(str::to_owned), argument.get_short());
    action.get_arguments().any(|argument| names(argument) == names(option))
        || action.get_subcommands().any(|below| has(below, option))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::CommandFactory;

    fn ordered(line: &str) -> String {
        let words = behind_actions(&Cli::command(), line.split(' ').map(OsString::from));
        words.join(std::ffi::OsStr::new(" ")).into_string().expect("text")
    }

    #[test]
    fn options_before_an_action_are_its_own_if_it_has_them() {
        for (line, expected) in [
            ("switchboard queues -s a peek /queue/b -n 1", "switchboard queues peek -s a /queue/b -n 1"),
            ("switchboard queues --server=a -j peek /queue/b", "switchboard queues peek --server=a -j /queue/b"),
            ("switchboard queues -sa peek /queue/b", "switchboard queues peek -sa /queue/b"),
            ("switchboard queues -js a purge /queue/b", "switchboard queues purge -js a /queue/b"),
            ("switchboard queues --token peek peek /queue/b", "switchboard queues peek --token peek /queue/b"),
            ("switchboard rows --table t -c f triggers print", "switchboard rows triggers print --table t -c f"),
            ("switchboard rows triggers --table t print", "switchboard rows triggers print --table t"),
            ("switchboard rows --database d scratch create x", "switchboard rows scratch create --database d x"),
            ("switchboard news -c f check", "switchboard news check -c f"),
            ("switchboard news --sites f test CNN", "switchboard news test --sites f CNN"),
            ("switchboard config -j check f", "switchboard config check -j f"),
            ("switchboard --config f up --memory 1GiB", "switchboard up --config f --memory 1GiB"),
            // Not options of the action: these are refused where they stand.
            ("switchboard queues --all -s a peek /queue/b", "switchboard queues --all peek -s a /queue/b"),
            ("switchboard config -c f check g", "switchboard config -c f check g"),
        ] {
            assert_eq!(ordered(line), expected);
        }
    }

    #[test]
    fn a_line_without_such_options_stays_as_it_is() {
        for line in [
            "switchboard",
            "switchboard queues",
            "switchboard queues peek -s a /queue/b",
            "switchboard queues -s",
            "switchboard queues -x peek /queue/b",
            "switchboard queues -- peek",
            "switchboard --help queues",
            "switchboard agent -s a queues peek",
            "switchboard rows scratch -- switchboard queues -s a peek",
            "switchboard send /a -s peek",
        ] {
            assert_eq!(ordered(line), line);
        }
    }
}
