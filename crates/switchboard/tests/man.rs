//! The manual has what the program has: every command, every flag, every setting.

mod common;

use common::switchboard;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

fn text(args: &[&str]) -> String {
    let output = switchboard(args).env("COLUMNS", "200").output().expect("the program starts");
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// The flags of a help text: `-s`, `--server`. Only those at a line's beginning are of the command itself; after a single `-`
/// comes a value that an option may have.
fn flags(help: &str) -> BTreeSet<String> {
    let lines = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    let words =
        lines.flat_map(|line| line.split("  ").next().unwrap_or_default().split([' ', ',', '=']).map(str::to_owned));
    words
        .filter(|word| word.starts_with('-') && word != "-")
        .map(|word| word.trim_end_matches("...").to_owned())
        .collect()
}

/// The subcommands of a help text.
fn subcommands(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let lines =
        lines.take_while(|line| !line.is_empty()).filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    lines.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").map(str::to_owned).collect()
}

/// Every command by its page's name, with its help.
fn commands(words: &[String], all: &mut BTreeMap<String, String>) {
    let args: Vec<&str> = words.iter().map(String::as_str).chain(["--help"]).collect();
    let help = text(&args);
    for name in subcommands(&help) {
        commands(&[words, &[name]].concat(), all);
    }
    let page = ["switchboard"].into_iter().chain(words.iter().map(String::as_str)).collect::<Vec<_>>().join("-");
    all.insert(format!("{page}.1"), help);
}

/// A page as a reader sees it.
fn read(path: &Path) -> String {
    let page = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let page = ["\\fB", "\\fI", "\\fR"].iter().fold(page, |page, font| page.replace(font, ""));
    page.replace("\\-", "-").replace("\\&", "").replace("\\*(Aq", "'").replace("\\\\", "\\")
}

/// The flags of a page's options.
fn flags_of_page(page: &str) -> BTreeSet<String> {
    let options = page.split(".SH OPTIONS").nth(1).unwrap_or_default().split(".SH ").next().unwrap_or_default();
    options.split(".TP\n").flat_map(|entry| flags(entry.lines().next().unwrap_or_default())).collect()
}

#[test]
fn every_command_has_a_page_with_exactly_its_flags() {
    let directory = tempfile::tempdir().expect("a directory");
    let pages = directory.path().join("new/man");
    text(&["man", pages.to_str().expect("text")]);
    let mut helps = BTreeMap::new();
    commands(&[], &mut helps);
    assert!(helps.len() >= 20 && helps.contains_key("switchboard-news-check.1"), "{:?}", helps.keys());
    for (name, help) in &helps {
        let page = read(&pages.join("man1").join(name));
        assert!(flags(help).contains("--help"), "{name}: {help}");
        assert_eq!(flags_of_page(&page), flags(help), "{name}");
    }
    let files = |folder: &str| -> BTreeSet<String> {
        let files =
            std::fs::read_dir(pages.join(folder)).expect("a directory").map(|entry| entry.expect("a file").file_name());
        files.map(|name| name.into_string().expect("text")).collect()
    };
    assert_eq!(files("man1"), helps.keys().cloned().collect());
    assert_eq!(files("man5"), BTreeSet::from(["switchboard.toml.5".to_owned()]));
}

#[test]
fn every_setting_has_its_entry() {
    let directory = tempfile::tempdir().expect("a directory");
    text(&["man", directory.path().to_str().expect("text")]);
    let page = read(&directory.path().join("man5/switchboard.toml.5"));
    let settings: serde_json::Value = serde_json::from_str(&text(&["config", "--json"])).expect("JSON");
    let mut checked = 0;
    for (key, value) in settings.as_object().expect("an object") {
        let section = |name: &str| {
            page.split(&format!(".SH {name}\n")).nth(1).map(|rest| rest.split(".SH ").next().unwrap_or_default())
        };
        let (within, keys) = match value.as_object() {
            Some(table) => (section(&format!("[{key}]")), table.keys().filter(|key| *key != "table").collect()),
            None if key == "channel" => (section("[[channel]]"), Vec::new()),
            None => (section("\"BEFORE THE FIRST TABLE\""), vec![key]),
        };
        let within = within.unwrap_or_else(|| panic!("no section for {key}: {page}"));
        for setting in keys {
            assert!(within.contains(&format!(".TP\n{setting} = ")), "{key}.{setting}: {within}");
            checked += 1;
        }
    }
    assert!(checked > 80, "only {checked} settings were found");
    for part in ["match = ", "leave-out = "] {
        assert!(page.contains(part), "{part}: {page}");
    }
}

#[test]
fn groff_has_no_complaint() {
    let directory = tempfile::tempdir().expect("a directory");
    text(&["man", directory.path().to_str().expect("text")]);
    let pages = ["man1", "man5"].map(|folder| std::fs::read_dir(directory.path().join(folder)).expect("a directory"));
    for entry in pages.into_iter().flatten() {
        let path = entry.expect("a file").path();
        let groff = Command::new("groff").args(["-man", "-Tutf8", "-ww", "-z"]).arg(&path).output();
        let groff = groff.expect("groff is missing; install it: apt-get install groff-base");
        assert!(groff.status.success() && groff.stderr.is_empty(), "{}: {groff:?}", path.display());
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("file");
    std::fs::write(&file, "").expect("written");
    let output = switchboard(&["man"]).arg(file.join("man")).output().expect("the program starts");
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("cannot make ") && error.contains("file/man"), "{error}");
}
