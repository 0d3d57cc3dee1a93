//! A RabbitMQ of a test's own, with its STOMP plugin. It takes some seconds to start: one for each test program.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Time to start on a busy machine.
const START: Duration = Duration::from_secs(120);
const PROGRAM: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

pub(crate) struct RabbitMq {
    pub(crate) address: SocketAddr,
    /// The broker's start script, which leads a process group, and the port mapper that Erlang wants.
    broker: Child,
    mapper: Child,
    folder: PathBuf,
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}

fn listens(child: &mut Child, address: SocketAddr, log: &Path) {
    let began = Instant::now();
    while TcpStream::connect(address).is_err() {
        let said = || std::fs::read_to_string(log).unwrap_or_default();
        assert!(child.try_wait().expect("a process").is_none(), "it has ended: {}", said());
        assert!(began.elapsed() < START, "not within {START:?}: {}", said());
        std::thread::sleep(Duration::from_millis(50));
    }
}

impl RabbitMq {
    pub(crate) fn start() -> RabbitMq {
        assert!(Path::new(PROGRAM).exists(), "rabbitmq-server is missing; install it: apt-get install rabbitmq-server");
        let [address, amqp, distribution, mapping] = [(); 4].map(|()| free());
        let folder =
            std::env::temp_dir().join(format!("switchboard-rabbitmq-{}-{}", std::process::id(), address.port()));
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("plugins"), "[rabbitmq_stomp].\n").expect("written");
        let config = format!(
            "listeners.tcp.1 = {amqp}\nstomp.listeners.tcp.1 = {address}\nloopback_users = none\n\
             disk_free_limit.absolute = 50MB\n"
        );
        std::fs::write(folder.join("rabbitmq.conf"), config).expect("written");
        let log = folder.join("output");
        let output = || std::fs::File::options().create(true).append(true).open(&log).expect("a log");
        let mapper_port = mapping.port().to_string();
        // It would start a daemon that outlives it.
        let mut mapper = Command::new("epmd")
            .args(["-port", &mapper_port, "-address", "127.0.0.1"])
            .stdin(Stdio::null())
            .stdout(output())
            .stderr(output())
            .spawn()
            .expect("epmd");
        listens(&mut mapper, mapping, &log);
        let mut command = Command::new(PROGRAM);
        command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path))).env("HOME", &folder);
        for (name, value) in [
            ("LANG", "C.UTF-8".into()),
            ("RABBITMQ_NODENAME", format!("test{}@localhost", address.port())),
            ("RABBITMQ_MNESIA_BASE", folder.join("mnesia").display().to_string()),
            ("RABBITMQ_LOG_BASE", folder.join("log").display().to_string()),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", folder.join("plugins").display().to_string()),
            ("RABBITMQ_CONFIG_FILE", folder.join("rabbitmq.conf").display().to_string()),
            ("RABBITMQ_CONF_ENV_FILE", "/dev/null".into()),
            ("RABBITMQ_DIST_PORT", distribution.port().to_string()),
            ("ERL_EPMD_PORT", mapper_port),
            ("ERL_EPMD_ADDRESS", "127.0.0.1".into()),
        ] {
            command.env(name, value);
        }
        command.current_dir(&folder).process_group(0).stdin(Stdio::null()).stdout(output()).stderr(output());
        let mut broker = command.spawn().expect("a broker");
        listens(&mut broker, address, &log);
        RabbitMq { address, broker, mapper, folder }
    }

    pub(crate) fn url(&self, options: &str) -> String {
        format!("stomp://guest:guest@{}?{options}", self.address)
    }
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        let group = format!("-{}", self.broker.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.broker.wait();
        let _ = self.mapper.kill();
        let _ = self.mapper.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
