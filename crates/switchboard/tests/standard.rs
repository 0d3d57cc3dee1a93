//! Standard descriptors that are closed: nothing is taken or sent in vain.

mod common;

use common::{Broker, Client, switchboard};
use std::process::{Command, Output};

/// The result of a command with this redirection of the shell.
fn redirected(arguments: &[&str], redirection: &str) -> Output {
    let program = switchboard(arguments);
    let mut shell = Command::new("bash");
    shell.args(["-c", &format!("exec \"$0\" \"$@\" {redirection}")]);
    shell.arg(program.get_program()).args(program.get_args()).output().expect("the program starts")
}

#[test]
fn a_closed_output_is_an_error_before_a_message_is_taken() {
    let broker = Broker::start(&[]);
    let mut client = Client::publisher(&broker);
    client.publish("/queue/kept", b"one");
    client.settle();
    let (native, http) = (broker.native[0].as_str(), broker.http.as_str());
    for arguments in [
        &["listen", "/queue/kept", "-n", "1", "-s", native][..],
        &["queues", "-j", "-s", http],
        &["status", "-s", http],
        &["send", "/topic/a", "x", "--json", "-s", native],
        &["config"],
    ] {
        let output = redirected(arguments, ">&-");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains("the standard output is closed"), "{arguments:?}: {said}");
    }
    let peeked = redirected(&["queues", "peek", "/queue/kept", "-s", http], "");
    assert!(String::from_utf8_lossy(&peeked.stdout).contains("> one"), "{peeked:?}");
}

#[test]
fn an_output_that_is_thrown_away_on_purpose_is_none() {
    for redirection in [">/dev/null", "1<>/dev/null"] {
        assert_eq!(redirected(&["config"], redirection).status.code(), Some(0), "{redirection}");
    }
}

#[test]
fn a_closed_input_is_an_error_where_it_is_read() {
    let broker = Broker::start(&[]);
    let send = |rest: &[&str]| redirected(&[&["send", "/topic/a", "-s", &broker.native[0]], rest].concat(), "<&-");
    let output = send(&["-l"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("the standard input is closed"), "{said}");
    assert_eq!(send(&["x"]).status.code(), Some(0));
}
