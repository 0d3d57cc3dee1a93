//! The command line.

use crate::peers::{Peer, Places, StompPeer};
use crate::rows::Pattern;
use clap::{Args, Parser, Subcommand};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Compares Switchboard with other brokers, in one run on one machine.
///
/// Without a command it runs the chosen patterns with the chosen payloads against the chosen peers,
/// in turn, and prints medians and ratios as Markdown.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Peers compared [default: all].
    #[arg(long, value_delimiter = ',')]
    peers: Vec<Peer>,
    /// Load patterns [default: all].
    #[arg(long, value_delimiter = ',')]
    pub(crate) patterns: Vec<Pattern>,
    /// Bytes of a payload [default: 16,128,1024,16384].
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(16..=1 << 20))]
    pub(crate) sizes: Vec<u32>,
    /// Runs of each figure; the median counts.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) runs: u32,
    /// For how long is published in each run, in seconds [default: 2; quick: 0.75].
    #[arg(long)]
    seconds: Option<f64>,
    /// The offered rate of the pattern `latency`, in messages per second.
    #[arg(long, default_value_t = 100_000.0)]
    pub(crate) rate: f64,
    /// Only the rows that have a target, and the peers that matter most, for a shorter time.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Write all figures to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write the tables to this file, too.
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
    /// The program `switchboard` [default: the one beside this program].
    #[arg(long, value_name = "PATH", global = true)]
    switchboard: Option<PathBuf>,
    /// An interpreter that has uvloop [default: the one that bench/run makes].
    #[arg(long, value_name = "PATH")]
    uvloop_python: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Copy bytes from publishers to subscribers, without a look at them: the peer `relay`.
    Relay {
        /// Listen address.
        #[arg(long, value_name = "HOST:PORT")]
        listen: SocketAddr,
    },
    /// Memory of an idle connection.
    Idle {
        /// Number.
        #[arg(long, default_value_t = 10_000)]
        connections: usize,
    },
    /// Connections come and go: is the memory afterwards what it was?
    Churn {
        /// Connections a second.
        #[arg(long, default_value_t = 1000.0)]
        rate: f64,
        /// For how long, in seconds.
        #[arg(long, default_value_t = 60.0)]
        seconds: f64,
    },
    /// One of eight subscribers never reads: do the others keep their rate?
    Stalled {
        /// Bytes of a payload.
        #[arg(long, default_value_t = 128)]
        size: u32,
        /// For how long is published in each run, in seconds.
        #[arg(long, default_value_t = 4.0)]
        seconds: f64,
        /// Runs of each; the median counts.
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
        runs: u32,
    },
    /// Beside connections that publish at full speed: how long do others wait?
    Fairness {
        /// For how long each load runs, in seconds.
        #[arg(long, default_value_t = 3.0)]
        seconds: f64,
    },
    /// Whatever waits: does the resident memory keep to the budget?
    Memory {
        /// The budget, in MiB.
        #[arg(long, default_value_t = 64)]
        budget: u64,
        /// Only the rows whose name contains this.
        #[arg(long, default_value = "")]
        only: String,
    },
    /// The same load over STOMP: this project, RabbitMQ, ActiveMQ, CoilMQ, and this project's native protocol beside it.
    Stomp(StompOptions),
    /// Memory of waiting and unacked messages and idle connections over STOMP.
    StompMemory {
        /// Messages of 100 bytes with five headers.
        #[arg(long, default_value_t = 1_000_000)]
        messages: usize,
        /// Idle connections.
        #[arg(long, default_value_t = 10_000)]
        connections: usize,
    },
    /// Many channels come, hold a message each, and go: what do they cost, and is it given back?
    Channels {
        /// Number.
        #[arg(long, default_value_t = 100_000)]
        channels: usize,
    },
}

/// Options of `stomp`.
#[derive(Clone, Debug, Args)]
pub(crate) struct StompOptions {
    /// Peers compared.
    #[arg(long, value_delimiter = ',', default_value = "switchboard,rabbitmq,activemq,coilmq")]
    pub(crate) peers: Vec<StompPeer>,
    /// Bytes of a payload.
    #[arg(long, value_delimiter = ',', default_value = "16,128,1024", value_parser = clap::value_parser!(u32).range(16..=1 << 20))]
    pub(crate) sizes: Vec<u32>,
    /// Runs of each figure; the median counts.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) runs: u32,
    /// For how long is published in each run, in seconds.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) seconds: f64,
    /// Only the rows whose name contains this; `native` for those beside the native protocol.
    #[arg(long, default_value = "")]
    pub(crate) only: String,
    /// The program coilmq [default: the one that bench/run makes].
    #[arg(long, value_name = "PATH")]
    pub(crate) coilmq: Option<PathBuf>,
}

impl Options {
    pub(crate) fn seconds(&self) -> f64 {
        self.seconds.unwrap_or(if self.quick { 0.75 } else { 2.0 })
    }

    pub(crate) fn peers(&self) -> Vec<Peer> {
        use Peer::{Mosquitto, Nats, Python, Redis, Relay, Switchboard, Uvloop};
        match (self.peers.is_empty(), self.quick) {
            (false, _) => self.peers.clone(),
            (true, true) => vec![Switchboard, Nats, Uvloop, Relay],
            (true, false) => vec![Switchboard, Nats, Redis, Mosquitto, Python, Uvloop, Relay],
        }
    }

    pub(crate) fn places(&self) -> Places {
        let beside = std::env::current_exe().unwrap_or_default();
        let beside = beside.parent().unwrap_or(Path::new("."));
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let or = |chosen: &Option<PathBuf>, default| chosen.clone().unwrap_or(default);
        // Peers run in folders of their own.
        let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        Places {
            switchboard: absolute(or(&self.switchboard, beside.join("switchboard"))),
            python_broker: here.join("peers/broker.py"),
            uvloop_python: absolute(or(&self.uvloop_python, beside.join("../uvloop/bin/python"))),
        }
    }
}
