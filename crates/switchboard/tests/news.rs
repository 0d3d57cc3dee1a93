//! The page of headlines and the rendering service, as the program runs them.

#[path = "news/commands.rs"]
mod commands;
mod common;
#[path = "news/offline.rs"]
mod offline;

use common::{Lines, PATIENCE, Program, Site, poll, switchboard};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use tempfile::TempDir;

const PAGE: &str = "<a href=/1>First headline</a><a href=/2>Second headline</a>";
const LATE: &str = "<p id=p></p><script>setTimeout(() => p.innerHTML = '<a href=/3>Late headline</a>', 500)</script>";
/// A site that the guard refuses.
const REFUSED: &str = "[[site]]\nname = \"Refused\"\nurl = \"http://127.0.0.1:1/\"\nmode = \"fetch\"\n";

/// The program with one of the commands, on free ports, with a sites file of the test's.
struct Run {
    program: Program,
    log: Lines,
    ready: Value,
    data: PathBuf,
    sites: PathBuf,
    _base: TempDir,
}

impl Run {
    fn start(command: &str, sites: &str, args: &[&str]) -> Run {
        Run::start_in(base(), command, sites, args)
    }

    fn start_in(base: TempDir, command: &str, sites: &str, args: &[&str]) -> Run {
        let (data, file, ready) =
            (base.path().join("data"), base.path().join("sites.toml"), base.path().join("ready.json"));
        std::fs::write(&file, sites).expect("written");
        let mut program = switchboard(&[command, "--listen", "127.0.0.1:0"]);
        if command != "render" {
            program.arg("--set").arg(format!("news.sites={}", file.display()));
        }
        program.args(args).arg("--data").arg(&data).arg("--ready-file").arg(&ready).stderr(Stdio::piped());
        let mut program = Program::start(&mut program).expect("it starts");
        let log = Lines::of(program.child.stderr.take().expect("a pipe"));
        let text = poll("it is ready", || {
            let ended = program.child.try_wait().expect("a process");
            assert!(ended.is_none(), "it ended: {:?}", log.all());
            std::fs::read_to_string(&ready).ok()
        });
        Run { program, log, ready: serde_json::from_str(&text).expect("JSON"), data, sites: file, _base: base }
    }

    fn up(sites: &str, args: &[&str]) -> Run {
        Run::up_in(base(), sites, args)
    }

    fn up_in(base: TempDir, sites: &str, args: &[&str]) -> Run {
        let common = [
            "--http",
            "127.0.0.1:0",
            "--set",
            "monitor.listen=",
            "--set",
            "rows.listen=",
            "--set",
            "news.listen=127.0.0.1:0",
        ];
        Run::start_in(base, "up", sites, &[&common[..], &["--set", "render.listen=127.0.0.1:0"], args].concat())
    }

    fn address(&self, service: &str) -> &str {
        self.ready[service][0].as_str().unwrap_or_else(|| panic!("{service}: {}", self.ready))
    }

    fn get(&self, service: &str, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address(service)).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE * 3)).expect("a socket");
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer.split_once("\r\n\r\n").expect("a body").1.to_owned()
    }

    /// The titles on the page, and the state of its first site.
    fn shown(&self) -> (Vec<String>, Value) {
        let page: Value = serde_json::from_str(&self.get("news", "/news.json")).expect("JSON");
        let titles = page["headlines"].as_array().expect("a list").iter();
        (titles.map(|item| item["title"].as_str().expect("text").to_owned()).collect(), page["sites"][0].clone())
    }

    fn stop(mut self) {
        self.program.signal("-TERM");
        assert_eq!(self.program.end().code(), Some(0), "{:?}", self.log.all());
    }
}

/// A directory that another user can pass through, as Chromium's has to be.
fn base() -> TempDir {
    let base = tempfile::tempdir().expect("a directory");
    std::fs::set_permissions(base.path(), PermissionsExt::from_mode(0o711)).expect("a mode");
    base
}

fn listen(run: &Run, topic: &str) -> Program {
    let mut command = switchboard(&["listen", topic, "--server", run.address("native")]);
    let mut program = Program::start(command.stderr(Stdio::piped())).expect("it starts");
    Lines::of(program.child.stderr.take().expect("a pipe")).find(&["Listening on "]);
    program
}

