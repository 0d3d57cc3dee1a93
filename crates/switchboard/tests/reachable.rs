//! Services that other machines reach, tried from another machine: a network namespace.

mod common;

use common::{BROKER_AND_MONITOR, Lines, Machine, Network, Program, SERVER, poll, switchboard};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use tempfile::TempDir;

/// `switchboard up` on the first machine.
struct Up {
    network: Network,
    program: Program,
    log: Lines,
    broker: String,
    monitor: String,
    collect: String,
    data: PathBuf,
    _directory: TempDir,
}

const OPEN: &[&str] =
    &["--http", "0.0.0.0:0", "--set", "monitor.listen=0.0.0.0:0", "--set", "monitor.collect=tcp://0.0.0.0:0"];
const PAGE_OPEN: &[&str] =
    &["--http", "127.0.0.1:0", "--set", "monitor.listen=0.0.0.0:0", "--set", "monitor.collect=tcp://127.0.0.1:0"];

impl Up {
    fn start(args: &[&str]) -> Up {
        Up::with_token(args, None)
    }

    fn with_token(args: &[&str], token: Option<&str>) -> Up {
        let network = Network::new();
        let directory = tempfile::tempdir().expect("a directory");
        let (data, ready) = (directory.path().join("state"), directory.path().join("ready"));
        let data_path = data.display().to_string();
        let ready_path = ready.display().to_string();
        let common = ["up", "--listen", "127.0.0.1:0", "--ready-file", &ready_path, "--data", &data_path];
        let mut command = switchboard(&[&common, &BROKER_AND_MONITOR[..], args].concat());
        command.env_remove("SWITCHBOARD_TOKEN");
        if let Some(token) = token {
            command.env("SWITCHBOARD_TOKEN", token);
        }
        let mut program =
            Program::start(network.on(Machine::Server, &command).stderr(Stdio::piped())).expect("it starts");
        let log = Lines::of(program.child.stderr.take().expect("a pipe"));
        let ready: Value = poll("the services are ready", || {
            let ended = program.child.try_wait().expect("a process");
            assert!(ended.is_none(), "it ended: {:?}", log.all());
            serde_json::from_str(&std::fs::read_to_string(&ready).ok()?).ok()
        });
        let port =
            |address: &Value| address.as_str().and_then(|text| text.rsplit_once(':')).expect("a port").1.to_owned();
        let (broker, monitor, collect) = (port(&ready["http"][0]), port(&ready["monitor"][0]), port(&ready["collect"]));
        Up { network, program, log, broker, monitor, collect, data, _directory: directory }
    }

    fn token(&self) -> String {
        std::fs::read_to_string(self.data.join("token")).expect("a token was made").trim().to_owned()
    }

    /// From the other machine.
    fn status(&self, port: &str, line: &str, headers: &str) -> u16 {
        self.status_from(Machine::Client, SERVER, port, line, headers)
    }

    fn status_from(&self, machine: Machine, host: &str, port: &str, line: &str, headers: &str) -> u16 {
        let named = if headers.contains("Host: ") { String::new() } else { format!("Host: {host}:{port}\r\n") };
        let request = format!("{line} HTTP/1.1\r\n{named}Connection: close\r\n{headers}\r\n");
        let answer = self.network.ask(machine, host, port, &request);
        answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{line}: {answer:?}"))
    }

    /// One of the program's commands, with the token in the environment.
    fn command(&self, machine: Machine, token: Option<&str>, args: &[&str]) -> Output {
        let mut command = switchboard(args);
        command.env_remove("SWITCHBOARD_TOKEN");
        if let Some(token) = token {
            command.env("SWITCHBOARD_TOKEN", token);
        }
        self.network.on(machine, &command).output().expect("it runs")
    }

    /// Runs an agent that reports a process under this name; returns what it has to say.
    fn agent(&self, machine: Machine, token: Option<&str>, to: &str, name: &str) -> String {
        let args = ["agent", "--server", to, "--linger", "20", "--service", name, "--", "sleep", "0.3"];
        let output = self.command(machine, token, &args);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// The services that the monitor knows.
    fn known(&self, token: &str) -> Vec<String> {
        let request = format!("GET /api/processes HTTP/1.0\r\nHost: {SERVER}\r\nAuthorization: Bearer {token}\r\n\r\n");
        let answer = self.network.ask(Machine::Client, SERVER, &self.monitor, &request);
        let body = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}")).1;
        let known: Value = serde_json::from_str(body).expect("JSON");
        let services = known["processes"].as_array().expect("a list").iter();
        services.filter_map(|process| process["service"].as_str()).map(str::to_owned).collect()
    }
}

