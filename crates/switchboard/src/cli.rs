//! The command line.

use crate::admin;
use crate::agent::{self, Agent};
use crate::bench::{self, Bench};
use crate::config::Settings;
use crate::examples;
use crate::http::HttpArgs;
use crate::listen;
use crate::log::LogFormat;
use crate::monitor::{self, Monitored};
use crate::names::Name;
use crate::news::{self, NewsArgs, RenderArgs};
use crate::output::UsageError;
use crate::queues::{self, Queues};
use crate::rows::{self, RowsArgs};
use crate::send;
use crate::server_address::{Door, Server, ServerAddress};
use crate::status::{self, Status};
use crate::top::{self, Top};
use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
pub(crate) use switchboard_driver::quantity::parse_duration as duration;
use switchboard_driver::quantity::{parse_count, parse_size};

/// A message broker, a process monitor, a JSON API over PostgreSQL and a page of headlines, in one program.
///
/// A channel whose name begins with /queue is a queue: each message goes to one consumer. Every other channel is a topic: each
/// message goes to all subscribers. Without a command, all services are started, as by `switchboard up`.
#[derive(Debug, Parser)]
#[command(version, after_help = examples::PROGRAM, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) up: Up,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start all services.
    #[command(after_help = examples::UP)]
    Up(Up),
    /// Start the broker alone.
    #[command(after_help = examples::BROKER)]
    #[command(mut_arg("collect", |collect| collect.hide(true)))]
    Broker(Up),
    /// Start the monitor alone: CPU and memory of processes, collected and shown on a page.
    #[command(after_help = monitor::EXAMPLES)]
    Monitor(Monitored),
    /// Start rows alone: tables of a PostgreSQL database as a JSON API with a coherent cache.
    #[command(after_help = rows::EXAMPLES)]
    Rows(RowsArgs),
    /// Start news alone: the headlines of many sites on one page.
    #[command(after_help = news::EXAMPLES)]
    News(Box<NewsArgs>),
    /// Start the rendering service alone: pages after their scripts have run, for clients of Splash.
    #[command(after_help = news::RENDER_EXAMPLES)]
    Render(RenderArgs),
    /// Print all settings, each explained, as a configuration file; or check one.
    #[command(after_help = examples::CONFIG)]
    Config(ConfigArgs),
    /// Print what is published to a channel, one message a line.
    ///
    /// A queue's messages are acked once they are printed, over STOMP: what was not printed goes to others, also when this
    /// command is killed. `listen ... | head` loses at most what the pipe and its reader have taken; --count leaves the others
    /// in the queue. With switchboard:// in --server there are no acks.
    #[command(after_help = listen::EXAMPLES)]
    Listen(Listen),
    /// Publish messages to a channel.
    ///
    /// Each message is delivered at least once: what the broker has not confirmed when a
    /// connection breaks is sent again over the next one. It ends with exit code 1 at a message that a full queue rejects (setting
    /// overflow). With switchboard:// in --server the broker cannot tell that.
    #[command(after_help = send::EXAMPLES)]
    Send(Send),
    /// Show connections, channels, and what is paused.
    #[command(after_help = status::EXAMPLES)]
    Status(Status),
    /// Measure a running broker: deliveries per second, or with --rate the latency.
    ///
    /// Every message is numbered, so that what is lost, duplicated or out of order is found. What was
    /// measured on a busy machine means little.
    ///
    /// With --queue it first empties the queues that an earlier bench has left because it was killed, if the broker's HTTP answers at
    /// its default port.
    #[command(after_help = bench::EXAMPLES)]
    Bench(Bench),
    /// Run a command, and report its CPU and memory to the monitor, those of its children included.
    ///
    /// The command keeps its terminal, its signals and its exit code.
    #[command(after_help = agent::EXAMPLES)]
    Agent(Agent),
    /// Show CPU and memory of the processes that report to the monitor, live.
    #[command(after_help = top::EXAMPLES)]
    Top(Top),
    /// Show the queues; look at the messages of one, throw them away, move them, or pause it.
    #[command(after_help = queues::EXAMPLES)]
    Queues(Queues),
    /// Close a connection (most clients connect again at once).
    ///
    /// To keep a client away, stop its program or block its address.
    #[command(after_help = admin::KICK_EXAMPLES)]
    Kick(Kick),
    /// Check that a server is alive, for scripts and containers: exit code 0 if it is, else 1.
    #[command(after_help = admin::HEALTH_EXAMPLES)]
    Health(Health),
    /// Print the completions of a shell.
    #[command(after_help = examples::COMPLETIONS)]
    Completions {
        /// Shell.
        shell: clap_complete::Shell,
    },
    /// Write the manual, one page for each command and switchboard.toml(5), into folders of a directory.
    #[command(after_help = examples::MAN)]
    Man {
        /// The directory. Its folders `man1` and `man5` are made if they are missing.
        directory: PathBuf,
    },
}

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) action: Option<ConfigAction>,
    /// Print {TABLE: {KEY: VALUE}}, defaults included.
    #[arg(long, short = 'j')]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) chosen: Chosen,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigAction {
    /// Read a configuration file, and say whether it is right.
    #[command(after_help = examples::CHECK)]
    Check {
        /// The file; - for the standard input.
        file: PathBuf,
        /// Print {"file", "right", "without_effect"}, and "problem" if it is wrong.
        #[arg(long, short = 'j')]
        json: bool,
    },
}

