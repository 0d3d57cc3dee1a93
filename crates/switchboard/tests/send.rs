//! `switchboard send` to a queue that rejects what is over its bound.

mod common;

use common::{Broker, Lines, Program, switchboard};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Output, Stdio};

const BOUND: [&str; 4] = ["--set", "overflow=reject", "--set", "queue-messages=3"];

fn send(broker: &Broker, args: &[&str], lines: &str) -> Output {
    let mut sender = switchboard(&[&["send"], args].concat());
    sender.env("SWITCHBOARD_URL", &broker.native[0]);
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

/// Sends three messages to a queue that has room for one.
fn send_to_full(broker: &Broker, address: &str) -> (Program, Lines) {
    let mut sender = switchboard(&["send", "/queue/a", "--stdin", "--server", address]);
    let mut sender = Program::start(sender.stdin(Stdio::piped()).stderr(Stdio::piped())).expect("a sender");
    let said = Lines::of(sender.child.stderr.take().expect("a pipe"));
    sender.child.stdin.take().expect("a pipe").write_all(b"1\n2\n3\n").expect("written");
    broker.status_until("it is paused", |status| status["totals"]["paused"] == 1);
    (sender, said)
}

#[test]
fn a_full_queue_that_does_not_reject_makes_send_wait_which_is_said_once() {
    for scheme in ["switchboard", "stomp"] {
        let broker = Broker::start(&["--set", "queue-messages=1"]);
        let (mut sender, said) = send_to_full(&broker, &format!("{scheme}://{}", broker.native[0]));
        said.find(&[
            "confirmed nothing for 5s: /queue/a is full, or memory is short",
            "`switchboard status`",
            "a consumer of /queue/a",
        ]);
        let listened = broker.client(&["listen", "/queue/a", "--count", "3"]).output().expect("an end");
        assert_eq!(listened.stdout, b"1\n2\n3\n");
        assert!(sender.end().success());
        assert_eq!(said.all().len(), 1);
    }
}

#[test]
fn after_a_signal_send_says_what_was_sent_and_what_may_be_lost() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let broker = Broker::start(&["--set", "queue-messages=1"]);
        let (mut sender, said) = send_to_full(&broker, &format!("stomp://{}", broker.native[0]));
        sender.signal(signal);
        let told = said.find(&["Interrupted: ", " of 3 messages ", " confirmed; the broker may have taken the other"]);
        assert_eq!(sender.end().code(), Some(code));
        let numbers: Vec<u64> = told.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let depth = broker.status()["channels"][0]["depth"].as_u64().expect("a depth");
        assert!(matches!(numbers[..], [taken, 3] if taken < 3 && taken <= depth), "{told}");
    }
}

/// Answers a connection's first barrier and closes it, up to so many times.
fn answer_and_close(listener: &TcpListener, times: usize) {
    for stream in listener.incoming().take(times) {
        let mut stream = stream.expect("a connection");
        let mut frame = || {
            let mut length = [0; 4];
            stream.read_exact(&mut length).expect("a length");
            let mut frame = length.to_vec();
            frame.resize(4 + u32::from_be_bytes(length) as usize, 0);
            stream.read_exact(&mut frame[4..]).expect("a frame");
            frame
        };
        let (_null, _echo, token) = (frame(), frame(), frame());
        stream.write_all(&token).expect("an answer");
    }
}

#[test]
fn send_fails_at_a_broker_that_answers_every_connection_and_closes_it_and_says_so() {
    for timeout in ["1", "10"] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        std::thread::spawn(move || answer_and_close(&listener, usize::MAX));
        let sent =
            switchboard(&["send", "/topic/a", "x", "-s", &address, "--timeout", timeout]).output().expect("an end");
        let said = String::from_utf8(sent.stderr).expect("text");
        let last = said.lines().last().unwrap_or_default();
        // The close may come before the message is written, and then nothing is in doubt.
        let given_up = last.contains("took the connection, but not the messages, 5 times");
        let late = last.contains("there is no broker at ") && last.contains("--timeout 0 waits for ever");
        assert!(sent.status.code() == Some(1) && (given_up || late), "{said}");
    }
}

#[test]
fn send_fails_once_a_broker_that_was_there_is_away_for_as_long_as_its_timeout_says() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let broker = std::thread::spawn(move || answer_and_close(&listener, 1));
    let mut sender = switchboard(&["send", "/topic/a", "--stdin", "-s", &address, "--timeout", "300ms"]);
    let mut sender = Program::start(sender.stdin(Stdio::piped()).stderr(Stdio::piped())).expect("a sender");
    let said = Lines::of(sender.child.stderr.take().expect("a pipe"));
    broker.join().expect("an end");
    said.find(&["there is no broker at ", &address, " for 300ms (", "--timeout 0 waits for ever"]);
    assert_eq!(sender.end().code(), Some(1));
}

#[test]
fn a_line_that_is_too_long_is_named_with_its_number_and_the_limit_and_the_fate_of_the_others() {
    const LIMIT: usize = 16 << 20;
    for (scheme, length, is_taken) in [
        ("stomp", LIMIT - 1, true),
        ("stomp", LIMIT, true),
        ("stomp", LIMIT + 1, false),
        ("switchboard", LIMIT + 1, false),
    ] {
        let broker = Broker::start(&[]);
        let address = format!("{scheme}://{}", broker.native[0]);
        let sent =
            send(&broker, &["/queue/a", "-l", "-s", &address], &format!("first\n{}\nlast\n", "x".repeat(length)));
        let said = String::from_utf8(sent.stderr).expect("text");
        let parts =
            ["1 line sent; line 2 and those behind it are not: ", "16777217 bytes", " limit", " 16777216 bytes"];
        if is_taken {
            assert_eq!((sent.status.code(), &said[..]), (Some(0), ""), "{length}");
        } else {
            assert!(sent.status.code() == Some(1) && parts.iter().all(|part| said.contains(part)), "{said}");
        }
        assert_eq!(broker.status()["channels"][0]["depth"], if is_taken { 3 } else { 1 });
    }
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
