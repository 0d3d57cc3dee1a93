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

/// Another machine: a network namespace behind a pair of virtual links.
struct Machine {
    name: String,
    link: String,
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

impl Machine {
    fn new() -> Machine {
        let number = std::process::id();
        let (name, link) = (format!("switchboard-{number}"), format!("sb{number}"));
        let machine = Machine { name: name.clone(), link: link.clone() };
        ip(&format!("netns add {name}"));
        ip(&format!("link add {link} type veth peer name {link}p netns {name}"));
        ip(&format!("address add 192.0.2.1/24 dev {link}"));
        ip(&format!("link set {link} up"));
        ip(&format!("-n {name} address add 192.0.2.2/24 dev {link}p"));
        ip(&format!("-n {name} link set {link}p up"));
        machine
    }

    fn consumer(&self, port: u16) -> Consumer {
        let mut child = Command::new("ip")
            .args(["netns", "exec", &self.name, "python3", "-c", CONSUMER, &port.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("ip and python3");
        let lines = BufReader::new(child.stdout.take().expect("piped"));
        Consumer { child, lines }
    }

    /// Nothing comes through any more, in either direction.
    fn vanish(&self) {
        ip(&format!("-n {} link set {}p down", self.name, self.link));
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
        let _ = Command::new("ip").args(["link", "del", &self.link]).status();
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

impl Drop for Consumer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_vanished_machine_has_not_acknowledged_goes_to_another_consumer() {
    const JOBS: usize = 1000;
    let machine = Machine::new();
    let limits = Limits { write_timeout: Duration::from_secs(1), ..Limits::default() };
    let listen = vec!["192.0.2.1:0".into(), "127.0.0.1:0".into()];
    let server = Server::bind(Settings { listen, http: Vec::new(), limits, ..Settings::default() }).await.unwrap();
    let [far, near] = [0, 1].map(|place| server.native_addresses()[place]);
    tokio::spawn(server.run(std::future::pending()));

    let mut vanishing = machine.consumer(far.port());
    assert_eq!(vanishing.line(), "ready");
    let mut publisher = Client(TcpStream::connect(near).await.unwrap());
    publisher.send(b"/null").await;
    // It is served as any consumer, and what it acknowledged is done.
    publisher.publish("/queue/jobs", b"first").await;
    assert_eq!(vanishing.line(), "read 9");
    machine.vanish();
    let names: Vec<String> = (0..JOBS).map(|number| format!("job {number}")).collect();
    for name in &names {
        publisher.publish("/queue/jobs", name.as_bytes()).await;
    }
    publisher.settle().await;

    let mut consumer = Client(TcpStream::connect(near).await.unwrap());
    consumer.send(b"/queue/jobs").await;
    let mut received = BTreeSet::new();
    while received.len() < JOBS {
        let job = String::from_utf8(consumer.receive().await).unwrap();
        assert_ne!(job, "first");
        assert!(received.insert(job.clone()), "{job} came twice");
    }
    assert_eq!(received, names.into_iter().collect());
}
