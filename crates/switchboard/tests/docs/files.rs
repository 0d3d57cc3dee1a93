//! Files of the repository, and those that documents name.

use super::text::{code_lines, spans};
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the workspace").to_owned()
}

/// Returns the files that the repository has or will have with the next commit, without those that it ignores.
pub(crate) fn files(pattern: &str) -> Vec<String> {
    let mut command = Command::new("git");
    command.args(["ls-files", "--cached", "--others", "--exclude-standard", "--", pattern]).current_dir(root());
    let output = command.output().expect("git is missing; install it: apt-get install git");
    let files: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    assert!(!files.is_empty(), "git knows no {pattern} here");
    files.into_iter().filter(|file| root().join(file).exists()).collect()
}

pub(crate) fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Returns every document with its text.
pub(crate) fn documents() -> Vec<(String, String)> {
    files("*.md").into_iter().map(|file| (file.clone(), read(&file))).collect()
}

/// Returns the words of code that name a file of the repository, without what stands around them.
fn named_files(text: &str) -> Vec<String> {
    const ROOTS: [&str; 7] = ["scripts/", "bench/", "sim/", "fuzz/", "crates/", "docs/", ".ci/"];
    let code = code_lines(text).into_iter().chain(spans(text).into_iter().map(str::to_owned));
    let words: Vec<String> = code
        .flat_map(|line| line.split([' ', '=', '\'', '"']).map(str::to_owned).collect::<Vec<_>>())
        .map(|word| word.trim_start_matches("./").trim_end_matches([':', ',', '.', ';', ')', '/']).to_owned())
        .filter(|word| ROOTS.iter().any(|root| word.starts_with(root)))
        .collect();
    // Names in capitals stand for others, and so do patterns.
    let is_whole = |word: &String| {
        !word.contains(['*', '<', '$', '{']) && !["CRATE", "NN-"].iter().any(|name| word.contains(name))
    };
    words.into_iter().filter(is_whole).collect()
}

#[test]
fn files_that_documents_name_exist() {
    let mut found = 0;
    for (file, text) in documents() {
        let folder = root().join(Path::new(&file).parent().expect("a folder"));
        for name in named_files(&text) {
            // A crate's README may speak of its own folders; results and downloads are made when they are needed.
            let exists = root().join(&name).exists() || folder.join(&name).exists();
            let is_made = ["fuzz/corpus", "fuzz/artifacts"].iter().any(|made| name.starts_with(made));
            assert!(exists || is_made, "{file}: there is no {name}");
            found += 1;
        }
    }
    assert!(found > 30, "{found}");
}

#[test]
fn examples_that_documents_run_exist() {
    let mut found = 0;
    for (file, text) in documents() {
        let code = code_lines(&text).into_iter().chain(spans(&text).into_iter().map(str::to_owned));
        for line in code.filter(|line| line.contains("cargo ")) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let after = |option: &str| words.iter().position(|word| *word == option).map(|at| words[at + 1]);
            if let (Some(package), Some(example)) = (after("-p"), after("--example")) {
                let example = format!("crates/{}/examples/{example}.rs", package.trim_start_matches("switchboard-"));
                assert!(root().join(&example).exists(), "{file}: {line}: there is no {example}");
                found += 1;
            }
            if let Some(manifest) = after("--manifest-path") {
                assert!(root().join(manifest).exists(), "{file}: {line}");
            }
        }
    }
    assert!(found > 3, "{found}");
}

#[test]
fn named_files_are_found() {
    let text = "`scripts/mutants CRATE` `crates/CRATE/x`\n\n    bench/run --quick   # c\n\nsee scripts/none\n";
    assert_eq!(named_files(text), ["bench/run", "scripts/mutants"]);
}
