//! Signals to a broker.

mod common;

use common::{Broker, Client, Program, poll};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The broker by way of a program that executes it.
fn through(wrapper: &[&str], args: &[&str]) -> Broker {
    let mut command = Command::new(wrapper[0]);
    command.args(&wrapper[1..]).arg(env!("CARGO_BIN_EXE_switchboard")).stdin(Stdio::null());
    Broker::launch(command.args(["broker", "--listen", "127.0.0.1:0"]).args(args))
}

/// A broker whose end is put off by a subscriber that does not take what is queued for it.
fn with_an_unread_message(drain: &str) -> (Broker, Client) {
    let broker = Broker::start(&["--set", drain]);
    let unread = Client::listening(&broker, "/topic/large");
    let mut publisher = Client::publisher(&broker);
    publisher.publish("/topic/large", &vec![7; 8 << 20]);
    publisher.settle();
    (broker, unread)
}

#[test]
fn a_hangup_without_a_terminal_reads_the_settings_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("my.toml");
    let path = path.to_str().expect("text");
    std::fs::write(path, "log = 'info'\n[broker]\noutbox = '4MiB'\n").expect("written");
    // A session of its own has no controlling terminal.
    let mut broker = through(&["setsid"], &["--config", path]);
    std::fs::write(path, "log = 'info'\n[broker]\noutbox = '5MiB'\n").expect("written");
    broker.program.signal("-HUP");
    broker.log.find(&["the settings were read again; applied: ", "; these take a restart: outbox"]);
    std::fs::write(path, "[broker]\noutbox = 'many'\n").expect("written");
    broker.program.signal("-HUP");
    broker.log.find(&["the settings stay as they are", "outbox = many is not allowed"]);
    Client::publisher(&broker).settle();
    broker.program.signal("-TERM");
    assert_eq!(broker.program.end().code(), Some(0));
}

#[test]
fn a_configuration_that_cannot_be_read_to_its_end_changes_nothing_and_holds_up_no_stop() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("my.toml");
    std::fs::write(&path, "log = 'info'\n").expect("written");
    let mut broker = through(&["setsid"], &["--config", path.to_str().expect("text")]);
    std::fs::remove_file(&path).expect("removed");
    assert!(Command::new("mkfifo").arg(&path).status().expect("mkfifo").success());
    broker.program.signal("-HUP");
    broker.log.find(&["the settings stay as they are", "it is no regular file"]);
    std::fs::remove_file(&path).expect("removed");
    std::fs::File::create(&path).and_then(|file| file.set_len(1 << 40)).expect("a sparse file");
    broker.program.signal("-HUP");
    broker.log.find(&["the settings stay as they are", "it is longer than the limit of 1048576 bytes"]);
    Client::publisher(&broker).settle();
    broker.program.signal("-TERM");
    assert_eq!(broker.program.end().code(), Some(0));
}

#[test]
fn a_hangup_under_nohup_is_ignored() {
    let mut broker = through(&["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"], &[]);
    broker.program.signal("-HUP");
    Client::publisher(&broker).settle();
    broker.program.signal("-TERM");
    broker.log.find(&["Stopped."]);
    assert_eq!(broker.program.end().code(), Some(0));
    assert!(!broker.log.all().iter().any(|line| line.contains("read again")), "{:?}", broker.log.all());
}

#[test]
fn a_terminal_that_is_closed_stops_it_in_order() {
    let mut script = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    script.extend(["tests", "python", "terminal.py"]);
    let directory = tempfile::tempdir().expect("a directory");
    let ready = directory.path().join("ready.json");
    let mut command = Command::new("python3");
    command.arg("-B").arg(script).arg(env!("CARGO_BIN_EXE_switchboard"));
    command.args(["broker", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--ready-file"]).arg(&ready);
    let mut program = Program::start(command.stdin(Stdio::piped())).expect("python3 starts");
    poll("the broker is ready", || ready.exists().then_some(()));
    program.child.stdin.as_mut().expect("a pipe").write_all(b"\n").expect("written");
    program.until("Exit code: 0");
}

#[test]
fn user_signals_do_nothing() {
    let mut broker = Broker::start(&[]);
    let mut client = Client::publisher(&broker);
    for signal in ["-USR1", "-USR2"] {
        broker.program.signal(signal);
        client.settle();
    }
    broker.program.signal("-TERM");
    assert_eq!(broker.program.end().code(), Some(0));
}

#[test]
fn two_signals_at_once_are_one_wish() {
    let (mut broker, _unread) = with_an_unread_message("drain=1500ms");
    broker.program.signal("-TERM");
    broker.program.signal("-TERM");
    broker.program.signal("-INT");
    assert_eq!(broker.program.end().code(), Some(0), "the drain was cut off");
    broker.log.find(&["Connections that had not read or acked all their messages in time: 1."]);
    broker.log.find(&["Stopped."]);
}

#[test]
fn a_signal_a_while_after_the_first_stops_at_once() {
    let (mut broker, _unread) = with_an_unread_message("drain=1h");
    broker.program.signal("-TERM");
    broker.log.find(&["Stopping"]);
    let code = poll("the process ends", || {
        broker.program.signal("-TERM");
        broker.program.child.try_wait().expect("a process").map(|status| status.code())
    });
    assert_eq!(code, Some(143));
}
