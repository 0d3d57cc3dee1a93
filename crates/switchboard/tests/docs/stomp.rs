//! STOMP's headers: those that the program reads or writes, and those that its document explains.

use super::files::{files, read};
use std::collections::BTreeSet;

/// Words of the code that look like headers, and are values of headers or parts of an id.
const NO_HEADERS: [&str; 10] =
    ["true", "false", "auto", "client", "client-individual", "classic", "default", "t", "connect", "stomp"];

/// Headers that are explained though the code has no word for them: they mean nothing, or the core writes them.
const NOT_IN_CODE: [&str; 6] =
    ["host", "JMSXGroupSeq", "dead-letter-reason", "dead-letter-attempts", "dead-letter-origin", "dead-letter-time"];

fn is_header(word: &str) -> bool {
    word.chars().next().is_some_and(|first| first.is_ascii_alphabetic())
        && word.chars().all(|char| char.is_ascii_alphanumeric() || "-._".contains(char))
        // Commands are words in capitals.
        && word.chars().any(|char| char.is_ascii_lowercase())
        || word.trim_start_matches('_').starts_with("AMQ_") && !word.contains(' ')
}

/// The string literals of a source file, without those of its tests.
fn literals(source: &str) -> Vec<String> {
    let source = source.split("#[cfg(test)]\nmod tests {").next().expect("a part");
    let code = source.lines().map(|line| line.split("//").next().expect("a part"));
    code.flat_map(|line| line.split('"').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// The headers that the program reads or writes, by the words of its code.
fn in_code() -> BTreeSet<String> {
    let mut files = files("crates/server/src/stomp/session/*.rs");
    files.extend(files_of(["error.rs", "outbox.rs", "ledger.rs"]));
    let is_code = |file: &String| !file.contains("/tests");
    let words = files.into_iter().filter(is_code).flat_map(|file| literals(&read(&file)));
    let mut found: BTreeSet<String> = words.filter(|word| is_header(word)).collect();
    // The writer adds it to every body.
    found.insert("content-length".to_owned());
    found.retain(|word| !NO_HEADERS.contains(&word.as_str()));
    found
}

fn files_of<const N: usize>(names: [&str; N]) -> Vec<String> {
    names.map(|name| format!("crates/server/src/stomp/{name}")).to_vec()
}

/// The headers that the tables explain, and rows that lack a cell.
fn in_document() -> (BTreeSet<String>, Vec<String>) {
    let text = read("docs/stomp.md");
    let (mut found, mut lacking) = (BTreeSet::new(), Vec::new());
    for line in text.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let is_row = cells.len() == 5 && !cells[1].starts_with("---") && cells[1] != "header";
        if !is_row {
            continue;
        }
        if cells[1..].iter().any(|cell| cell.is_empty()) {
            lacking.push(line.to_owned());
        }
        found.extend(cells[1].split('`').skip(1).step_by(2).map(str::to_owned));
    }
    (found, lacking)
}

#[test]
fn the_document_of_stomp_explains_every_header_that_the_program_reads_or_writes_and_no_other() {
    let (code, (document, _)) = (in_code(), in_document());
    assert!(code.len() > 50, "{code:?}");
    let missing: Vec<_> = code.difference(&document).collect();
    assert!(missing.is_empty(), "docs/stomp.md lacks {missing:?}");
    let stale: Vec<_> = document.difference(&code).filter(|name| !NOT_IN_CODE.contains(&name.as_str())).collect();
    assert!(stale.is_empty(), "no code for {stale:?}");
}

#[test]
fn each_header_of_stomp_has_what_is_different_in_other_brokers() {
    let (document, lacking) = in_document();
    assert!(document.len() > 60, "{document:?}");
    assert_eq!(lacking, Vec::<String>::new());
}
