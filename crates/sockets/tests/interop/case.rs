//! One cell of the matrix: who sends, who binds, over what.

use crate::ours::{Ours, SYNC, payload};
use crate::proxy::Bytewise;
use crate::python::{DEADLINE, Python};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use switchboard_sockets::Options;

#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) ours: &'static str,
    pub(crate) theirs: &'static str,
    pub(crate) we_bind: bool,
    pub(crate) tcp: bool,
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Case { ours, theirs, we_bind, tcp } = self;
        let (how, over) = (if *we_bind { "binds" } else { "connects" }, if *tcp { "tcp" } else { "ipc" });
        write!(f, "our {ours} {how}, their {theirs}, {over}")
    }
}

/// Runs a scenario in every cell, with one Python for all.
pub(crate) fn each(scenario: fn(&Case, &mut Python)) {
    let mut python = Python::start();
    for (sends, receives) in [("PUSH", "PULL"), ("PUB", "SUB"), ("XPUB", "XSUB")] {
        for (ours, theirs) in [(sends, receives), (receives, sends)] {
            for we_bind in [true, false] {
                for tcp in [true, false] {
                    let case = Case { ours, theirs, we_bind, tcp };
                    // Shown if it fails.
                    println!("{case}");
                    scenario(&case, &mut python);
                }
            }
        }
    }
}

fn fresh_ipc() -> String {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("switchboard-sockets-{}-{number}", std::process::id()));
    format!("ipc://{}", path.display())
}

impl Case {
    pub(crate) fn we_send(&self) -> bool {
        matches!(self.ours, "PUSH" | "PUB" | "XPUB")
    }

    pub(crate) fn publishes(&self) -> bool {
        !matches!(self.ours, "PUSH" | "PULL")
    }

    fn anywhere(&self) -> String {
        if self.tcp { "tcp://127.0.0.1:*".into() } else { fresh_ipc() }
    }

    /// Returns an address where nobody listens yet.
    pub(crate) fn somewhere(&self) -> String {
        if self.tcp {
            // A port that was free a moment ago.
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            format!("tcp://{}", listener.local_addr().unwrap())
        } else {
            fresh_ipc()
        }
    }

    pub(crate) fn ours(&self, options: Options) -> Ours {
        Ours::new(self.ours, options)
    }

    /// Opens both, whoever binds first.
    pub(crate) fn open(&self, python: &mut Python, options: Options, theirs: &Value) -> (Ours, String) {
        let ours = self.ours(options);
        let endpoint = if self.we_bind {
            let endpoint = ours.socket().bind(self.anywhere()).unwrap().to_string();
            python.open(self.theirs, false, &endpoint, theirs);
            endpoint
        } else {
            let endpoint = python.open(self.theirs, true, &self.anywhere(), theirs);
            ours.socket().connect(&endpoint).unwrap();
            endpoint
        };
        (ours, endpoint)
    }

    /// Opens both; who connects does so before the other has bound.
    pub(crate) fn open_connector_first(&self, python: &mut Python) -> (Ours, String) {
        let endpoint = self.somewhere();
        let ours = self.ours(Options::default());
        if self.we_bind {
            python.open(self.theirs, false, &endpoint, &json!({}));
            ours.socket().bind(&endpoint).unwrap();
        } else {
            ours.socket().connect(&endpoint).unwrap();
            python.open(self.theirs, true, &endpoint, &json!({}));
        }
        (ours, endpoint)
    }

    /// Opens both, with somebody between them who passes single bytes to us.
    pub(crate) fn open_bytewise(&self, python: &mut Python) -> (Ours, Bytewise) {
        let ours = self.ours(Options::default());
        let entry = self.anywhere();
        if self.we_bind {
            let endpoint = ours.socket().bind(self.anywhere()).unwrap().to_string();
            let proxy = Bytewise::before(&endpoint, &entry, false);
            python.open(self.theirs, false, &proxy.endpoint, &json!({}));
            (ours, proxy)
        } else {
            let endpoint = python.open(self.theirs, true, &self.anywhere(), &json!({}));
            let proxy = Bytewise::before(&endpoint, &entry, true);
            ours.socket().connect(&proxy.endpoint).unwrap();
            (ours, proxy)
        }
    }

    /// A publisher's messages come as soon as it knows of the subscription: it says the same until that is heard.
    pub(crate) fn sync(&self, ours: &mut Ours, python: &mut Python) {
        if !self.publishes() {
            return;
        }
        for _ in 0..3000 {
            if self.we_send() {
                ours.send(SYNC);
                if python.ask(&json!({ "do": "got_sync", "name": "it", "timeout": 20 }))["got"] == true {
                    return;
                }
            } else {
                python.ask(&json!({ "do": "sync", "name": "it" }));
                if ours.recv(Duration::from_millis(20)).is_some_and(|message| message.data() == SYNC) {
                    return;
                }
            }
        }
        panic!("the subscription never came into force");
    }

    /// Sends, and all of it comes, once and in order.
    pub(crate) fn exchange(&self, ours: &mut Ours, python: &mut Python, first: u64, count: u64) {
        let expected: Vec<u64> = (first..first + count).collect();
        if self.we_send() {
            expected.iter().for_each(|number| ours.send(payload(*number, 40)));
            assert_eq!(python.receive(count, DEADLINE).0, expected);
        } else {
            python.send(first, count, 40, 1);
            assert_eq!(ours.receive(count, DEADLINE), expected);
        }
    }
}