/// Options of the commands that start services.
#[derive(Args, Debug)]
pub(crate) struct Up {
    #[command(flatten)]
    pub(crate) chosen: Chosen,
    /// Write the addresses to this file, as JSON, once everything listens.
    #[arg(long, value_name = "PATH")]
    pub(crate) ready_file: Option<PathBuf>,
}

/// The settings: the command line wins over the file, the file over the defaults.
#[derive(Args, Debug)]
pub(crate) struct Chosen {
    /// Address for clients of the native protocol, not over HTTP (repeatable) [default: port 25000 of 127.0.0.1 and ::1].
    #[arg(long, value_name = "HOST:PORT")]
    listen: Vec<String>,
    /// Address for clients of STOMP (repeatable; '' for none of its own) [default: port 61613, unless --listen is given].
    #[arg(long, value_name = "HOST:PORT")]
    stomp: Vec<String>,
    /// Address of the page, and of health, metrics and status over HTTP (repeatable; '' for none) [default: port 25080].
    #[arg(long, value_name = "HOST:PORT")]
    http: Vec<String>,
    /// Endpoint of the monitor for senders over ZeroMQ ('' for none) [default: tcp://127.0.0.1:5555].
    #[arg(long, value_name = "ENDPOINT")]
    collect: Option<String>,
    /// A configuration file, in TOML; `switchboard config` prints one.
    #[arg(long, short = 'c', value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory for the data of all services, a folder each [default: switchboard in $XDG_STATE_HOME or ~/.local/state].
    #[arg(long, value_name = "DIR", env = "SWITCHBOARD_DATA")]
    data: Option<String>,
    /// Memory limit for buffered messages [default: 512MiB].
    #[arg(long, allow_hyphen_values = true, value_name = "SIZE")]
    memory: Option<String>,
    /// Time to deliver queued messages at shutdown [default: 5s].
    #[arg(long, allow_hyphen_values = true, value_name = "DURATION")]
    drain: Option<String>,
    /// Log level: off, error, warn, info, debug or trace [default: info].
    #[arg(long, value_name = "LEVEL")]
    log: Option<String>,
    /// Format of log lines [default: text].
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
    /// Any setting that `switchboard config` prints (repeatable).
    #[arg(long, allow_hyphen_values = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Settings of the channels that MATCH: `MATCH,KEY=VALUE,...` with `policy`, `queue`, `max-deliveries` and others (repeatable).
    #[arg(long, value_name = "RULE")]
    channel: Vec<String>,
}

impl Chosen {
    /// The settings in force.
    pub(crate) fn settings(&self) -> Result<Settings> {
        self.read().map_err(UsageError::of)
    }

    fn read(&self) -> Result<Settings> {
        let mut settings = Settings::default();
        if let Some(path) = &self.config {
            settings.read_file(path)?;
        }
        settings.set_pairs(&self.set)?;
        for (key, list) in [("listen", &self.listen), ("stomp", &self.stomp), ("http", &self.http)] {
            if !list.is_empty() {
                settings.set_option(key, &list.join(","))?;
            }
        }
        let log_format = self.log_format.map(|format| format.name().to_owned());
        for (key, value) in [
            ("monitor.collect", &self.collect),
            ("data", &self.data),
            ("memory", &self.memory),
            ("drain", &self.drain),
            ("log", &self.log),
            ("log-format", &log_format),
        ] {
            if let Some(value) = value {
                settings.set_option(key, value)?;
            }
        }
        // Before the file's: the first rule that matches is in force.
        for (at, rule) in self.channel.iter().enumerate() {
            settings.add_rule(at, rule)?;
        }
        let source = || match &self.config {
            Some(path) if self.set.is_empty() && self.memory.is_none() => path.display().to_string(),
            Some(path) => format!("{} and the command line", path.display()),
            None => "command line".to_owned(),
        };
        settings.check().with_context(source)?;
        Ok(settings)
    }
}

/// Options of the broker's address, and of a connection's end.
#[derive(Args, Clone, Debug)]
pub(crate) struct Peer {
    #[command(flatten)]
    pub(crate) server: Server,
    /// End when the connection ends, instead of connecting again.
    #[arg(long)]
    pub(crate) no_reconnect: bool,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = &self.server.address;
        f.write_str(&address.authority(if address.is_explicitly(Door::Stomp) { Door::Stomp } else { Door::Native }))
    }
}

