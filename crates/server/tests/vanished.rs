//! A consumer whose machine is gone without a word: no end of the stream, no reset.

mod common;

use common::Client;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use switchboard_broker::Limits;
use switchboard_server::{Server, Settings};
use tokio::net::TcpStream;

const CONSUMER: &str = r#"
import socket, struct, sys
stream = socket.create_connection(("192.0.2.1", int(sys.argv[1])))
for frame in (b"/queue/jobs", b"/switchboard/echo", b"ready"):
    stream.sendall(struct.pack(">I", len(frame)) + frame)
assert stream.recv(99) == b"\0\0\0\5ready"
print("ready", flush=True)
while True:
    bytes = stream.recv(1 << 16)
    print("read", len(bytes), flush=True)
"#;

/// Two machines: network namespaces with a pair of virtual links between them.
struct Machines {
    ours: String,
    theirs: String,
}

fn ip(arguments: &str) {
    let arguments = arguments.split(' ');
    let status = Command::new("ip").args(arguments.clone()).status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "`ip {}` failed: this test needs root and iproute2 (apt-get install iproute2)",
        arguments.collect::<Vec<_>>().join(" ")
    );
}

impl Machines {
    fn new() -> Machines {
        let number = std::process::id();
        let machines = Machines { ours: format!("switchboard-{number}"), theirs: format!("vanishing-{number}") };
        let Machines { ours, theirs } = &machines;
        ip(&format!("netns add {ours}"));
        ip(&format!("netns add {theirs}"));
        ip(&format!("link add ours netns {ours} type veth peer name theirs netns {theirs}"));
        ip(&format!("-n {ours} address add 192.0.2.1/24 dev ours"));
        ip(&format!("-n {theirs} address add 192.0.2.2/24 dev theirs"));
        ip(&format!("-n {ours} link set lo up"));
        ip(&format!("-n {ours} link set ours up"));
        ip(&format!("-n {theirs} link set theirs up"));
        machines
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        for name in [&self.ours, &self.theirs] {
            let _ = Command::new("ip").args(["netns", "del", name]).status();
        }
    }
}

struct Consumer {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Consumer {
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }
}

impl Consumer {
    fn start(machine: &str, port: u16) -> Consumer {
        let mut child = Command::new("ip")
            .args(["netns", "exec", machine, "python3", "-c", CONSUMER, &port.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("ip and python3");
        let lines = BufReader::new(child.stdout.take().expect("piped"));
        Consumer { child, lines }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The other machine's namespace, for the test that runs in ours.
const THEIRS: &str = "SWITCHBOARD_TEST_THEIRS";

#[test]
fn what_a_vanished_machine_has_not_acknowledged_goes_to_another_consumer() {
    let machines = Machines::new();
    let status = Command::new("ip")
        .args(["netns", "exec", &machines.ours])
        .arg(std::env::current_exe().expect("this program"))
        .args(["--exact", "in_our_namespace", "--ignored", "--nocapture"])
        .env(THEIRS, &machines.theirs)
        .status();
    assert!(status.expect("ip").success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs in a namespace that the other test makes"]
async fn in_our_namespace() {
    const JOBS: usize = 1000;
    let theirs = std::env::var(THEIRS).expect("the namespace of the other machine");
    let limits = Limits { write_timeout: Duration::from_secs(1), ..Limits::default() };
    let listen = vec!["192.0.2.1:0".into()];
    let server = Server::bind(Settings { listen, http: Vec::new(), limits, ..Settings::default() }).await.unwrap();
    let address = server.native_addresses()[0];
    tokio::spawn(server.run(std::future::pending()));

    let mut vanishing = Consumer::start(&theirs, address.port());
    assert_eq!(vanishing.line(), "ready");
    let mut publisher = Client(TcpStream::connect(address).await.unwrap());
    publisher.send(b"/null").await;
    // It is served as any consumer, and what it acknowledged is done.
    publisher.publish("/queue/jobs", b"first").await;
    assert_eq!(vanishing.line(), "read 9");
    ip(&format!("-n {theirs} link set theirs down"));
    let names: Vec<String> = (0..JOBS).map(|number| format!("job {number}")).collect();
    for name in &names {
        publisher.publish("/queue/jobs", name.as_bytes()).await;
    }
    publisher.settle().await;

    let mut consumer = Client(TcpStream::connect(address).await.unwrap());
    consumer.send(b"/queue/jobs").await;
    let mut received = BTreeSet::new();
    while received.len() < JOBS {
        let job = String::from_utf8(consumer.receive().await).unwrap();
        assert!(received.insert(job.clone()), "{job} came twice");
    }
    assert_eq!(received, names.into_iter().collect());
}
