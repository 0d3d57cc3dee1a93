//! HTTP and the native port share the open files of the process: neither takes those of the other.

mod common;

use common::{BROKER_AND_MONITOR, Broker, Bystanders, Client, Program, poll, switchboard};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

/// The hard limit too: the program raises the other one by itself.
const FILES: usize = 256;

fn limited() -> Broker {
    limited_to(FILES, &[])
}

fn limited_to(files: usize, args: &[&str]) -> Broker {
    let mut shell = Command::new("bash");
    shell.args(["-c", &format!("ulimit -n {files} && exec \"$0\" \"$@\"")]);
    let broker = switchboard(&["broker", "--listen", "127.0.0.1:0"]);
    Broker::launch(shell.arg(broker.get_program()).args(broker.get_args()).args(args))
}

#[test]
fn too_few_files_are_mentioned_where_they_take_what_was_asked_for_or_most_of_the_default() {
    for (files, args, is_mentioned) in [
        (20_000, &[][..], false),
        (20_000, &["--set", "connections=19000"], false),
        (20_000, &["--set", "connections=20001"], true),
        (64, &[], true),
    ] {
        let broker = limited_to(files, args);
        if is_mentioned {
            broker.log.find(&["though `connections` allows"]);
        }
        let mentions = broker.log.all().iter().any(|line| line.contains("though `connections` allows"));
        assert_eq!(mentions, is_mentioned, "{files} {args:?}: {:?}", broker.log.all());
    }
}

#[test]
fn a_start_with_fewer_files_than_the_services_need_is_refused_with_their_number() {
    let directory = tempfile::tempdir().expect("a directory");
    let start = |files: usize| {
        let mut shell = Command::new("bash");
        shell.args(["-c", &format!("ulimit -n {files} && exec \"$0\" \"$@\"")]);
        let up = switchboard(&["up", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--stomp", ""]);
        shell.arg(up.get_program()).args(up.get_args()).args(BROKER_AND_MONITOR);
        shell.args(["--set", "monitor.listen=127.0.0.1:0", "--collect", "tcp://127.0.0.1:0", "--data"]);
        shell.arg(directory.path().join("data"));
        shell
    };
    for files in [16, 24, 47] {
        let ended = start(files).output().expect("an end");
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(said.contains(&format!("this process may open {files} files, and needs at least 48")), "{said}");
        assert_eq!(ended.status.code(), Some(1), "{said}");
    }
    let ready = directory.path().join("ready.json");
    let mut program = Program::start(start(48).arg("--ready-file").arg(&ready)).expect("it starts");
    let text = poll("it is ready", || std::fs::read_to_string(&ready).ok());
    let ready: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let native = ready["native"][0].as_str().expect("an address");
    let connections: Vec<TcpStream> = (0..8).map(|_| TcpStream::connect(native).expect("a connection")).collect();
    for connection in &connections {
        let mut connection = connection;
        connection.set_read_timeout(Some(common::PATIENCE)).expect("a timeout");
        connection.write_all(b"CONNECT\naccept-version:1.2\nhost:a\n\n\0").expect("sent");
        let mut answer = [0; 9];
        connection.read_exact(&mut answer).expect("each of eight connections is served");
        assert_eq!(&answer, b"CONNECTED");
    }
    program.signal("-TERM");
    program.end();
}

fn answers(broker: &Broker, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(&broker.http).ok()?;
    stream.set_read_timeout(Some(common::PATIENCE)).ok()?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.starts_with("HTTP/1.0 200").then_some(answer)
}

#[test]
fn half_requests_shut_out_neither_the_native_port_nor_other_requests() {
    let broker = limited();
    let mut bystanders = Bystanders::of(&broker);
    let mut half = Vec::new();
    for at in 0..300 {
        let mut stream = TcpStream::connect(&broker.http).expect("HTTP");
        // One that was closed for another does not take more.
        let _ = stream.write_all(b"GET /status HTTP/1.1\r\nHost: local");
        half.push(stream);
        if at % 50 == 49 {
            drop(Client::publisher(&broker));
            assert!(answers(&broker, "/healthz").is_some());
            bystanders.are_well();
        }
    }
    assert!(broker.log.all().iter().all(|line| !line.contains("cannot accept")), "{:?}", broker.log.all());
    drop(half);
    bystanders.are_alone(&broker);
}

#[test]
fn a_full_native_port_does_not_shut_out_http() {
    let broker = limited();
    let crowd: Vec<Client> = (0..FILES + 100).map(|_| Client::silent(&broker)).collect();
    for _ in 0..3 {
        assert!(answers(&broker, "/healthz").is_some());
        assert!(answers(&broker, "/status").is_some());
    }
    drop(crowd);
    poll("the native port has room again", || {
        answers(&broker, "/metrics").filter(|metrics| metrics.contains("switchboard_connections 0\n"))
    });
}
