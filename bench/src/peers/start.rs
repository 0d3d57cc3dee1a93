//! Starts a peer on a free port.

use super::{Peer, Places, mqtt::Mqtt, nats::Nats, redis::Redis, relay::Relay};
use crate::process::{Process, free_address};
use anyhow::{Context, Result, anyhow, bail};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use switchboard_load::{Native, Outcome, Plan, Protocol};
use tempfile::TempDir;

/// A broker that runs, and how to load it.
pub(crate) struct Running {
    pub(crate) peer: Peer,
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    protocol: Box<dyn Load>,
    /// Its configuration and data.
    _folder: TempDir,
}

impl Running {
    pub(crate) fn load(&self, plan: &Plan) -> io::Result<Outcome> {
        self.protocol.load(plan)
    }
}

/// A protocol of which only the name is known when the program runs. The choice is made once a run,
/// so that each protocol's loops are compiled for it.
trait Load {
    fn load(&self, plan: &Plan) -> io::Result<Outcome>;
}

impl<P: Protocol> Load for P {
    fn load(&self, plan: &Plan) -> io::Result<Outcome> {
        switchboard_load::run(self, plan)
    }
}

/// Starts `peer`, and returns when it accepts connections.
pub(crate) fn start(peer: Peer, places: &Places) -> Result<Running> {
    start_with(peer, places, &[])
}

/// The same, with further arguments.
pub(crate) fn start_with(peer: Peer, places: &Places, further: &[&str]) -> Result<Running> {
    let folder = tempfile::tempdir()?;
    let address = free_address()?;
    let mut command = command(peer, places, address, folder.path())?;
    command.args(further).current_dir(folder.path());
    let mut process = Process::start(&command)?;
    process.wait_until_it_listens(address).with_context(|| format!("{} on {address}", peer.name()))?;
    let protocol: Box<dyn Load> = match peer {
        Peer::Switchboard | Peer::Python | Peer::Uvloop => Box::new(Native(address)),
        Peer::Nats => Box::new(Nats(address)),
        Peer::Redis => Box::new(Redis(address)),
        Peer::Mosquitto => Box::new(Mqtt(address)),
        Peer::Relay => Box::new(Relay(address)),
    };
    Ok(Running { peer, process, address, protocol, _folder: folder })
}

fn command(peer: Peer, places: &Places, address: SocketAddr, folder: &Path) -> Result<Command> {
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    let mut command;
    match peer {
        Peer::Switchboard => {
            let hint = "build it (cargo build --release) or name it (--switchboard PATH)";
            command = Command::new(existing(&places.switchboard, hint)?);
            command.args(["broker", "--http", "127.0.0.1:0", "--log", "warn", "--listen", &address.to_string()]);
        }
        Peer::Nats => {
            command = installed("nats-server", "nats-server")?;
            command.args(["-a", &host, "-p", &port]);
        }
        Peer::Redis => {
            command = installed("redis-server", "redis-server")?;
            command.args(["--bind", &host, "--port", &port]);
        }
        Peer::Mosquitto => {
            let config = folder.join("mosquitto.conf");
            std::fs::write(&config, format!("listener {port} {host}\nallow_anonymous true\n"))?;
            command = installed("mosquitto", "mosquitto")?;
            command.arg("-c").arg(config);
        }
        Peer::Python => {
            command = installed("python3", "python3")?;
            command.arg(&places.python_broker).args(["--port", &port]);
        }
        Peer::Uvloop => {
            command = Command::new(existing(&places.uvloop_python, "bench/run makes it")?);
            command.arg(&places.python_broker).args(["--uvloop", "--port", &port]);
        }
        Peer::Relay => {
            command = Command::new(std::env::current_exe()?);
            command.args(["relay", "--listen", &address.to_string()]);
        }
    }
    Ok(command)
}

pub(super) fn existing<'a>(path: &'a Path, hint: &str) -> Result<&'a Path> {
    if !path.exists() {
        bail!("there is no {}: {hint}", path.display());
    }
    Ok(path)
}

pub(super) fn installed(program: &str, package: &str) -> Result<Command> {
    // Servers are not in everybody's PATH.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let found = folders.map(|folder| folder.join(program)).find(|path| path.exists());
    found.map(Command::new).ok_or_else(|| anyhow!("{program} is missing; install it: apt-get install {package}"))
}
