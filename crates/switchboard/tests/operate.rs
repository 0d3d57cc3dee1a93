//! An operator's actions while the broker runs, and their effect on clients.

mod common;

use common::{Broker, Bystanders, Client, Lines, Program, listening, switchboard};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};

const INTERRUPT: i32 = 2;

fn ask(broker: &Broker, args: &[&str]) -> Output {
    switchboard(&[args, &["--server", &broker.http]].concat()).output().expect("the program starts")
}

/// A client whose notes can be read, too.
fn noted(command: &mut Command) -> (Program, Lines) {
    let mut program = Program::start(command.stderr(Stdio::piped())).expect("the program starts");
    let notes = Lines::of(program.child.stderr.take().expect("a pipe"));
    (program, notes)
}

#[test]
fn a_connection_can_be_kicked() {
    let broker = Broker::start(&[]);
    let mut bystanders = Bystanders::of(&broker);
    let mut kicked = Client::listening(&broker, "/topic/kicked");
    let id = listening(&broker.status(), "/topic/kicked")["id"].to_string();
    let kick = ask(&broker, &["kick", &id]);
    assert!(kick.status.success(), "{kick:?}");
    let said = String::from_utf8_lossy(&kick.stdout);
    assert!(said.starts_with(&format!("Closed connection {id}. Most clients connect again")), "{said}");
    assert!(said.contains("to keep one away, stop its program"), "{said}");
    assert_eq!(kicked.rest(), Vec::<Vec<u8>>::new());
    broker.log.find(&["WARN", "closed: asked for over HTTP", &kicked.name()]);
    bystanders.are_alone(&broker);
    // It is gone: there is nothing to kick.
    assert_eq!(ask(&broker, &["kick", &id]).status.code(), Some(1));
}

#[test]
fn a_queue_can_be_purged_and_its_held_publisher_goes_on() {
    let broker = Broker::start(&["--channel", "/queue/a b,queue=100"]);
    let mut bystanders = Bystanders::of(&broker);
    let mut publisher = Client::publisher(&broker);
    for number in 0..3u8 {
        publisher.publish("/queue/a b", &[number; 46]);
    }
    publisher.ask_echo();
    broker.status_until("it is paused", |status| status["totals"]["paused"] == 1);
    let purge = ask(&broker, &["queues", "purge", "/queue/a b", "--yes"]);
    assert!(purge.status.success(), "{purge:?}");
    assert_eq!(String::from_utf8_lossy(&purge.stdout), "Purged 2 messages of /queue/a b.\n");
    broker.log.find(&["INFO", "purged 2 messages of queue /queue/a b"]);
    assert_eq!(publisher.until_echo(), Vec::<Vec<u8>>::new());
    assert_eq!(Client::listening_late(&broker, "/queue/a b").until_echo(), [[2; 46]]);
    drop(publisher);
    bystanders.are_alone(&broker);
}

#[test]
fn a_watched_status_comes_again_and_again_and_ends_quietly() {
    let broker = Broker::start(&[]);
    let mut bystanders = Bystanders::of(&broker);
    let (mut watch, notes) = noted(&mut switchboard(&["status", "--watch", "--server", &broker.http]));
    watch.until_contains("SUBSCRIBED TO");
    assert!(watch.line().is_some_and(|line| line.starts_with("/")));
    watch.until_contains("DROPPED");
    let (mut json, json_notes) = noted(&mut switchboard(&["status", "--watch", "--json", "--server", &broker.http]));
    for _ in 0..2 {
        let line = json.line().expect("a line");
        let status: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(status["totals"]["connections"], 2);
    }
    for (watch, notes) in [(&mut watch, &notes), (&mut json, &json_notes)] {
        watch.signal("-INT");
        assert_eq!(watch.end().signal(), Some(INTERRUPT));
        assert_eq!(notes.next(), None);
    }
    bystanders.are_alone(&broker);
}

#[test]
fn send_and_listen_come_back_after_a_restart() {
    // An address of its own: no other test's connection can have taken the port meanwhile.
    let first = Broker::start_at("127.25.25.25:0", &[]);
    let address = first.native[0].clone();
    let (mut listener, heard) = noted(&mut first.client(&["listen", "/queue/jobs"]));
    heard.find(&["Listening on /queue/jobs"]);
    let mut send = first.client(&["send", "/queue/jobs", "--stdin"]);
    let (mut sender, told) = noted(send.stdin(Stdio::piped()));
    let mut input = sender.child.stdin.take().expect("a pipe");
    input.write_all(b"before\n").expect("written");
    assert_eq!(listener.line().as_deref(), Some("before"));
    first.stop(Vec::new());
    heard.find(&["Server closed."]);
    // Nobody is there when it is sent; it is not lost for that.
    input.write_all(b"between\n").expect("written");
    told.find(&["yet"]);
    heard.find(&["Cannot connect to ", "yet"]);

    let again = Broker::start_at(&address, &[]);
    // At least once: what was not confirmed when the broker ended comes again.
    listener.until("between");
    input.write_all(b"after\n").expect("written");
    listener.until("after");
    drop(input);
    assert!(sender.end().success());
    listener.signal("-INT");
    assert_eq!(listener.end().code(), Some(130));
    assert_eq!(listener.line(), None);
    again.settles_at(0);
}
