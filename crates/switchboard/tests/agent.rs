//! A command under the agent behaves as without it.

mod common;

use common::{Broker, Program, switchboard};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// Nobody listens there, and nobody has to.
const NOWHERE: &str = "tcp://127.0.0.1:1";

fn agent(args: &[&str]) -> Command {
    switchboard(&[&["agent", "--server", NOWHERE, "--linger", "0"], args].concat())
}

fn run(args: &[&str]) -> Output {
    agent(args).output().expect("the program starts")
}

fn shell(script: &str) -> Program {
    Program::start(&mut agent(&["--", "sh", "-c", script])).expect("the program starts")
}

/// Returns a process's state by /proc: R, S, T ...; `None` if there is no such process.
fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat[stat.rfind(')')? + 2..].chars().next()
}

#[test]
fn the_exit_code_is_the_commands() {
    for code in [0, 1, 7, 255] {
        assert_eq!(run(&["--", "sh", "-c", &format!("exit {code}")]).status.code(), Some(code));
    }
}

#[test]
fn a_command_that_a_signal_has_ended_gives_128_and_the_signal() {
    for (signal, code) in [("TERM", 143), ("KILL", 137), ("SEGV", 139)] {
        assert_eq!(run(&["--", "sh", "-c", &format!("kill -{signal} $$")]).status.code(), Some(code));
    }
}

#[test]
fn a_command_that_is_not_there_gives_127_and_one_that_cannot_be_run_126() {
    let output = run(&["--", "no-such-command"]);
    assert_eq!(output.status.code(), Some(127));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "switchboard agent: no-such-command: there is no such command\n"
    );
    assert_eq!(run(&["--", "/"]).status.code(), Some(126));
}

/// The result of a command with a limit of open files.
fn with_files(files: usize, arguments: &[&str]) -> Output {
    let mut shell = Command::new("bash");
    let program = switchboard(arguments);
    shell.args(["-c", &format!("ulimit -n {files} && exec \"$0\" \"$@\"")]);
    shell.arg(program.get_program()).args(program.get_args()).output().expect("the program starts")
}

#[test]
fn with_too_few_files_a_command_is_not_started_and_the_limit_is_named() {
    let agent = ["agent", "--server", NOWHERE, "--linger", "0", "--", "sh", "-c", "echo ran; exit 7"];
    let (mut refused, mut ran) = (0, 0);
    for files in 6..=24 {
        let output = with_files(files, &agent);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!said.contains("panicked"), "{files}: {said}");
        if output.status.code() == Some(7) {
            assert_eq!(output.stdout, b"ran\n", "{files}");
            assert!(said.contains("not delivered"), "{files}: {said}");
            ran += 1;
        } else {
            assert!(matches!(output.status.code(), Some(1 | 125)) && output.stdout.is_empty(), "{files}: {output:?}");
            assert!(said.to_lowercase().contains("open files"), "{files}: {said}");
            assert_eq!(ran, 0, "{files}: fewer files were enough");
            refused += 1;
        }
    }
    assert!(refused > 0 && ran > 0);
}

#[test]
fn client_commands_name_the_limit_of_open_files() {
    for command in [
        &["status", "-s", "localhost:1"][..],
        &["send", "/topic/a", "x", "-s", "localhost:1", "--timeout", "1ms"],
        &["listen", "/topic/a", "-s", "localhost:1", "--no-reconnect"],
        &["bench", "-s", "localhost:1"],
    ] {
        let mut named = 0;
        for files in 5..=20 {
            let output = with_files(files, command);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(1), "{files} {command:?}: {said}");
            assert!(!said.contains("panicked") && !said.contains("has no address"), "{files} {command:?}: {said}");
            named += usize::from(said.contains("open files"));
        }
        assert!(named > 0, "{command:?}");
    }
}

