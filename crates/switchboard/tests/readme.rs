//! The examples of README and of the protocols' pages, run as they stand: the blocks below `<!-- run -->`, line by line, and the blocks of
//! Python.
//!
//! A line that ends with `# prints X` is a terminal of its own: it must print X, and may go on. One with `# runs X` must go on until its
//! block ends. Every other line must end with exit code 0, and with `# answers X` have printed X. Not run here: what compiles (`cargo`),
//! the rendering example, which needs a public site, and `pip install`.

mod common;

use common::{Broker, Lines, Program, poll, switchboard};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const MARK: &str = "<!-- run -->";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn document(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).expect("a file")
}

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

/// The blocks of Python.
fn python(text: &str) -> Vec<&str> {
    text.split("```python\n").skip(1).map(|rest| rest.split("```").next().expect("a block")).collect()
}

/// A line's command, the comment's verb (`prints`, `runs`, `answers`), and what it names.
fn parts(line: &str) -> (&str, Option<(&str, &str)>) {
    let Some((command, comment)) = line.split_once(" # ") else { return (line, None) };
    let expected = comment.split_once(' ').filter(|(verb, _)| ["prints", "runs", "answers"].contains(verb));
    (command.trim(), expected)
}

/// Longest time for a PostgreSQL to begin: it makes its data first, and writes all of it to the disk.
const BEGINNING: Duration = Duration::from_secs(120);

/// A PostgreSQL with an empty database, as long as the program runs and has its input.
fn database(directory: &Path) -> (Program, String) {
    let url = directory.join("url");
    let script = "echo \"$DATABASE_URL\" > url.new && mv url.new url; cat";
    let mut scratch = switchboard(&["rows", "scratch", "--", "sh", "-c", script]);
    let scratch = Program::start(scratch.current_dir(directory).stdin(Stdio::piped())).expect("it starts");
    let begun = Instant::now();
    while !url.exists() {
        assert!(begun.elapsed() < BEGINNING, "no database within {BEGINNING:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    (scratch, std::fs::read_to_string(url).expect("a file").trim().to_owned())
}

#[test]
fn the_examples_of_the_readme_work_as_they_stand() {
    let readme = document("README.md");
    let blocks = blocks(&readme);
    assert!(blocks.len() >= 6 && blocks.iter().all(|block| block.len() > 1), "{blocks:?}");
    let directory = tempfile::tempdir().expect("a directory");
    let (mut scratch, database) = database(directory.path());
    // The default ports, of an address that no other run has.
    let id = std::process::id();
    let host = format!("127.77.{}.{}", id / 250 % 250, id % 250 + 1);
    let ready = directory.path().join("ready.json");
    let mut up = switchboard(&["up", "--log", "off", "--listen", &format!("{host}:25000")]);
    up.args(["--http", &format!("{host}:25080"), "--set", &format!("monitor.listen={host}:8088")]);
    up.args(["--set", &format!("monitor.collect=tcp://{host}:5555")]);
    up.args(["--set", &format!("news.listen={host}:8080"), "--set", &format!("render.listen={host}:8050")]);
    up.args(["--set", &format!("rows.listen={host}:8000"), "--set", &format!("rows.database={database}")]);
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
        let line = line.replace("127.0.0.1:", &format!("{host}:"));
        let mut command = Command::new("sh");
        command.args(["-c", &line]).env("PATH", &path).env("SWITCHBOARD_URL", &host).current_dir(directory.path());
        command.stdin(Stdio::null());
        command
    };
    poll("rows are served", || {
        let answer = shell("curl -s http://127.0.0.1:8000/readyz").output().expect("curl, of the package curl");
        answer.stdout.starts_with(b"ready").then_some(())
    });
    for block in blocks {
        let mut terminals = Vec::new();
        for line in block {
            println!("{line}");
            let (command, expected) = parts(line);
            let Some((verb @ ("prints" | "runs"), printed)) = expected else {
                let output = shell(command).output().expect("sh");
                assert!(output.status.success(), "{line}: {output:?}");
                if let Some((_, answer)) = expected {
                    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), answer, "{line}");
                }
                continue;
            };
            // It ends with its reader otherwise.
            let mut started = shell(&format!("exec {command}"));
            let mut terminal = Program::start(started.stderr(Stdio::piped())).expect("sh");
            if command.contains(" listen ") {
                Lines::of(terminal.child.stderr.take().expect("a pipe")).find(&["Listening on "]);
            }
            terminals.push((terminal, line, (verb == "prints").then_some(printed)));
        }
        for (terminal, line, printed) in terminals.iter_mut().rev() {
            match printed {
                Some(printed) => terminal.until_contains(printed),
                None => assert_eq!(terminal.child.try_wait().expect("a child"), None, "{line}: it has ended"),
            }
            terminal.signal("-TERM");
            terminal.end();
        }
    }
    up.signal("-TERM");
    assert!(up.end().success());
    // Its command ends with its input.
    drop(scratch.child.stdin.take());
    assert!(scratch.end().success());
}

