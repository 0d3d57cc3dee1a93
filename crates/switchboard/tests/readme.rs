//! README's examples, run as they stand: the blocks below `<!-- run -->`, line by line.
//!
//! A line that ends with `# prints X` is a terminal of its own: it must print X, and may go on. Every other line must
//! end with exit code 0.

mod common;

use common::{Lines, Program, poll, switchboard};
use std::path::Path;
use std::process::{Command, Stdio};

const MARK: &str = "<!-- run -->";

/// The lines of each marked block.
fn blocks(text: &str) -> Vec<Vec<&str>> {
    text.split(MARK)
        .skip(1)
        .map(|rest| {
            let lines = rest.lines().skip_while(|line| line.is_empty());
            lines.take_while(|line| line.starts_with("    ")).map(str::trim).collect()
        })
        .collect()
}

#[test]
fn the_examples_of_the_readme_work_as_they_stand() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = std::fs::read_to_string(readme).expect("a file");
    let blocks = blocks(&readme);
    assert!(blocks.len() >= 3 && blocks.iter().all(|block| block.len() > 1), "{blocks:?}");
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("worker.py"), "import time\ntime.sleep(1.5)\n").expect("written");
    // The default ports, of an address that no other run has.
    let id = std::process::id();
    let host = format!("127.77.{}.{}", id / 250 % 250, id % 250 + 1);
    let ready = directory.path().join("ready.json");
    let mut up = switchboard(&["up", "--log", "off", "--listen", &format!("{host}:25000")]);
    up.args(["--http", &format!("{host}:25080"), "--set", &format!("monitor.listen={host}:8088")]);
    up.args(["--set", &format!("monitor.collect=tcp://{host}:5555")]);
    up.args(["--set", &format!("news.listen={host}:8080"), "--set", &format!("render.listen={host}:8050")]);
    // No example asks for rows: they need no PostgreSQL here.
    up.args([
        "--set",
        &format!("rows.listen={host}:8000"),
        "--set",
        "rows.database=postgres://nobody@127.0.0.1:1/none",
    ]);
    // The examples' sites are not for tests.
    let sites = directory.path().join("own.toml");
    std::fs::write(&sites, "[[site]]\nname = \"a\"\nurl = \"http://127.0.0.1:1/\"\n").expect("written");
    up.arg("--set").arg(format!("news.sites={}", sites.display()));
    up.arg("--data").arg(directory.path().join("data")).arg("--ready-file").arg(&ready);
    let mut up = Program::start(&mut up).expect("it starts");
    let said = poll("it is ready", || std::fs::read_to_string(&ready).ok());
    assert!(!said.contains("down"), "{said}");

    let program = Path::new(env!("CARGO_BIN_EXE_switchboard")).parent().expect("a directory");
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    let shell = |line: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", line]).env("PATH", &path).env("SWITCHBOARD_URL", &host).current_dir(directory.path());
        command.stdin(Stdio::null());
        command
    };
    for block in blocks {
        let mut terminals = Vec::new();
        for line in block {
            println!("{line}");
            let Some((command, printed)) = line.split_once("# prints ") else {
                let output = shell(line).output().expect("sh");
                assert!(output.status.success(), "{line}: {output:?}");
                continue;
            };
            // It ends with its reader otherwise.
            let mut started = shell(&format!("exec {command}"));
            let mut terminal = Program::start(started.stderr(Stdio::piped())).expect("sh");
            if command.contains(" listen ") {
                Lines::of(terminal.child.stderr.take().expect("a pipe")).find(&["Listening on "]);
            }
            terminals.push((terminal, printed));
        }
        for (terminal, printed) in &mut terminals {
            terminal.until_contains(printed);
            terminal.signal("-TERM");
            terminal.end();
        }
    }
    up.signal("-TERM");
    assert!(up.end().success());
}

#[test]
fn marked_blocks_are_found() {
    let text = "a\n\n<!-- run -->\n\n    b   # c\n    d\n\n    e\n<!-- run -->\n\n    f\nend\n    g\n";
    assert_eq!(blocks(text), [vec!["b   # c", "d"], vec!["f"]]);
}
