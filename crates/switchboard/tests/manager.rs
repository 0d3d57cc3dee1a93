//! Notifications to a service manager, through a socket of our own.

mod common;

use common::{BROKER_AND_MONITOR, Broker, Client, Lines, PATIENCE, Program, poll, switchboard};
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use tempfile::TempDir;

struct Manager {
    socket: UnixDatagram,
    directory: TempDir,
}

impl Manager {
    fn new() -> Manager {
        let directory = tempfile::tempdir().expect("a directory");
        let socket = UnixDatagram::bind(directory.path().join("notify")).expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Manager { socket, directory }
    }

    fn message(&self) -> String {
        let mut buffer = [0; 8192];
        let length = self.socket.recv(&mut buffer).expect("a message");
        String::from_utf8(buffer[..length].to_vec()).expect("text")
    }

    /// The next message that is about anything but the watchdog.
    fn news(&self) -> String {
        loop {
            let message = self.message();
            if message != "WATCHDOG=1" {
                return message;
            }
        }
    }

    /// A command in a session of its own, which has no controlling terminal, managed by this.
    fn manages(&self, args: &[&str]) -> Command {
        let own = switchboard(args);
        let mut command = Command::new("setsid");
        command.arg(own.get_program()).args(own.get_args()).stdin(Stdio::null());
        command.env("NOTIFY_SOCKET", self.directory.path().join("notify"));
        command
    }
}

#[test]
fn a_broker_tells_that_it_is_ready_reloads_and_stops() {
    let manager = Manager::new();
    let path = manager.directory.path().join("my.toml");
    std::fs::write(&path, "[broker]\nqueue = '1MiB'\n").expect("written");
    let config = path.to_str().expect("text");
    let mut broker = Broker::launch(&mut manager.manages(&["broker", "--listen", "127.0.0.1:0", "--config", config]));
    assert_eq!(manager.news(), "READY=1\nSTATUS=running: broker");
    // Good settings and bad ones: the reload is over either way.
    for text in ["[broker]\nqueue = '2MiB'\n", "[broker]\nqueue = 'much'\n"] {
        std::fs::write(&path, text).expect("written");
        broker.program.signal("-HUP");
        assert!(manager.news().starts_with("RELOADING=1\nMONOTONIC_USEC="));
        assert_eq!(manager.news(), "READY=1\nSTATUS=running: broker");
    }
    broker.program.signal("-TERM");
    let stopping = manager.news();
    assert!(stopping.starts_with("STOPPING=1\nSTATUS=stopping\nEXTEND_TIMEOUT_USEC=16000000"), "{stopping}");
    assert_eq!(broker.program.end().code(), Some(0));
}

#[test]
fn a_stop_is_granted_the_drain_and_what_follows() {
    let manager = Manager::new();
    let mut broker =
        Broker::launch(&mut manager.manages(&["broker", "--listen", "127.0.0.1:0", "--set", "drain=100s"]));
    assert!(manager.news().starts_with("READY=1"));
    broker.program.signal("-TERM");
    assert!(manager.news().ends_with("EXTEND_TIMEOUT_USEC=111000000"));
    assert_eq!(broker.program.end().code(), Some(0));
}

#[test]
fn the_watchdog_is_told_again_and_again_and_also_while_connections_drain() {
    let manager = Manager::new();
    let mut command =
        manager.manages(&["broker", "--listen", "127.0.0.1:0", "--drain", "1h", "--set", "write-timeout=1h"]);
    let mut broker = Broker::launch(command.env("WATCHDOG_USEC", "20000"));
    let hear = || {
        let mut heard = 0;
        while heard < 5 {
            heard += usize::from(manager.message() == "WATCHDOG=1");
        }
    };
    hear();
    // A subscriber that reads nothing keeps the drain going.
    let mut unread = Client::listening(&broker, "/topic/foo");
    let mut publisher = Client::publisher(&broker);
    publisher.publish("/topic/foo", &vec![0; 8 << 20]);
    publisher.settle();
    broker.program.signal("-TERM");
    while !manager.news().starts_with("STOPPING=1") {}
    hear();
    assert!(broker.program.child.try_wait().expect("a process").is_none(), "nothing was drained");
    unread.rest();
    assert_eq!(broker.program.end().code(), Some(0));
}

#[test]
fn a_watchdog_of_another_process_is_not_told() {
    let manager = Manager::new();
    let mut command = manager.manages(&["broker", "--listen", "127.0.0.1:0"]);
    let mut broker = Broker::launch(command.env("WATCHDOG_USEC", "1000").env("WATCHDOG_PID", "1"));
    assert!(manager.message().starts_with("READY=1"));
    broker.program.signal("-TERM");
    assert!(manager.message().starts_with("STOPPING=1"));
    assert_eq!(broker.program.end().code(), Some(0));
}

#[test]
fn the_status_names_a_service_that_does_not_run_and_follows_when_it_does() {
    let manager = Manager::new();
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let page = format!("monitor.listen={}", other.local_addr().expect("an address"));
    let data = manager.directory.path().join("data");
    let mut command = manager.manages(&["up", "--listen", "127.0.0.1:0", "--http", "", "--set", &page]);
    command.args(BROKER_AND_MONITOR).args(["--set", "monitor.collect=", "--data"]).arg(&data);
    let mut up = Program::start(command.stderr(Stdio::piped())).expect("it starts");
    let _log = Lines::of(up.child.stderr.take().expect("a pipe"));
    let first = manager.news();
    assert!(first.starts_with("READY=1\nSTATUS=running: broker; monitor does not run: cannot listen on "), "{first}");
    drop(other);
    assert_eq!(manager.news(), "READY=1\nSTATUS=running: broker, monitor");
    up.signal("-TERM");
    assert_eq!(up.end().code(), Some(0));
}

#[test]
fn what_cannot_start_is_never_ready() {
    let manager = Manager::new();
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = other.local_addr().expect("an address").to_string();
    let output = manager.manages(&["broker", "--listen", &taken, "--http", ""]).output().expect("an end");
    assert_eq!(output.status.code(), Some(1));
    manager.socket.set_nonblocking(true).expect("a socket");
    assert!(manager.socket.recv(&mut [0; 8192]).is_err());
}

#[test]
fn a_manager_that_is_not_there_stops_nothing() {
    for name in ["/does/not/exist", "@nobody-listens-here", "relative"] {
        let mut command = switchboard(&["broker", "--listen", "127.0.0.1:0"]);
        let mut broker = Broker::launch(command.env("NOTIFY_SOCKET", name));
        broker.log.find(&["cannot tell the service manager at ", name]);
        broker.program.signal("-TERM");
        assert_eq!(broker.program.end().code(), Some(0));
    }
    // The manager may go while the service runs.
    let manager = Manager::new();
    let mut broker = Broker::launch(&mut manager.manages(&["broker", "--listen", "127.0.0.1:0"]));
    assert!(manager.message().starts_with("READY=1"));
    drop(manager);
    broker.program.signal("-HUP");
    broker.log.find(&["cannot tell the service manager: "]);
    broker.program.signal("-TERM");
    poll("it ends", || broker.program.child.try_wait().expect("a process"));
}
