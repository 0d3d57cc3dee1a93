//! Brokers that speak STOMP, and how each is started for itself.

use super::Places;
use super::start::{existing, installed};
use crate::process::{Process, free_address};
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use switchboard_load::Stomp;
use tempfile::TempDir;

/// Time that a broker in Erlang or Java has to start on a busy machine.
const START: Duration = Duration::from_secs(180);

/// A broker that speaks STOMP.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum StompPeer {
    /// This project's.
    Switchboard,
    /// rabbitmq-server with its STOMP plugin.
    Rabbitmq,
    /// ActiveMQ with its STOMP connector.
    Activemq,
    /// CoilMQ, a broker in Python.
    Coilmq,
}

impl StompPeer {
    pub(crate) fn name(self) -> &'static str {
        match self {
            StompPeer::Switchboard => "switchboard",
            StompPeer::Rabbitmq => "rabbitmq",
            StompPeer::Activemq => "activemq",
            StompPeer::Coilmq => "coilmq",
        }
    }
}

/// A broker that runs. What it needs beside itself ends after it.
pub(crate) struct StompBroker {
    pub(crate) peer: StompPeer,
    pub(crate) address: SocketAddr,
    stomp: Stomp,
    _process: Process,
    _beside: Option<Process>,
    _folder: TempDir,
}

impl StompBroker {
    pub(crate) fn stomp(&self, prefetch: Option<u32>) -> Stomp {
        Stomp { prefetch, ..self.stomp.clone() }
    }
}

/// Starts `peer`, and returns when it answers to CONNECT.
pub(crate) fn start_stomp(peer: StompPeer, places: &Places, coilmq: &Path) -> Result<StompBroker> {
    let (folder, address) = (tempfile::tempdir()?, free_address()?);
    let mut stomp = Stomp::at(address);
    let (mut command, beside) = match peer {
        StompPeer::Switchboard => {
            let hint = "build it (cargo build --release) or name it (--switchboard PATH)";
            let mut command = Command::new(existing(&places.switchboard, hint)?);
            command.args(["broker", "--http", "127.0.0.1:0", "--log", "warn", "--listen", &address.to_string()]);
            (command, None)
        }
        StompPeer::Rabbitmq => {
            stomp.login = Some(("guest".into(), "guest".into()));
            rabbitmq(address, folder.path())?
        }
        StompPeer::Activemq => (activemq(address, folder.path())?, None),
        StompPeer::Coilmq => {
            let mut command = Command::new(existing(coilmq, "bench/run makes it")?);
            command.args(["-b", &address.ip().to_string(), "-p", &address.port().to_string()]);
            // It accepts this host alone.
            stomp.host = printed(
                Command::new(coilmq.with_file_name("python")).args(["-c", "import socket; print(socket.getfqdn())"]),
            )?;
            (command, None)
        }
    };
    command.current_dir(folder.path());
    let mut process = Process::start(&command)?;
    let broker = StompBroker {
        peer,
        address,
        _process: {
            let answering = process.wait_within(START, || stomp.open().ok());
            answering.with_context(|| format!("{} on {address}", peer.name()))?;
            process
        },
        stomp,
        _beside: beside,
        _folder: folder,
    };
    Ok(broker)
}

/// The line that a command prints.
fn printed(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// The command, and what it needs beside itself.
fn rabbitmq(address: SocketAddr, folder: &Path) -> Result<(Command, Option<Process>)> {
    let program = existing(Path::new("/usr/lib/rabbitmq/bin/rabbitmq-server"), "apt-get install rabbitmq-server")?;
    let (amqp, distribution, mapper) = (free_address()?, free_address()?, free_address()?);
    std::fs::write(folder.join("plugins"), "[rabbitmq_stomp].\n")?;
    let config = format!(
        "listeners.tcp.1 = {amqp}\nstomp.listeners.tcp.1 = {address}\nloopback_users = none\n\
         vm_memory_high_watermark.relative = 0.5\ndisk_free_limit.absolute = 50MB\n"
    );
    std::fs::write(folder.join("rabbitmq.conf"), config)?;
    // Its port mapper would stay behind as a daemon: one of our own ends with us.
    let mut command = installed("epmd", "erlang-base")?;
    command.args(["-port", &mapper.port().to_string(), "-address", "127.0.0.1"]);
    let mut epmd = Process::start(&command)?;
    epmd.wait_until_it_listens(mapper).context("epmd")?;
    let within = |name: &str| folder.join(name);
    // Nothing of a RabbitMQ that this machine is configured for.
    let mut command = Command::new("/usr/bin/env");
    command.arg("-i");
    let path = PathBuf::from(std::env::var_os("PATH").unwrap_or_default());
    for (name, value) in [
        ("PATH", path),
        ("LANG", PathBuf::from("C.UTF-8")),
        ("HOME", folder.to_owned()),
        ("RABBITMQ_NODENAME", PathBuf::from(format!("bench{}@localhost", address.port()))),
        ("RABBITMQ_MNESIA_BASE", within("mnesia")),
        ("RABBITMQ_LOG_BASE", within("log")),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", within("plugins")),
        ("RABBITMQ_CONFIG_FILE", within("rabbitmq.conf")),
        ("RABBITMQ_CONF_ENV_FILE", PathBuf::from("/dev/null")),
        ("RABBITMQ_DIST_PORT", PathBuf::from(distribution.port().to_string())),
        ("ERL_EPMD_PORT", PathBuf::from(mapper.port().to_string())),
        ("ERL_EPMD_ADDRESS", PathBuf::from("127.0.0.1")),
    ] {
        let mut variable = OsString::from(format!("{name}="));
        variable.push(value);
        command.arg(variable);
    }
    command.arg(program);
    Ok((command, Some(epmd)))
}

fn activemq(address: SocketAddr, folder: &Path) -> Result<Command> {
    let jars = Path::new("/usr/share/activemq/lib");
    if !jars.exists() {
        bail!("activemq is missing; install it: apt-get install activemq");
    }
    let config = folder.join("activemq.xml");
    std::fs::write(
        &config,
        format!(
            "<beans xmlns=\"http://www.springframework.org/schema/beans\" \
             xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
             xsi:schemaLocation=\"http://www.springframework.org/schema/beans \
             http://www.springframework.org/schema/beans/spring-beans.xsd \
             http://activemq.apache.org/schema/core http://activemq.apache.org/schema/core/activemq-core.xsd\">\n\
             <broker xmlns=\"http://activemq.apache.org/schema/core\" brokerName=\"bench\" persistent=\"false\" \
             useJmx=\"false\" dataDirectory=\"{}\">\n\
             <transportConnectors><transportConnector name=\"stomp\" uri=\"stomp+nio://{address}\"/></transportConnectors>\n\
             </broker>\n</beans>\n",
            folder.display()
        ),
    )?;
    let mut command = installed("java", "default-jre-headless")?;
    command
        .arg("-Xmx1g")
        .arg(format!("-Dactivemq.home={}", folder.display()))
        .arg(format!("-Dactivemq.base={}", folder.display()))
        .args(["-cp", &format!("{0}/*:/usr/share/java/*", jars.display())])
        .args(["org.apache.activemq.console.Main", "start", &format!("xbean:file:{}", config.display())]);
    Ok(command)
}