#[test]
fn new_headlines_and_broken_rules_are_published_at_the_programs_own_broker() {
    let site = Site::start(PAGE);
    let run = Run::up(REFUSED, &["--set", &format!("news.allow={}", site.pair)]);
    let (news, alerts) = (listen(&run, "/topic/news"), listen(&run, "/topic/alerts"));
    // A change of the file is picked up, when both listen.
    std::fs::write(&run.sites, site.table("Local", "mode = \"fetch\"\nttl = \"10s\"")).expect("written");
    let message: Value = serde_json::from_str(&news.line().expect("a message")).expect("JSON");
    assert_eq!((&message["site"], &message["title"]), (&"Local".into(), &"First headline".into()), "{message}");
    assert!(message["url"].as_str().is_some_and(|url| url.ends_with("/1")) && message["seen"].is_string(), "{message}");
    poll("both are shown", || (run.shown().0 == ["First headline", "Second headline"]).then_some(()));
    site.set("<p>No links any more</p>");
    std::fs::write(&run.sites, site.table("Local", "mode = \"fetch\"\nttl = \"11s\"")).expect("written");
    let alert: Value = serde_json::from_str(&alerts.line().expect("an alert")).expect("JSON");
    assert_eq!((&alert["kind"], &alert["name"]), (&"rule_broken".into(), &"Local".into()), "{alert}");
    // The page shows the last good result.
    assert_eq!(run.shown().0, ["First headline", "Second headline"]);
    let status = run.get("http", "/status");
    assert!(status.contains("\"service\":\"news\""), "{status}");
    assert_eq!(run.get("http", "/readyz"), "ready\nbroker: running\nnews: running\nrender: running\n");
    run.program.lines.find(&["news, page", run.address("news")]);
    run.program.lines.find(&["rendering service", run.address("render")]);
    run.stop();
}

