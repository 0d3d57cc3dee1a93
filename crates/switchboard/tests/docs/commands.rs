//! Commands and options of the program that documents use.

use super::files::documents;
use super::settings::printed;
use super::text::{code_lines, spans};
use std::collections::BTreeMap;

/// A call of the program: its command, the word behind it that may be a command of that, and the long options.
#[derive(Debug, PartialEq)]
struct Call {
    command: String,
    second: Option<String>,
    options: Vec<String>,
}

fn calls(text: &str) -> Vec<Call> {
    let mut calls = Vec::new();
    let code = code_lines(text).into_iter().chain(spans(text).into_iter().map(str::to_owned));
    for line in code {
        let line = line.split("   #").next().expect("a part");
        for call in line.split("switchboard ").skip(1) {
            // Another program's options stand behind these.
            let call = call.split([';', '|', '&', '>']).next().expect("a part");
            let call = call.split(" -- ").next().expect("a part");
            let mut words = call.split_whitespace().peekable();
            let is_command = |word: &&str| word.chars().all(|char| char.is_ascii_lowercase());
            let command = words.next_if(is_command).unwrap_or("up").to_owned();
            let second = words.peek().filter(|word| is_command(word)).map(|word| (*word).to_owned());
            let mut options = Vec::new();
            for word in words {
                // The agent's command has options of its own.
                if command == "agent" && !word.starts_with('-') && options.is_empty() {
                    break;
                }
                if let Some(option) = word.strip_prefix("--") {
                    let end = option.find(|char: char| !char.is_ascii_lowercase() && char != '-');
                    options.push(option[..end.unwrap_or(option.len())].to_owned());
                }
            }
            calls.push(Call { command, second, options });
        }
    }
    calls
}

/// Returns the names of the commands that a help lists.
fn listed(help: &str) -> Vec<&str> {
    let list = help.split_once("Commands:\n").map_or("", |(_, rest)| rest.split("\n\n").next().unwrap_or(""));
    let lines = list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    lines.filter_map(|line| line.split_whitespace().next()).collect()
}

/// A command's help with those of its own commands, whose names are beside it.
fn help(command: &str) -> (String, Vec<String>) {
    let mut help = printed(&[command, "--help"]);
    let names: Vec<String> = listed(&help).into_iter().map(str::to_owned).collect();
    for name in names.iter().filter(|name| *name != "help") {
        help += &printed(&[command, name, "--help"]);
    }
    (help, names)
}

/// Commands without `--json`: services, which log, and those that docs/cli.md excepts.
const WITHOUT_JSON: &[&str] =
    &["broker", "completions", "man", "monitor", "news examples", "render", "rows demo", "rows triggers print", "up"];

/// Each command of a help, with those below it, as words.
fn all_commands(above: &[&str], found: &mut Vec<(String, String)>) {
    let help = printed(&[above, &["--help"]].concat());
    let below: Vec<String> = listed(&help).into_iter().filter(|name| *name != "help").map(str::to_owned).collect();
    for name in &below {
        all_commands(&[above, &[name]].concat(), found);
    }
    // A group alone serves, or does nothing.
    if !above.is_empty() && !help.contains("<COMMAND>") {
        found.push((above.join(" "), help));
    }
}

#[test]
fn each_command_that_prints_data_prints_json_or_is_excepted() {
    let mut found = Vec::new();
    all_commands(&[], &mut found);
    let without = found.iter().filter(|(_, help)| !help.contains("--json")).map(|(name, _)| name.as_str());
    let mut without: Vec<&str> = without.collect();
    without.sort_unstable();
    assert_eq!(without, WITHOUT_JSON);
    assert!(found.iter().any(|(name, _)| name == "rows scratch create"), "{found:?}");
}

#[test]
fn commands_and_options_that_documents_use_exist() {
    let overview = printed(&["--help"]);
    let commands = listed(&overview);
    let mut texts: BTreeMap<String, (String, Vec<String>)> = BTreeMap::new();
    let mut found = 0;
    for (file, text) in documents() {
        for Call { command, second, options } in calls(&text) {
            assert!(commands.contains(&&*command), "{file}: there is no switchboard {command}");
            let (help, own) = texts.entry(command.clone()).or_insert_with(|| help(&command));
            if let Some(second) = second.filter(|_| !own.is_empty()) {
                assert!(own.contains(&second), "{file}: there is no switchboard {command} {second}");
            }
            for option in options {
                let exists = [' ', ',', '\n', '='].iter().any(|end| help.contains(&format!("--{option}{end}")));
                assert!(exists, "{file}: switchboard {command} has no --{option}");
                found += 1;
            }
        }
    }
    assert!(found > 10, "{found}");
}

#[test]
fn calls_are_found() {
    let text = "`switchboard agent --service a python3 --verbose`\n\n    x | switchboard send /a -l   # --no\n    \
                switchboard --set a=1\n    switchboard rows scratch -- ls --all\n";
    let call = |command: &str, second: Option<&str>, options: &[&str]| Call {
        command: command.to_owned(),
        second: second.map(str::to_owned),
        options: options.iter().map(|option| (*option).to_owned()).collect(),
    };
    let expected = [
        call("send", None, &[]),
        call("up", None, &["set"]),
        call("rows", Some("scratch"), &[]),
        // Options of the watched command count, too: documents have none.
        call("agent", None, &["service", "verbose"]),
    ];
    assert_eq!(calls(text), expected);
}