#[test]
fn a_token_that_zeromq_cannot_carry_is_refused_before_the_command_starts() {
    for (length, is_right) in [(254, true), (255, true), (256, false), (300, false)] {
        let output = run(&["--token", &"x".repeat(length), "--", "echo", "ran"]);
        assert_eq!(output.status.code(), Some(if is_right { 0 } else { 2 }), "{length}");
        assert_eq!(!output.stdout.is_empty(), is_right, "{length}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let refusal = format!("the token has {length} bytes; ZeroMQ carries at most 255");
        assert_eq!(said.contains(&refusal), !is_right, "{said}");
    }
    // HTTP has no such limit.
    let over_http = ["-s", "http://127.0.0.1:1", "--token", &"x".repeat(300), "--linger", "0", "--", "true"];
    assert_eq!(switchboard(&[&["agent"], &over_http[..]].concat()).output().expect("it starts").status.code(), Some(0));
}

#[test]
fn a_script_without_an_interpreter_line_is_run_by_the_shell_and_an_interpreter_that_is_missing_is_named() {
    let folder = tempfile::tempdir().expect("a directory");
    let script = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("set");
        path.to_str().expect("text").to_owned()
    };
    let plain = script("plain", "echo \"$1\" of \"$0\"\nexit 5\n");
    let output = run(&["--", &plain, "a b"]);
    assert_eq!((output.status.code(), output.stdout), (Some(5), format!("a b of {plain}\n").into_bytes()));
    // Found by PATH, too.
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").expect("a path"));
    assert_eq!(agent(&["--", "plain"]).env("PATH", path).output().expect("it starts").status.code(), Some(5));
    let lost = script("lost", "#!/no/such/interpreter -x\n");
    let output = run(&["--", &lost]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(126), "{said}");
    assert_eq!(
        said,
        format!("switchboard agent: cannot run {lost}: there is no /no/such/interpreter, its interpreter\n")
    );
}

