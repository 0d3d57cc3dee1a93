//! `switchboard send` to a queue that rejects what is over its bound.

mod common;

use common::{Broker, Lines, Program, switchboard};
use std::io::Write;
use std::process::{Output, Stdio};

const BOUND: [&str; 4] = ["--set", "overflow=reject", "--set", "queue-messages=3"];

fn send(broker: &Broker, args: &[&str], lines: &str) -> Output {
    let mut sender = broker.client(&[&["send"], args].concat());
    let mut sender =
        sender.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a sender");
    sender.stdin.take().expect("a pipe").write_all(lines.as_bytes()).expect("written");
    sender.wait_with_output().expect("an end")
}

#[test]
fn a_message_that_a_full_queue_rejects_ends_send_with_its_reason_and_exit_code_1() {
    for (messages, is_taken) in [(2, true), (3, true), (4, false)] {
        let broker = Broker::start(&BOUND);
        let lines: String = (0..messages).map(|line| format!("{line}\n")).collect();
        let sent = send(&broker, &["/queue/a", "--stdin"], &lines);
        let said = String::from_utf8(sent.stderr).expect("text");
        if is_taken {
            assert_eq!((sent.status.code(), &said[..]), (Some(0), ""));
            continue;
        }
        assert_eq!((sent.status.code(), said.lines().count()), (Some(1), 1), "{said}");
        let parts = ["the broker did not take all messages: ", "/queue/a", "at its bound of 3 messages"];
        assert!(parts.iter().all(|part| said.contains(part)), "{said}");
        let again = send(&broker, &["/queue/a", "x"], "");
        assert_eq!(again.status.code(), Some(1), "{again:?}");
        assert_eq!(broker.status()["channels"][0]["depth"], 3);
    }
}

#[test]
fn a_rejected_message_is_told_even_if_there_is_room_for_those_behind_it() {
    let broker = Broker::start(&["--set", "overflow=reject", "--set", "queue=1KiB"]);
    let lines = format!("small\n{}\nsmall\nsmall\n", "x".repeat(2000));
    let sent = send(&broker, &["/queue/a", "--stdin"], &lines);
    let said = String::from_utf8(sent.stderr).expect("text");
    assert!(sent.status.code() == Some(1) && said.contains("at its bound of 1 KiB"), "{said}");
}

#[test]
fn over_the_native_protocol_send_cannot_tell_a_rejection_and_its_help_says_so() {
    let broker = Broker::start(&BOUND);
    let native = format!("switchboard://{}", broker.native[0]);
    let sent = switchboard(&["send", "/queue/a", "x", "--count", "4", "--server", &native]).output().expect("an end");
    assert_eq!(sent.status.code(), Some(0), "{sent:?}");
    let help = switchboard(&["send", "--help"]).output().expect("an end");
    let help = String::from_utf8(help.stdout).expect("text").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help.contains("With switchboard:// in --server the broker cannot tell that."), "{help}");
}

#[test]
fn a_full_queue_that_does_not_reject_makes_send_wait() {
    let broker = Broker::start(&["--set", "queue-messages=1"]);
    let mut sender = broker.client(&["send", "/queue/a", "--stdin"]);
    let mut sender = Program::start(sender.stdin(Stdio::piped()).stderr(Stdio::piped())).expect("a sender");
    let said = Lines::of(sender.child.stderr.take().expect("a pipe"));
    sender.child.stdin.take().expect("a pipe").write_all(b"1\n2\n3\n").expect("written");
    broker.status_until("it is paused", |status| status["totals"]["paused"] == 1);
    let listened = broker.client(&["listen", "/queue/a", "--count", "3"]).output().expect("an end");
    assert_eq!(listened.stdout, b"1\n2\n3\n");
    assert!(sender.end().success());
    assert_eq!(said.all(), Vec::<String>::new());
}

#[test]
fn a_header_that_is_the_protocols_own_is_a_wrong_command_line() {
    let broker = Broker::start(&[]);
    let sent = send(&broker, &["/queue/a", "x", "--header", "destination:x"], "");
    let said = String::from_utf8(sent.stderr).expect("text");
    assert!(sent.status.code() == Some(2) && said.contains("destination"), "{said}");
}

#[test]
fn an_empty_variable_of_the_address_counts_as_none() {
    // Nobody has to listen at the default address: which one was tried is in the answer.
    for (args, says) in [
        (&["status", "--token", "x"][..], "http://localhost:25080"),
        (&["send", "/a", "b", "--no-reconnect"], "localhost:25000"),
    ] {
        let output = switchboard(args).env("SWITCHBOARD_URL", "").output().expect("an end");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() != Some(2) && (output.status.success() || said.contains(says)), "{said}");
    }
    let output = switchboard(&["status", "-s", ""]).env_remove("SWITCHBOARD_URL").output().expect("an end");
    assert_eq!(output.status.code(), Some(2));
}