#[test]
fn beyond_loopback_only_probes_are_answered_without_the_token() {
    let up = Up::start(OPEN);
    let token = up.token();
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let broker = [
        "GET /",
        "GET /status",
        "GET /metrics",
        "GET /none",
        "POST /queues/purge?name=/queue/a",
        "POST /kick?connection=1",
    ];
    let monitor = ["GET /", "GET /feed", "GET /metrics", "GET /api/processes", "GET /main.js", "POST /api/samples"];
    let every = || [(&up.broker, &broker), (&up.monitor, &monitor)];
    for (port, lines) in every() {
        for line in lines {
            assert_eq!(up.status(port, line, ""), 401, "{line}");
        }
        for line in ["GET /healthz", "GET /readyz"] {
            assert_eq!(up.status(port, line, ""), 200, "{line}");
        }
        assert_eq!(up.status(port, "GET /metrics", &bearer), 200);
        // Neither with nor without the token by a name that may have been rebound.
        for headers in ["Host: evil.example\r\n".to_owned(), format!("Host: evil.example\r\n{bearer}")] {
            assert_eq!(up.status(port, "GET /", &headers), 421);
        }
    }
    // A proxy on the same machine opens nothing.
    for host in ["127.0.0.1", SERVER] {
        for (port, lines) in every() {
            for line in [lines[0], "POST /queues/purge?name=/queue/a"] {
                assert_eq!(up.status_from(Machine::Server, host, port, line, ""), 401, "{host} {line}");
            }
        }
    }
    let mode = |path: &std::path::Path| path.metadata().expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&up.data.join("token")), mode(&up.data)), (0o600, 0o700));
    assert_eq!(mode(&up.data.join("monitor")), 0o700);
    up.program.lines.find(&["broker, page and API", &format!("http://{SERVER}:{}/", up.broker)]);
    up.program.lines.find(&["monitor, page", &format!("http://{SERVER}:{}/", up.monitor)]);
    up.program.lines.find(&["access token", &up.data.join("token").display().to_string()]);
    up.program.lines.find(&["without TLS: the access token and all data can be read"]);
    // Neither a journal nor a log keeps the token.
    assert!([up.program.lines.all(), up.log.all()].concat().iter().all(|line| !line.contains(&token)));
}

#[test]
fn names_and_open_metrics_are_settings_of_all_services() {
    let up = Up::start(&[OPEN, &["--set", "hosts=switchboard.example", "--set", "metrics-open=true"]].concat());
    for port in [&up.broker, &up.monitor] {
        assert_eq!(up.status(port, "GET /metrics", "Host: switchboard.example\r\n"), 200);
        assert_eq!(up.status(port, "GET /", "Host: switchboard.example\r\n"), 401);
        assert_eq!(up.status(port, "GET /metrics", "Host: other.example\r\n"), 421);
    }
}

#[test]
fn what_listens_on_loopback_is_reached_from_there_only_and_by_both_addresses() {
    let up = Up::start(&[
        "--http",
        "127.0.0.1:0",
        "--set",
        "monitor.listen=127.0.0.1:0",
        "--set",
        "monitor.collect=tcp://127.0.0.1:0",
    ]);
    assert!(!up.data.join("token").exists());
    for port in [&up.broker, &up.monitor] {
        for host in ["127.0.0.1", "::1", "localhost"] {
            let headers = if host == "::1" { "Host: [::1]\r\n" } else { "" };
            assert_eq!(up.status_from(Machine::Server, host, port, "GET /", headers), 200, "{host}");
        }
        assert_eq!(up.network.ask(Machine::Client, SERVER, port, "GET /healthz HTTP/1.0\r\n\r\n"), "");
    }
}

