use super::{PATIENCE, Program};
use std::io::Write;
use std::process::{Command, Stdio};

/// Two machines that share a network: each is a network namespace, and a veth pair connects them. Both have loopback. Making
/// them takes root, `unshare`, `nsenter` and `ip`.
pub(crate) struct Network {
    server: Program,
    client: Program,
}

/// The address of the first machine.
pub(crate) const SERVER: &str = "192.0.2.1";

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Machine {
    Server,
    Client,
}

impl Network {
    pub(crate) fn new() -> Network {
        let network = Network { server: namespace(), client: namespace() };
        let peer = network.client.child.id().to_string();
        network
            .ip(Machine::Server, &["link", "add", "veth-s", "type", "veth", "peer", "name", "veth-c", "netns", &peer]);
        for (machine, link, address) in
            [(Machine::Server, "veth-s", "192.0.2.1/24"), (Machine::Client, "veth-c", "192.0.2.2/24")]
        {
            network.ip(machine, &["addr", "add", address, "dev", link]);
            network.ip(machine, &["link", "set", link, "up"]);
        }
        network
    }

    fn ip(&self, machine: Machine, args: &[&str]) {
        let mut command = Command::new("ip");
        command.args(args);
        let output = self.on(machine, &command).output().expect("nsenter runs");
        assert!(output.status.success(), "ip {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// The same command, to be run on this machine.
    pub(crate) fn on(&self, machine: Machine, command: &Command) -> Command {
        let namespace = match machine {
            Machine::Server => &self.server,
            Machine::Client => &self.client,
        };
        let mut wrapped = Command::new("nsenter");
        wrapped.arg(format!("--net=/proc/{}/ns/net", namespace.child.id())).arg("--").arg(command.get_program());
        wrapped.args(command.get_args()).stdin(Stdio::null());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => wrapped.env(name, value),
                None => wrapped.env_remove(name),
            };
        }
        wrapped
    }

    /// A whole answer to an HTTP request that is sent from this machine.
    pub(crate) fn ask(&self, machine: Machine, host: &str, port: &str, request: &str) -> String {
        const SCRIPT: &str = "import socket, sys\n\
            peer = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=float(sys.argv[3]))\n\
            peer.sendall(sys.stdin.buffer.read())\n\
            while data := peer.recv(65536): sys.stdout.buffer.write(data)\n";
        let mut command = Command::new("python3");
        command.args(["-c", SCRIPT, host, port, &PATIENCE.as_secs().to_string()]);
        let mut command = self.on(machine, &command);
        let mut python = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python3 runs");
        python.stdin.take().expect("a pipe").write_all(request.as_bytes()).expect("written");
        let output = python.wait_with_output().expect("it ends");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// A process that holds a namespace until its input ends, as it does when this process is gone.
fn namespace() -> Program {
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", "ip link set lo up && echo up && read -r _"]).stdin(Stdio::piped());
    let program = Program::start(&mut command).expect("unshare is missing; install it: apt-get install util-linux");
    let up = program.line();
    assert_eq!(up.as_deref(), Some("up"), "no network namespace: it takes root and ip (apt-get install iproute2)");
    program
}