#[test]
fn headlines_that_only_scripts_show_are_rendered_by_the_programs_chromium_and_nothing_is_left_after_a_kill() {
    let site = Site::start(LATE);
    let allow = format!("news.allow={0}", site.pair);
    let allow_render = format!("render.allow={0}", site.pair);
    let table = site.table("Late", "wait_for = \"a\"");
    let mut run = Run::up(&table, &["--set", &allow, "--set", &allow_render, "--set", "render.start-timeout=5m"]);
    poll_long("it is rendered", || (run.shown().0 == ["Late headline"]).then_some(()));
    assert_eq!(run.shown().1["source"], "render");
    let html = run.get("render", &format!("/render.html?url=http://{}/&wait_for=a&timeout=60", site.pair));
    assert!(html.contains("Late headline"), "{html}");
    // One Chromium for both.
    let directories = || std::fs::read_dir(run.data.join("render")).expect("a directory").count();
    assert_eq!(directories(), 1);
    let marks: Vec<String> = names(&run.data.join("render"));
    // Processes that render pages have overwritten their environment.
    assert!(marked(&marks) > 0);
    run.program.child.kill().expect("killed");
    run.program.end();
    poll("no directory is left", || (directories() == 0).then_some(()));
    poll("no process is left", || (marked(&marks) == 0).then_some(()));
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a directory").filter_map(Result::ok);
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Processes that carry one of these marks in their environment.
fn marked(marks: &[String]) -> usize {
    let processes = std::fs::read_dir("/proc").expect("/proc").filter_map(Result::ok);
    let environments = processes.filter_map(|process| std::fs::read(process.path().join("environ")).ok());
    environments
        .filter(|environment| {
            let text = String::from_utf8_lossy(environment);
            marks.iter().any(|mark| text.contains(&format!("SWITCHBOARD_CHILD={mark}")))
        })
        .count()
}

/// Chromium's start takes a while on a busy machine.
fn poll_long<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    for _ in 0..4 {
        let until = std::time::Instant::now() + PATIENCE;
        while std::time::Instant::now() < until {
            if let Some(answer) = ask() {
                return answer;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
    panic!("not in time: {what}")
}

#[test]
fn without_a_chromium_the_page_says_what_is_missing_and_other_sites_work() {
    let site = Site::start(PAGE);
    let sites = format!("{}{}", site.table("Late", "mode = \"render\""), site.table("Plain", "mode = \"fetch\""));
    let set = ["--set", "render.program=no-such-program", "--allow", &site.pair];
    let run = Run::start("news", &sites, &set);
    poll("the plain site is shown", || (run.shown().0.len() == 2).then_some(()));
    let reason = poll("the other one says why", || run.shown().1["reason"].as_str().map(str::to_owned));
    assert!(reason.contains("no-such-program") && reason.contains("apt-get install chromium"), "{reason}");
    run.log.find(&["no page can be rendered", "apt-get install chromium"]);
    run.stop();
}

#[test]
fn a_page_that_cannot_start_stops_nothing_else_and_is_tried_again() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let run = Run::up(REFUSED, &["--set", &format!("news.listen={address}")]);
    let reason = run.ready["down"]["news"].as_str().expect("a reason");
    assert!(reason.contains(&address), "{reason}");
    assert!(run.get("http", "/readyz").contains("news: down\nrender: running"));
    drop(taken);
    run.log.find(&["news runs now"]);
    run.stop();
}

#[test]
fn a_folder_is_used_by_one_page_at_a_time_and_by_any_number_of_renderers() {
    let run = Run::start("news", REFUSED, &[]);
    let data = run.data.to_str().expect("text");
    let second = output(&["news", "--listen", "127.0.0.1:0", "--data", data, "--log", "off"]);
    assert_eq!(second.status.code(), Some(1), "{second:?}");
    let folder = run.data.join("news");
    let reason =
        format!("another Switchboard uses {}; choose another data directory with --data DIR", folder.display());
    assert_eq!(text(&second.stderr), format!("switchboard: {reason}\n"));
    run.stop();

    let run = Run::start("render", "", &[]);
    let data = run.data.to_str().expect("text");
    let mut second = switchboard(&["render", "--listen", "127.0.0.1:0", "--data", data]);
    let mut second = Program::start(&mut second).expect("it starts");
    second.until_contains("render");
    second.signal("-TERM");
    assert_eq!(second.end().code(), Some(0));
    run.stop();
}

#[test]
fn a_page_whose_folder_is_in_use_starts_when_that_is_free() {
    let base = base();
    let folder = base.path().join("data/news");
    std::fs::DirBuilder::new().recursive(true).mode(0o711).create(&folder).expect("a folder");
    let lock = std::fs::File::create(folder.join("lock")).expect("a file");
    lock.try_lock().expect("it is free");
    let run = Run::up_in(base, REFUSED, &[]);
    let reason = run.ready["down"]["news"].as_str().expect("a reason");
    assert!(reason.starts_with("another Switchboard uses "), "{reason}");
    assert!(run.get("http", "/readyz").contains("news: down"));
    drop(lock);
    run.log.find(&["news runs now"]);
    run.stop();
}

fn output(args: &[&str]) -> Output {
    switchboard(args).output().expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_bad_sites_file_is_explained_by_check_and_refused_by_news() {
    let base = tempfile::tempdir().expect("a directory");
    let file = base.path().join("sites.toml");
    let path = file.to_str().expect("text");
    let examples = output(&["news", "examples"]);
    std::fs::write(&file, &examples.stdout).expect("written");
    let good = output(&["news", "check", path]);
    assert_eq!((good.status.code(), text(&good.stdout)), (Some(0), format!("{path} is right: 2 sites.\n")));
    let verdict = output(&["news", "check", "--json", path]);
    let right = serde_json::json!({ "file": path, "right": true, "sites": 2 });
    assert_eq!(serde_json::from_slice::<Value>(&verdict.stdout).expect("JSON"), right);
    std::fs::write(&file, "[[site]]\nname = \"a\"\nurl = \"x\"\nttl = \"1s\"\n").expect("written");
    let bad = output(&["news", "check", path]);
    let error = text(&bad.stderr);
    assert_eq!(bad.status.code(), Some(1), "{error}");
    assert_eq!(error.lines().filter(|line| line.starts_with(&format!("{path}: line "))).count(), 2, "{error}");
    assert!(error.contains("line 3") && error.contains("line 4"), "{error}");
    let verdict = output(&["news", "check", path, "--json"]);
    let faults = serde_json::from_slice::<Value>(&verdict.stdout).expect("JSON");
    assert_eq!((verdict.status.code(), &faults["right"], &faults["file"]), (Some(1), &false.into(), &path.into()));
    assert_eq!((&faults["faults"][0]["line"], &faults["faults"][1]["site"]), (&3.into(), &"a".into()), "{faults}");
    // A wrong color does not stop the site, and is a fault of the file.
    std::fs::write(&file, "[[site]]\nname = \"a\"\nurl = \"http://a.example\"\ncolor = \"blu\"\n").expect("written");
    assert_eq!(output(&["news", "check", path]).status.code(), Some(1));
    // No site can be told from it.
    std::fs::write(&file, "[[site]\n").expect("written");
    let data = base.path().join("data");
    let data = data.to_str().expect("text");
    let none = output(&["news", "--listen", "127.0.0.1:0", "--sites", path, "--data", data, "--log", "off"]);
    assert_eq!(none.status.code(), Some(1), "{none:?}");
    assert!(text(&none.stderr).contains("line 1"), "{none:?}");
    let missing = base.path().join("missing.toml");
    for usage in [
        &["news", "check"][..],
        &["news", "check", missing.to_str().expect("text")],
        &["news", "check", "--config", missing.to_str().expect("text")],
        &["news", "check", "--no-such-option"],
        &["news", "test", "None", "--data", data],
        &["news", "suggest", "ftp://a.example/"],
    ] {
        assert_eq!(output(usage).status.code(), Some(2), "{usage:?}");
    }
}

#[test]
fn a_site_that_fails_is_logged_once_and_the_banner_says_how_many_hosts_are_asked() {
    let site = Site::start(PAGE);
    let run = Run::start("news", &site.table("Local", "mode = \"fetch\"\nttl = \"10s\""), &[]);
    // The guard refuses it.
    run.log.find(&["WARN", "Local: ", "refused", "--allow"]);
    run.program.lines.find(&["news, asks", "1 host, by ", "sites.toml"]);
    let first = run.shown().1["tried"].clone();
    poll_long("it is asked again", || (run.shown().1["tried"] != first).then_some(()));
    let logged = |run: &Run| run.log.all().iter().filter(|line| line.contains("Local: ")).count();
    assert_eq!(logged(&run), 1, "{:?}", run.log.all());
    run.stop();
}

#[test]
fn suggest_without_a_scheme_asks_by_https_and_says_so() {
    let base = tempfile::tempdir().expect("a directory");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let asked = output(&["news", "suggest", &address, "--data", base.path().to_str().expect("text")]);
    let error = text(&asked.stderr);
    assert_eq!(asked.status.code(), Some(1), "{error}");
    assert!(error.contains(&format!("No scheme was given: https://{address}/ is asked.")), "{error}");
    // The guard's refusal is not one of robots.txt.
    assert!(error.contains("refused") && !error.contains("robots.txt"), "{error}");
}

#[test]
fn each_help_names_its_own_default_port() {
    for (command, port, other) in [("news", "8080", "8050"), ("render", "8050", "8080")] {
        let help = text(&output(&[command, "--help"]).stdout);
        let listen = help.split("--listen").nth(1).expect("the option").split("\n  -").next().expect("its text");
        assert!(listen.contains(port) && !listen.contains(other), "{listen}");
    }
}

#[test]
fn a_render_service_without_its_allow_list_reaches_nothing_private() {
    let site = Site::start(PAGE);
    let run = Run::start("render", "", &["--set", "render.start-timeout=5m"]);
    let answer = run.get("render", &format!("/render.html?url=http://{}/&timeout=60", site.pair));
    assert!(answer.contains("RenderError") && answer.contains("--allow"), "{answer}");
    assert!(run.get("render", "/").contains("/render.html"));
    run.stop();
}