#[test]
fn commands_take_the_token_from_the_environment_or_an_option() {
    let up = Up::start(OPEN);
    let token = up.token();
    let (broker, monitor) = (format!("{SERVER}:{}", up.broker), format!("{SERVER}:{}", up.monitor));
    let page = format!("http://{monitor}");
    let commands: [&[&str]; 4] = [
        &["status", "--server", &broker],
        &["top", "--once", "--server", &monitor],
        &["queues", "purge", "/queue/none", "--yes", "--server", &broker],
        &["kick", "999", "--server", &broker],
    ];
    for args in commands {
        let refused = up.command(Machine::Client, None, args);
        let error = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && error.contains("SWITCHBOARD_TOKEN"), "{args:?}: {error}");
        let wrong = up.command(Machine::Client, Some("0123456789abcdef"), args);
        let error = String::from_utf8_lossy(&wrong.stderr).into_owned();
        assert!(!wrong.status.success() && error.contains("refuses this token"), "{args:?}: {error}");
        let option = [args, &["--token", &token]].concat();
        for output in [up.command(Machine::Client, Some(&token), args), up.command(Machine::Client, None, &option)] {
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            // There is no such queue, and no such connection.
            let answered = output.status.success() || error.contains("no queue") || error.contains("no connection");
            assert!(answered, "{args:?}: {error}");
        }
    }
    assert_eq!(up.agent(Machine::Client, Some(&token), &page, "by-http"), "");
    let lost = up.command(
        Machine::Client,
        None,
        &["agent", "--server", &page, "--linger", "2", "--service", "lost", "--", "true"],
    );
    assert!(!lost.stderr.is_empty(), "{lost:?}");
    let known = up.known(&token);
    assert!(known.contains(&"by-http".to_owned()) && !known.contains(&"lost".to_owned()), "{known:?}");
}

#[test]
fn an_agent_reports_to_a_collector_on_loopback_whether_it_has_the_token_or_not() {
    let up = Up::start(PAGE_OPEN);
    let token = up.token();
    let to = format!("tcp://127.0.0.1:{}", up.collect);
    assert_eq!(up.agent(Machine::Server, Some(&token), &to, "with"), "");
    assert_eq!(up.agent(Machine::Server, None, &to, "without"), "");
    let known = up.known(&token);
    assert!(["with", "without"].iter().all(|name| known.contains(&(*name).to_owned())), "{known:?}");
}

#[test]
fn an_agent_reports_to_an_open_collector_with_the_token_and_is_told_that_it_needs_it() {
    let up = Up::start(OPEN);
    let token = up.token();
    let (local, remote) = (format!("tcp://127.0.0.1:{}", up.collect), format!("tcp://{SERVER}:{}", up.collect));
    assert_eq!(up.agent(Machine::Server, Some(&token), &local, "local"), "");
    assert_eq!(up.agent(Machine::Client, Some(&token), &remote, "remote"), "");
    for (given, hint) in [(None, "SWITCHBOARD_TOKEN"), (Some("0123456789abcdef"), "not been delivered")] {
        let args = ["agent", "--server", &remote, "--linger", "2", "--service", "refused", "--", "sleep", "0.3"];
        let output = up.command(Machine::Client, given, &args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(hint) || given.is_some() && !said.is_empty(), "{said}");
    }
    let known = up.known(&token);
    assert!(["local", "remote"].iter().all(|name| known.contains(&(*name).to_owned())), "{known:?}");
    assert!(!known.contains(&"refused".to_owned()), "{known:?}");
}

#[test]
fn a_token_of_the_environment_is_that_of_every_service() {
    const TOKEN: &str = "0123456789+&%=abcdef";
    let up = Up::with_token(OPEN, Some(TOKEN));
    assert!(!up.data.join("token").exists());
    for port in [&up.broker, &up.monitor] {
        assert_eq!(up.status(port, "GET /", &format!("Authorization: Bearer {TOKEN}\r\n")), 200);
        assert_eq!(up.status(port, "GET /?token=0123456789%2B%26%25%3Dabcdef", ""), 303);
        assert_eq!(up.status(port, "GET /", ""), 401);
    }
    let to = format!("tcp://{SERVER}:{}", up.collect);
    assert_eq!(up.agent(Machine::Client, Some(TOKEN), &to, "chosen"), "");
    assert!(up.known(TOKEN).contains(&"chosen".to_owned()));
}

#[test]
fn a_token_that_cannot_be_used_is_refused_at_the_start() {
    for (token, why) in [("short", "16"), ("0123456789 abcdef", "blanks"), ("0123456789abcd\u{e9}", "ASCII")] {
        for output in [
            switchboard(&["broker", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"])
                .env("SWITCHBOARD_TOKEN", token)
                .output(),
            switchboard(&["broker", "--listen", "127.0.0.1:0", "--set", &format!("http.token={token}")]).output(),
        ] {
            let output = output.expect("it runs");
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success() && error.contains(why), "{token}: {error}");
        }
    }
}
