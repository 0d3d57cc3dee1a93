//! Standard streams that nobody reads stop nothing.

mod common;

use common::{Client, Program, poll, switchboard};
use serde_json::Value;
use std::io::{PipeReader, Write};
use std::process::Stdio;

/// A pipe that is full, and its end that nobody reads.
fn full_pipe() -> (PipeReader, Stdio) {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    // Linux's capacity, of pages that are filled one by one.
    writer.write_all(&[b'x'; 64 << 10]).expect("written");
    (reader, writer.into())
}

#[test]
fn a_log_and_a_banner_that_nobody_reads_stop_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let ready = directory.path().join("ready.json");
    let (_log, stderr) = full_pipe();
    let (_banner, stdout) = full_pipe();
    let mut command = switchboard(&["broker", "--listen", "127.0.0.1:0", "--http", "", "--log", "trace"]);
    let child = command.arg("--ready-file").arg(&ready).stdout(stdout).stderr(stderr).spawn().expect("it starts");
    let mut program = Program::of(child);
    let text = poll("it is ready", || std::fs::read_to_string(&ready).ok());
    let addresses: Value = serde_json::from_str(&text).expect("JSON");
    let address = addresses["native"][0].as_str().expect("an address");
    // More lines than the log keeps for its reader.
    for number in 0..3000 {
        let mut client = Client::at(address);
        client.send(format!("/topic/{number}").as_bytes());
    }
    let mut client = Client::at(address);
    client.send(b"/topic/foo");
    client.settle();
    program.signal("-TERM");
    assert_eq!(program.end().code(), Some(0));
}