#[test]
fn a_process_that_is_not_there_is_named() {
    let output = run(&["--pid", "4194305"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(text, "switchboard: there is no process 4194305\n");
}

#[test]
fn input_output_and_arguments_are_the_commands() {
    let mut echo = agent(&["--", "sh", "-c", r#"cat; echo "$@""#, "x", "-v", "--pid", "a b"]);
    let mut echo = echo.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
    echo.stdin.take().expect("a pipe").write_all(b"in\n").expect("written");
    let output = echo.wait_with_output().expect("an end");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "in\n-v --pid a b\n");
}

#[test]
fn signals_are_passed_on() {
    for signal in ["INT", "TERM", "HUP", "QUIT", "USR1", "USR2", "WINCH", "TSTP", "CONT"] {
        let mut program = shell(&format!("trap 'echo got; exit 3' {signal}; echo ready; while :; do sleep 0.01; done"));
        program.until("ready");
        program.signal(&format!("-{signal}"));
        program.until("got");
        assert_eq!(program.end().code(), Some(3), "{signal}");
    }
}

#[test]
fn a_signal_that_is_ignored_stays_so_for_the_command() {
    let mut command = Command::new("sh");
    let agent = env!("CARGO_BIN_EXE_switchboard");
    command
        .args(["-c", &format!("trap '' HUP; exec {agent} agent --server {NOWHERE} -- grep SigIgn /proc/self/status")]);
    let output = command.output().expect("a shell");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mask = u64::from_str_radix(text.trim_start_matches("SigIgn:").trim(), 16).expect("a mask");
    // SIGHUP is 1.
    assert_eq!(mask & 1, 1, "{text}");
}

#[test]
fn at_a_terminal_ctrl_z_and_fg_and_ctrl_c_do_what_they_do_without_it() {
    let agent = env!("CARGO_BIN_EXE_switchboard");
    let line = [agent, "agent", "--server", NOWHERE, "--linger", "0", "--", "cat"];
    let mut user = Program::python("python3", "job_control.py", &line).unwrap_or_else(|error| panic!("{error}"));
    user.until("Done.");
    assert!(user.end().success());
}

#[test]
fn a_terminal_that_is_closed_ends_the_command_and_the_agent_that_leads_its_session() {
    let agent = env!("CARGO_BIN_EXE_switchboard");
    for (script, code) in [
        ("echo ready; exec sleep 600", 129),
        ("sleep 600 & echo ready; wait", 129),
        ("trap 'exit 7' HUP; sleep 600 & echo ready; wait", 7),
    ] {
        let line = [agent, "agent", "--server", NOWHERE, "--linger", "0", "--", "sh", "-c", script];
        let mut terminal = Program::python("python3", "hang_up.py", &line).unwrap_or_else(|error| panic!("{error}"));
        terminal.until(&format!("Exit code: {code}"));
        terminal.until("All ended.");
        assert!(terminal.end().success(), "{script}");
    }
}

#[test]
fn every_signal_reaches_the_command_once_and_ends_what_it_would_without_the_agent() {
    let agent = env!("CARGO_BIN_EXE_switchboard");
    for kind in ["pipe", "pty"] {
        let line = [kind, agent, "agent", "--server", NOWHERE, "--linger", "0"];
        let mut sender =
            Program::python("python3", "agent_signals.py", &line).unwrap_or_else(|error| panic!("{error}"));
        sender.until("Done.");
        assert!(sender.end().success(), "{kind}");
    }
}

#[test]
fn a_name_that_no_collector_takes_is_refused_and_nothing_is_run() {
    let (at_limit, beyond) = ("x".repeat(128), "x".repeat(129));
    for option in ["--service", "--instance", "--program-version"] {
        assert!(run(&[option, &at_limit, "true"]).status.success());
        for wrong in ["", beyond.as_str()] {
            let output = run(&[option, wrong, "echo", "run"]);
            assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{option}");
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            let name = option.trim_start_matches("--program-").trim_start_matches('-');
            assert_eq!(text, format!("switchboard: {name} has {} bytes; from 1 to 128 are allowed\n", wrong.len()));
        }
    }
}

#[test]
fn reports_that_are_not_delivered_are_a_sentence() {
    let output = run(&["true"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.starts_with("switchboard agent: 1 report was not delivered to tcp://127.0.0.1:1"), "{text}");
    assert!(!text.contains("os error"), "{text}");
}

#[test]
fn what_became_of_the_reports_is_json_where_that_is_asked_for() {
    let output = run(&["--json", "sh", "-c", "echo out; exit 7"]);
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(7), &b"out\n"[..]));
    let said: serde_json::Value = serde_json::from_slice(&output.stderr).expect("JSON alone");
    assert_eq!((&said["code"], &said["collector"], &said["delivered"]), (&7.into(), &NOWHERE.into(), &0.into()));
    assert!(said["lost"].as_u64().is_some_and(|lost| lost > 0) && said["problem"].is_string(), "{said}");
}

#[test]
fn what_a_command_leaves_behind_is_not_its_agents_to_end() {
    let mut program = shell("sleep 60 > /dev/null & echo $!");
    let left: u32 = program.line().expect("a line").parse().expect("a number");
    assert_eq!(program.end().code(), Some(0));
    assert_eq!(state(left), Some('S'));
    assert!(Command::new("kill").arg(left.to_string()).status().expect("kill").success());
}

#[test]
fn a_server_that_is_no_collector_is_named() {
    let broker = Broker::start(&[]);
    let (native, http) = (broker.native[0].clone(), broker.http.clone());
    for (server, says) in [
        (format!("http://{http}"), "this is the broker's HTTP, no collector"),
        (format!("tcp://{http}"), "the server there speaks HTTP, not ZeroMQ"),
        (format!("tcp://{native}"), "the server there speaks Switchboard's native protocol and STOMP, not ZeroMQ"),
        (format!("https://{http}"), "speaks HTTP without TLS"),
    ] {
        let output = switchboard(&["agent", "-s", &server, "--linger", "2", "--", "true"]).output().expect("an end");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(0) && error.contains(says), "{server}: {error}");
    }
}

/// A server of one answer: its head at once, and then its body, or a byte a moment for ever.
fn answering(body: Option<&'static str>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let _ = stream.read(&mut [0; 4096]);
                let length = body.map_or(1 << 20, str::len);
                let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
                let _ = stream.write_all(format!("{head}{}", body.unwrap_or_default()).as_bytes());
                while body.is_none() && stream.write_all(b"x").is_ok() {
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
        }
    });
    address
}

