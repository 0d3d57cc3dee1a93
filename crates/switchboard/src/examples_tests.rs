//! Every example of `--help`, of the READMEs and of docs/ is a command line of this program.

use crate::cli::Cli;
use clap::{CommandFactory, Parser};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The words of a command line of a shell, up to a comment or an operator.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                word.get_or_insert_default();
                quote = Some(c);
            }
            (None, ' ') => words.extend(word.take()),
            (None, '#') if word.is_none() => break,
            (None, '|' | '>' | '&' | ';') => break,
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// The command lines of this program in a line of a script: at its beginning, or behind a pipe.
fn commands(line: &str) -> Vec<&str> {
    let starts = line.split("| ").map(|part| part.trim_start().trim_start_matches("$ "));
    starts.filter(|part| part.starts_with("switchboard ")).collect()
}

/// A command with all below it.
fn all(command: clap::Command) -> Vec<clap::Command> {
    let below: Vec<clap::Command> = command.get_subcommands().cloned().flat_map(all).collect();
    std::iter::once(command).chain(below).collect()
}

fn check(source: &str, line: &str) {
    if let Err(error) = Cli::try_parse_from(words(line)) {
        panic!("{source}: {line}: {error}");
    }
}

#[test]
fn the_examples_of_the_help_are_command_lines() {
    let mut checked = 0;
    for command in all(Cli::command()) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        for line in help.lines().skip(1) {
            for found in commands(line) {
                // The explanation stands behind two blanks.
                check(command.get_name(), found.split("  ").next().unwrap_or(found));
                checked += 1;
            }
        }
    }
    assert!(checked >= 20, "only {checked} examples were found");
}

#[test]
fn the_examples_of_the_documents_are_command_lines() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files: Vec<PathBuf> =
        vec![root.join("README.md"), root.join("CONTRIBUTING.md"), root.join("ARCHITECTURE.md")];
    let mut folders = vec![root.join("docs"), root.join("crates"), root.join("bench")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").filter_map(Result::ok) {
            let path = entry.path();
            let name = entry.file_name();
            if path.is_dir() && name != "target" && name != "src" && name != "tests" {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                files.push(path);
            }
        }
    }
    let mut checked = 0;
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let mut is_fenced = false;
        for line in text.lines() {
            is_fenced ^= line.trim_start().starts_with("```");
            let is_code = is_fenced || line.starts_with("    ");
            for found in commands(line).into_iter().filter(|_| is_code) {
                check(&file.display().to_string(), found);
                checked += 1;
            }
        }
    }
    assert!(checked >= 10, "only {checked} examples were found");
}

#[test]
fn every_command_and_every_action_has_examples() {
    for command in all(Cli::command()) {
        assert!(command.get_after_help().is_some(), "{}", command.get_name());
    }
}

#[test]
fn no_example_is_wider_than_a_terminal() {
    for command in all(Cli::command()) {
        let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let help = command.clone().term_width(80).render_long_help().to_string();
        for line in examples.lines() {
            assert!(line.chars().count() <= 80, "{}: {line}", command.get_name());
            assert!(help.lines().any(|shown| shown == line), "{}: {line} is wrapped", command.get_name());
        }
    }
}

/// `-x --long command` of the client commands and `config`, except for help and version, which all have.
fn short_options() -> BTreeSet<String> {
    let cli = Cli::command();
    let is_service = |command: &clap::Command| {
        command.get_name() != "config" && command.get_arguments().any(|argument| argument.get_id() == "config")
    };
    let of = |command: &clap::Command| -> Vec<String> {
        let name = command.get_name();
        let short =
            command.get_arguments().filter(|argument| !["help", "version"].contains(&argument.get_id().as_str()));
        let short = short.filter_map(|argument| argument.get_short().zip(argument.get_long()));
        short.map(|(short, long)| format!("-{short} --{long} {name}")).collect()
    };
    cli.get_subcommands().filter(|command| !is_service(command)).flat_map(of).collect()
}

#[test]
fn the_documented_short_options_are_those_that_there_are() {
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md")).expect("a file");
    let mut documented = BTreeSet::new();
    for line in text.lines().filter(|line| line.starts_with("| `-") && !line.contains("`-h`")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let (short, long) = cells[1].trim_matches('`').split_once("`, `").expect("both");
        // Services stand behind the semicolon.
        let commands = cells[2].split(';').next().unwrap_or_default();
        documented.extend(commands.split(", ").map(|command| format!("{short} {long} {command}")));
    }
    assert_eq!(documented, short_options());
}

#[test]
fn a_line_is_split_as_a_shell_does() {
    assert_eq!(words("switchboard send /a 'b  c' \"d\" '' # e"), ["switchboard", "send", "/a", "b  c", "d", ""]);
    assert_eq!(words("switchboard config > x"), ["switchboard", "config"]);
    assert_eq!(commands("seq 10 | switchboard send /a -l"), ["switchboard send /a -l"]);
    assert!(commands("switchboardx | cat").is_empty());
}
