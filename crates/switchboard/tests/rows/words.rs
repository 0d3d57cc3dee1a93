//! Errors of usage, and what is said while nothing is to be seen.

use super::common::{Program, poll, switchboard};
use super::running::{Rows, processes, text};
use rustix::process::{Pid, Signal, kill_process};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;

/// One byte longer than a name may be.
const LONG_NAME: &str = "a123456789b123456789c123456789d123456789e123456789f123456789g123";

#[test]
fn an_error_of_usage_begins_with_its_cause() {
    for (args, part) in [
        (&["rows", "--database", "mysql://x"][..], "mysql:// is no PostgreSQL"),
        (&["rows", "triggers", "print", "--database", "mysql://x"], "mysql:// is no PostgreSQL"),
        (&["rows", "scratch", "--database", "mysql://x", "--", "true"], "mysql:// is no PostgreSQL"),
        (&["rows", "demo", "--database", "mysql://x"], "mysql:// is no PostgreSQL"),
        (&["rows", "triggers", "install"], "which database?"),
        (&["rows", "scratch", "drop", "x"], "which database?"),
        (&["rows", "scratch", "create", ""], "1 to 63 bytes"),
        (&["rows", "scratch", "create", LONG_NAME], "1 to 63 bytes"),
        (&["rows", "scratch", "drop", LONG_NAME], "1 to 63 bytes"),
        (&["rows", "scratch", "create", "switchboard_scratch_x"], "does not begin with switchboard_scratch_"),
        (&["rows", "scratch", "create", "x", "--database", "mysql://x"], "mysql:// is no PostgreSQL"),
        (&["rows", "demo", "--instances", "1"], "from 2 to 16"),
        (&["rows", "demo", "--instances", "17"], "from 2 to 16"),
        (&["rows", "demo", "--instances", "two"], "from 2 to 16"),
        (&["rows", "patron"], "--table patron"),
        (&["rows", "--listen", "127.0.0.1:0", "--table", "patron", "--table", "patron"], "given twice"),
        (&["rows", "--listen", "127.0.0.1:0", "--table", "sales.patron", "--table", "sales.patron"], "given twice"),
    ] {
        let output = switchboard(args).env_remove("DATABASE_URL").output().expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", text(&output));
        assert!(text(&output).contains(part), "{args:?}: {}", text(&output));
    }
}

#[test]
fn a_server_that_accepts_and_is_silent_is_named_in_the_log() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address");
    let rows = Rows::start(&["rows", "--database", &format!("postgres://nobody@{address}/none")], "rows");
    rows.logs(&format!("waiting for PostgreSQL to answer at {address}"));
}

/// The command would make this file.
const COMMAND: [&str; 3] = ["--", "touch", "begun"];
const SIGNALS: [(&str, i32); 3] = [("-INT", 130), ("-TERM", 143), ("-HUP", 129)];

#[test]
fn a_signal_before_the_scratch_database_is_there_ends_the_program_and_its_command_never_runs() {
    for (signal, code) in SIGNALS {
        let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("postgres://nobody@{}/none", silent.local_addr().expect("an address"));
        let directory = tempfile::tempdir().expect("a directory");
        let mut command = switchboard(&["rows", "scratch", "--database", &address]);
        let mut program = Program::start(command.args(COMMAND).current_dir(directory.path())).expect("it starts");
        // It waits for an answer from now on.
        let accepted = silent.accept().expect("a connection");
        program.signal(signal);
        assert_eq!(program.end().code(), Some(code), "{signal}");
        assert!(!directory.path().join("begun").exists(), "{signal}");
        drop(accepted);
    }
}

#[test]
fn a_signal_while_a_private_postgresql_starts_leaves_nothing_of_it() {
    for (signal, code) in SIGNALS {
        let directory = tempfile::tempdir().expect("a directory");
        let mut command = switchboard(&["rows", "scratch"]);
        command.args(COMMAND).current_dir(directory.path()).env_remove("DATABASE_URL").stdout(Stdio::null());
        let mut program = Program::start(&mut command).expect("it starts");
        let (shell, place) = poll("its PostgreSQL is being made", || making(program.child.id()));
        // Without its shell it is never ready.
        kill_process(shell, Signal::STOP).expect("stopped");
        program.signal(signal);
        assert_eq!(program.end().code(), Some(code), "{signal}");
        assert!(!directory.path().join("begun").exists(), "{signal}");
        poll("its directory is gone", || (!place.exists()).then_some(()));
        poll("its PostgreSQL is gone", || {
            let is_ours = |command: &String| command.contains(&place.display().to_string());
            (!processes().iter().any(is_ours)).then_some(())
        });
    }
}

/// The shell that makes a private PostgreSQL of this program, and its directory.
fn making(program: u32) -> Option<(Pid, PathBuf)> {
    let entries = std::fs::read_dir("/proc").expect("a directory").flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).find_map(|id: u32| {
        let command = std::fs::read(format!("/proc/{id}/cmdline")).ok()?;
        // Its parent is a guardian, whose parent is the program.
        if !command.starts_with(b"/bin/sh\0-c") || parent(parent(id)?)? != program {
            return None;
        }
        let place = std::fs::read_link(format!("/proc/{id}/cwd")).ok()?;
        Some((Pid::from_raw(i32::try_from(id).ok()?)?, place))
    })
}

fn parent(id: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok())
}