/// Runs a block of Python with the broker's ports in place of the default ones, and returns what it prints.
fn run_python(interpreter: &Path, code: &str, ports: [(&str, &str); 2]) -> String {
    let code = ports.iter().fold(code.to_owned(), |code, (default, own)| {
        assert!(!own.is_empty());
        code.replace(default, own)
    });
    let mut command = Command::new("timeout");
    let output = command.arg("60").arg(interpreter).args(["-c", &code]).output().expect("timeout");
    assert!(output.status.success(), "{code}\n{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn the_clients_in_python_work_as_they_stand() {
    let broker = Broker::start(&["--stomp", "127.0.0.1:0"]);
    let native = broker.native[0].rsplit_once(':').expect("a port").1;
    // The native port answers STOMP as well.
    let ports = [("25000", native), ("61613", native)];
    let protocol = document("docs/protocol.md");
    let [client] = python(&protocol)[..] else { panic!("one block: {:?}", python(&protocol)) };
    assert_eq!(run_python(Path::new("python3"), client, ports), "b'hello'\n");
    assert!((20..30).contains(&client.lines().count()), "README says 25 lines: {}", client.lines().count());

    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let stomp = root().join(target).join("stomp-python/bin/python");
    assert!(stomp.exists(), "stomp.py is missing; scripts/test installs it in {}", stomp.display());
    let run = |block: &str| run_python(&stomp, block, ports);
    let readme = document("README.md");
    let [worker] = python(&readme)[..] else { panic!("one block: {:?}", python(&readme)) };
    assert_eq!(run(worker), "hello\n");
    // Acked: it does not come back.
    let status = broker.status();
    let queue = status["channels"].as_array().expect("a list").iter().find(|channel| channel["name"] == "/queue/work");
    assert_eq!(queue.map_or(0, |queue| queue["depth"].as_u64().expect("a number")), 0, "{status}");
    let page = document("docs/stomp.md");
    assert!(!python(&page).is_empty());
    python(&page).into_iter().for_each(|block| drop(run(block)));
}

#[test]
fn no_example_of_the_readme_needs_what_a_fresh_clone_lacks() {
    let readme = document("README.md");
    for line in readme.lines().filter(|line| line.starts_with("    ")) {
        // RFC 2606: names that never resolve.
        let reserved = [".example", ".invalid", ".test"].iter().find(|name| line.contains(*name));
        assert_eq!(reserved, None, "{line}");
        let mut files = line.split([' ', '\'']).filter(|word| word.ends_with(".py"));
        assert_eq!(files.find(|file| !root().join(file).exists()), None, "{line}");
    }
}

#[test]
fn marked_blocks_are_found() {
    let text = "a\n\n<!-- run -->\n\n    b   # c\n    d\n\n    e\n<!-- run -->\n\n    f\nend\n    g\n";
    assert_eq!(blocks(text), [vec!["b   # c", "d"], vec!["f"]]);
    assert_eq!(python("a\n```python\nb\n```\n```sh\nc\n```\n"), ["b\n"]);
    assert_eq!(parts("a   # prints b c"), ("a", Some(("prints", "b c"))));
    assert_eq!(parts("a # answers {\"b\": 1}"), ("a", Some(("answers", "{\"b\": 1}"))));
    assert_eq!(parts("a # runs for b"), ("a", Some(("runs", "for b"))));
    assert_eq!(parts("a   # says b"), ("a", None));
    assert_eq!(parts("a '#b'"), ("a '#b'", None));
}