#[derive(Args, Debug)]
pub(crate) struct Listen {
    /// The channel, or a pattern: `*` is one level, `>` the rest. %XX is the byte of these two hexadecimal digits.
    #[arg(value_parser = Name::parser())]
    pub(crate) channel: Name,
    #[command(flatten)]
    pub(crate) peer: Peer,
    /// Print {"subscription", "data"} a line; "hex" instead of "data" when that is not UTF-8.
    #[arg(long, short = 'j')]
    pub(crate) json: bool,
    /// Print message bytes as they are, on a terminal, too: there, what would steer it is escaped otherwise.
    #[arg(long, short = 'r', conflicts_with = "json")]
    pub(crate) raw: bool,
    /// Print each message's headers before it, one a line, and an empty line; with --json as "headers". STOMP only.
    #[arg(long)]
    pub(crate) headers: bool,
    /// End after N messages. A queue keeps the others.
    #[arg(long, short = 'n', short_alias = 'C', allow_hyphen_values = true, value_name = "N", value_parser = parse_count)]
    pub(crate) count: Option<u64>,
    /// End after DURATION, with exit code 27; 0 ends at once, and takes nothing [default: no end].
    #[arg(long, short_alias = 'W', allow_hyphen_values = true, value_name = "DURATION", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
}

#[derive(Args, Debug)]
pub(crate) struct Send {
    /// The channel, as `status` shows it: %XX is the byte of these two hexadecimal digits.
    #[arg(value_parser = Name::parser())]
    pub(crate) channel: Name,
    /// The message. With none, `Msg 0 from <who>`, `Msg 1 from <who>`, once a second.
    #[arg(conflicts_with_all = ["stdin", "size"])]
    pub(crate) data: Option<OsString>,
    #[command(flatten)]
    pub(crate) peer: Peer,
    /// A header of each message, over STOMP (repeatable).
    #[arg(long = "header", value_name = "NAME:VALUE", value_parser = header)]
    pub(crate) headers: Vec<(String, String)>,
    /// Send each line of the standard input.
    #[arg(long, short = 'l', conflicts_with = "size")]
    pub(crate) stdin: bool,
    /// Wait DURATION between messages [default: 1 for generated ones without --count, else 0].
    #[arg(long, short = 'i', allow_hyphen_values = true, value_name = "DURATION", value_parser = duration)]
    pub(crate) interval: Option<Duration>,
    /// Send messages of SIZE bytes, filled with X.
    #[arg(long, allow_hyphen_values = true, value_parser = size)]
    pub(crate) size: Option<usize>,
    /// End after N messages [default: 1 for DATA, else no end].
    #[arg(long, short = 'n', allow_hyphen_values = true, value_name = "N", value_parser = parse_count)]
    pub(crate) count: Option<u64>,
    /// Fail after DURATION without a broker, at first or later; 0 waits for ever.
    #[arg(
        long,
        short_alias = 'W',
        allow_hyphen_values = true,
        value_name = "DURATION",
        value_parser = duration,
        default_value = "10"
    )]
    pub(crate) timeout: Duration,
    /// Report what was sent as JSON.
    #[arg(long, short = 'j')]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Kick {
    /// The connection's number, as `status` shows it.
    #[arg(allow_negative_numbers = true, value_parser = parse_count)]
    pub(crate) connection: u64,
    #[command(flatten)]
    pub(crate) http: HttpArgs,
    /// Print {"kicked": N}.
    #[arg(long, short = 'j')]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Health {
    /// The broker's HTTP or the monitor's page, as the banner prints it [default: the broker's, at --server].
    pub(crate) url: Option<ServerAddress>,
    #[command(flatten)]
    pub(crate) http: HttpArgs,
    /// Print {"health": "ok"}, with "not_ready" of a service that lacks something.
    #[arg(long, short = 'j')]
    pub(crate) json: bool,
}

/// A header of a message.
fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("it must be NAME:VALUE".to_owned()),
    }
}

/// A message's size.
pub(crate) fn size(text: &str) -> Result<usize, String> {
    // Every frame has a 4-byte length.
    parse_size(text).and_then(|bytes| match u32::try_from(bytes) {
        Ok(_) => Ok(bytes),
        Err(_) => Err("it is too large: a message has at most 4294967295 bytes".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn rules_of_the_command_line_keep_their_order() {
        let cli = Cli::parse_from([
            "switchboard",
            "--channel",
            "/a,buffer-unsubscribed=1",
            "--channel",
            "/b",
            "--set",
            "outbox=1KiB",
        ]);
        let settings = cli.up.chosen.settings().unwrap();
        assert_eq!(settings.rules[0].pattern, "/a");
        assert_eq!(settings.rules[1].pattern, "/b");
        assert_eq!(settings.server.limits.outbox, 1024);
    }
}
