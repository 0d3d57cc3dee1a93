//! Rules that a reviewer would otherwise have to check: long files, arrows between crates that point
//! upwards, and paths that exist on one machine only.

use std::path::{Path, PathBuf};
use std::process::Command;

const LONGEST: usize = 600;
/// Files longer than this are listed with their length: they may shrink, not grow.
const THINK_AT: usize = 400;
const LONG: &[(&str, usize)] = &[];

/// Each crate and what of the workspace it may depend on.
const FLOORS: &[(&str, &[&str])] = &[
    ("crates/broker", &[]),
    ("crates/wire", &[]),
    ("crates/queue", &[]),
    ("crates/queue/compare", &["switchboard-queue"]),
    ("crates/driver", &[]),
    ("crates/load", &["switchboard-wire"]),
    ("crates/client", &["switchboard-driver", "switchboard-wire"]),
    ("crates/client/compare", &["switchboard-client"]),
    ("crates/sockets", &["switchboard-driver", "switchboard-wire"]),
    ("crates/sockets/compare", &["switchboard-sockets"]),
    ("crates/monitor/compare", &["switchboard-sockets"]),
    ("crates/web", &["switchboard-driver"]),
    ("crates/child", &[]),
    ("crates/browser-test", &[]),
    ("crates/rows", &["switchboard-child", "switchboard-driver", "switchboard-web"]),
    ("crates/rows/compare", &["switchboard-load"]),
    ("crates/news", &["switchboard-child", "switchboard-driver", "switchboard-http-client", "switchboard-web"]),
    ("crates/http-client", &["switchboard-driver"]),
    ("crates/server", &["switchboard-broker", "switchboard-driver", "switchboard-web", "switchboard-wire"]),
    (
        "crates/monitor",
        &[
            "switchboard-client",
            "switchboard-driver",
            "switchboard-http-client",
            "switchboard-sockets",
            "switchboard-web",
        ],
    ),
    (
        "crates/switchboard",
        &[
            "switchboard-broker",
            "switchboard-child",
            "switchboard-client",
            "switchboard-driver",
            "switchboard-http-client",
            "switchboard-load",
            "switchboard-monitor",
            "switchboard-news",
            "switchboard-rows",
            "switchboard-server",
            "switchboard-web",
            "switchboard-wire",
        ],
    ),
    (
        "bench",
        &["switchboard-broker", "switchboard-child", "switchboard-load", "switchboard-server", "switchboard-wire"],
    ),
    ("sim", &["switchboard-broker", "switchboard-server", "switchboard-wire"]),
];

/// Pages are tested in it, whatever crate they are of.
const FOR_PAGES: &str = "switchboard-browser-test";

/// Crates that are tested against a crate of their own layer: real servers, no mocks.
const TESTED_AGAINST: &[(&str, &str)] =
    &[("crates/client", "switchboard-server"), ("crates/monitor", "switchboard-server")];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the workspace").to_owned()
}

fn tracked(pattern: &str) -> Vec<String> {
    let output = Command::new("git").args(["ls-files", "--", pattern]).current_dir(root()).output();
    let output = output.expect("git is missing; install it: apt-get install git");
    let files: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    assert!(!files.is_empty(), "git knows no {pattern} here");
    files.into_iter().filter(|file| root().join(file).exists()).collect()
}

fn read(file: &str) -> String {
    String::from_utf8_lossy(&std::fs::read(root().join(file)).expect("a tracked file")).into_owned()
}

#[test]
fn no_file_is_long() {
    for file in tracked("*.rs") {
        let lines = read(&file).lines().count();
        let listed = LONG.iter().find(|(name, _)| *name == file).map(|(_, lines)| *lines);
        let allowed = listed.unwrap_or(THINK_AT).min(LONGEST);
        assert!(
            lines <= allowed,
            "{file} has {lines} lines, {allowed} are allowed: what is the second thing in there?"
        );
    }
}

/// `std::thread::spawn` panics where the limit of threads is reached; tests may.
#[test]
fn a_thread_that_cannot_be_started_is_no_panic() {
    let panics = concat!("thread", "::spawn(");
    for file in tracked("crates/*/src/*.rs") {
        let text = read(&file);
        let program = text.split("#[cfg(test)]").next().unwrap_or_default();
        let is_a_test =
            file.contains("/tests") || file.contains("/compare/") || file.starts_with("crates/browser-test/");
        assert!(is_a_test || !program.contains(panics), "{file}: use `switchboard_driver::start_thread`");
    }
}

/// Tables, addresses and commands cannot be wrapped.
#[test]
fn paragraphs_of_documents_are_wrapped() {
    for file in tracked("*.md") {
        let mut is_fenced = false;
        for (number, line) in read(&file).lines().enumerate() {
            is_fenced ^= line.trim_start().starts_with("```");
            let is_text = !is_fenced && !line.starts_with("    ") && !line.trim_start().starts_with(['|', '!', '#']);
            let columns = line.chars().count();
            assert!(!is_text || columns <= 150, "{file}:{} has {columns} columns, 150 are allowed", number + 1);
        }
    }
}

#[test]
fn arrows_between_crates_point_down() {
    for manifest in tracked("*Cargo.toml").iter().filter(|file| *file != "Cargo.toml" && !file.starts_with("fuzz")) {
        let folder = manifest.trim_end_matches("/Cargo.toml");
        let (_, allowed) = FLOORS.iter().find(|(name, _)| *name == folder).unwrap_or_else(|| {
            panic!("{folder} has no floor: add it to FLOORS");
        });
        let manifest: toml::Table = read(manifest).parse().expect("a manifest");
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let names = manifest.get(table).and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::keys);
            for name in names.filter(|name| name.starts_with("switchboard")) {
                let for_tests = table == "dev-dependencies"
                    && (name == FOR_PAGES || TESTED_AGAINST.contains(&(folder, name.as_str())));
                assert!(allowed.contains(&name.as_str()) || for_tests, "{folder} must not depend on {name}");
            }
        }
    }
}

#[test]
fn no_path_of_one_machine() {
    // Written apart, so that this file does not hold what it looks for.
    let roots = ["work", "root", "home", "farm"].map(|name| format!("/{name}/"));
    for file in tracked(".").iter().filter(|file| *file != "Cargo.lock") {
        for (number, line) in read(file).lines().enumerate() {
            for root in &roots {
                let begins_there = line.match_indices(root.as_str()).any(|(at, _)| {
                    !line[..at].ends_with(|before: char| before.is_alphanumeric() || "_./-*>".contains(before))
                });
                assert!(!begins_there, "{file}:{}: a path of one machine: {line}", number + 1);
            }
        }
    }
}

#[test]
fn every_mutant_can_be_made() {
    for patch in tracked("*/mutants/*.patch") {
        let git = |arguments: &[&str]| Command::new("git").args(arguments).arg(&patch).current_dir(root()).output();
        let checked = git(&["apply", "--unidiff-zero", "--check"]).expect("git");
        let said = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success(), "{patch} does not apply any more; make the mistake anew: {said}");
    }
}

#[test]
fn comments_begin_with_their_subject() {
    for file in tracked("*.rs").iter().chain(&tracked("*.js")) {
        for (number, line) in read(file).lines().enumerate() {
            let line = line.trim_start();
            let Some(comment) = line.strip_prefix("//") else { continue };
            let first = comment.trim_start_matches(['/', '!']).split_whitespace().next();
            let is_question = first.is_some_and(|word| ["What", "Where", "How", "Who"].contains(&word));
            assert!(!is_question, "{file}:{}: begin with the noun or the verb: {line}", number + 1);
        }
    }
}
