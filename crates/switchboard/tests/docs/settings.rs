//! Settings and options that documents name.

use super::common::switchboard;
use super::files::{documents, read};
use super::text::{code_blocks, code_lines, first_cells, spans};
use serde_json::{Map, Value};
use std::sync::LazyLock;

/// Runs the program in an environment of its own, and returns what it prints.
pub(crate) fn printed(args: &[&str]) -> String {
    let output = switchboard(args).env_clear().env("HOME", "/nonexistent").output().expect("it runs");
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The tables of settings, and beside them the settings of the whole program.
fn tables() -> &'static Map<String, Value> {
    static TABLES: LazyLock<Value> =
        LazyLock::new(|| serde_json::from_str(&printed(&["config", "--json"])).expect("JSON"));
    TABLES.as_object().expect("an object")
}

fn has(table: &str, key: &str) -> bool {
    tables().get(table).is_some_and(|keys| keys.get(key).is_some())
}

/// As `--set` takes a key: one of the whole program, of the broker, or of a table that is named.
fn is_setting(key: &str) -> bool {
    match key.split_once('.') {
        Some((table, key)) => has(table, key),
        None => {
            tables().get(key).is_some_and(Value::is_string) || ["broker", "http"].iter().any(|table| has(table, key))
        }
    }
}

#[test]
fn the_documentation_has_every_setting_as_the_program_prints_it() {
    assert!(
        read("docs/switchboard.toml") == printed(&["config"]),
        "docs/switchboard.toml is not what the program prints: switchboard config > docs/switchboard.toml"
    );
}

/// Returns the keys of `--set KEY=VALUE`, of `table.key` in code, and of tables of settings.
fn named_settings(file: &str, text: &str) -> Vec<String> {
    let mut named = Vec::new();
    let code = code_lines(text).into_iter().chain(spans(text).into_iter().map(str::to_owned));
    for line in code {
        for rest in line.split("--set ").skip(1) {
            let key = rest.trim_start_matches('\'').split('=').next().expect("a part");
            named.push(key.to_owned());
        }
        // `news.listen`, and `http.metrics-open = true`; `news.json` is a part of a path, and has its slash before it.
        let key = line.split([' ', '=']).next().expect("a part");
        let is_file = [".md", ".toml", ".js", ".css", ".html", ".sh"].iter().any(|end| key.ends_with(end));
        if let Some((table, rest)) = key.split_once('.').filter(|_| !is_file)
            && tables().contains_key(table)
            && !rest.is_empty()
            && rest.chars().all(|char| char.is_ascii_lowercase() || char == '-')
        {
            named.push(key.to_owned());
        }
    }
    if file.starts_with("docs/") {
        let cells = first_cells(text, &["setting", "default"]);
        named.extend(
            cells.iter().flat_map(|cell| spans(cell)).filter(|word| !word.starts_with("--")).map(str::to_owned),
        );
    }
    // Names in capitals stand for others, and addresses are no settings.
    named.retain(|key| key.chars().all(|char| char.is_ascii_lowercase() || "-.".contains(char)));
    named
}

#[test]
fn settings_that_documents_name_exist() {
    let (mut found, mut wrong) = (0, Vec::new());
    for (file, text) in documents() {
        for key in named_settings(&file, &text) {
            if !is_setting(&key) {
                wrong.push(format!("{file}: there is no setting {key}"));
            }
            found += 1;
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(found > 30, "{found}");
}

#[test]
fn settings_are_found() {
    let text = "`--set outbox=1KiB` `--set news.KEY=V` `rows.x` `rows.md` `http.a-b = 1`\n\n| setting | default |\n|---|---|\n| `queue` | 1 |\n";
    assert_eq!(named_settings("docs/a.md", text), ["outbox", "rows.x", "http.a-b", "queue"]);
    assert!(is_setting("outbox") && is_setting("rows.tables") && is_setting("log"));
    assert!(!is_setting("rows.outbox") && !is_setting("rows") && !is_setting("nonsense"));
}

#[test]
fn configuration_files_in_documents_are_right() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("block.toml");
    let mut found = 0;
    for (file, text) in documents() {
        for block in code_blocks(&text) {
            let is_of =
                |table: &str| block.lines().any(|line| line == format!("[{table}]") || line == format!("[[{table}]]"));
            let is_settings =
                ["broker", "monitor", "rows", "news", "render", "http", "channel"].iter().any(|table| is_of(table));
            if !is_settings && !is_of("site") {
                continue;
            }
            std::fs::write(&path, &block).expect("written");
            let command = if is_settings { "config" } else { "news" };
            let mut check = switchboard(&[command, "check", path.to_str().expect("UTF-8")]);
            let output = check.output().expect("it runs");
            assert!(output.status.success(), "{file}: {block}{output:?}");
            found += 1;
        }
    }
    assert!(found > 2, "{found}");
}