#[test]
fn any_server_that_answers_200_is_no_collector() {
    for body in ["ok", "{}", "[]"] {
        let server = format!("http://{}", answering(Some(body)));
        let output = switchboard(&["agent", "-j", "-s", &server, "--linger", "2", "true"]).output().expect("an end");
        let said: serde_json::Value = serde_json::from_slice(&output.stderr).expect("JSON alone");
        assert_eq!((&said["delivered"], &said["lost"]), (&0.into(), &1.into()), "{body}: {said}");
        assert!(said["problem"].as_str().is_some_and(|problem| problem.contains("no collector")), "{body}: {said}");
    }
}

#[test]
fn a_server_that_answers_for_ever_holds_up_no_end() {
    let address = answering(None);
    for server in [format!("tcp://{address}"), format!("http://{address}")] {
        let command = switchboard(&["agent", "-s", &server, "--linger", "0.3", "true"]);
        // The answer has a million bytes, one every 20 ms: without a limit this is killed.
        let limited = Command::new("timeout").arg("15").arg(command.get_program()).args(command.get_args()).output();
        let output = limited.expect("an end");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(0) && error.contains("not delivered to"), "{server}: {error}");
    }
}

#[test]
fn a_token_that_no_server_has_is_a_wrong_command_line() {
    for args in [&["agent", "--", "true"][..], &["top", "--once"], &["status"], &["monitor"], &["broker"]] {
        let output = switchboard(args).env("SWITCHBOARD_TOKEN", "bad token").output().expect("an end");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && error.contains("visible ASCII characters"), "{args:?}: {error}");
    }
}

#[test]
fn a_collector_that_accepts_and_says_nothing_is_named_and_one_that_resets_is_not_asked_for_a_token() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address");
    for scheme in ["tcp", "http"] {
        let output = switchboard(&["agent", "--server", &format!("{scheme}://{address}"), "--linger", "1s", "true"])
            .output()
            .expect("an end");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("the server there accepts connections and does not answer"), "{scheme}: {said}");
    }
    let resetting = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = resetting.local_addr().expect("an address");
    std::thread::spawn(move || {
        // The kernel resets a connection that is closed with unread bytes.
        for mut stream in resetting.incoming().flatten() {
            let _ = stream.peek(&mut [0]);
            let _ = stream.flush();
        }
    });
    let output = switchboard(&["agent", "--server", &format!("tcp://{address}"), "true"])
        .env_remove("SWITCHBOARD_TOKEN")
        .output()
        .expect("an end");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("not delivered") && !said.contains("TOKEN"), "{said}");
}

#[test]
fn a_program_that_this_machine_cannot_run_is_refused_with_the_real_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("made executable");
        path.to_str().expect("text").to_owned()
    };
    // A program whose loader has another name.
    let mut program = std::fs::read("/bin/true").expect("a program");
    let at = program.windows(6).position(|part| part == b"/ld-li").expect("a dynamic loader");
    program[at + 1..at + 3].copy_from_slice(b"no");
    let missing = file("missing", &program);
    let foreign = file("foreign", b"\x7fELFgarbage");
    let damaged = file("damaged", b"x\0y\n");
    for (path, reason) in [
        (&missing, "its loader: it was made for another system"),
        (&foreign, "it is a program for another machine, or a damaged one"),
        (&damaged, "it is a program for another machine, or a damaged one"),
    ] {
        let output = run(&["--", path]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(126) && said.contains(reason), "{path}: {said}");
    }
    // Text is the shell's.
    assert_eq!(run(&["--", &file("script", b"exit 7\n")]).status.code(), Some(7));
}
