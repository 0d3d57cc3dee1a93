//! Settings that are read again while a broker runs.

mod common;

use common::{Broker, Client, listening};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A broker and its configuration file.
struct Configured {
    broker: Broker,
    path: PathBuf,
    _directory: TempDir,
}

impl Configured {
    fn start(settings: &str) -> Configured {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("my.toml");
        std::fs::write(&path, settings).expect("written");
        // A session of its own has no controlling terminal.
        let mut command = Command::new("setsid");
        command.arg(env!("CARGO_BIN_EXE_switchboard")).stdin(Stdio::null());
        command.args(["broker", "--listen", "127.0.0.1:0", "--config"]).arg(&path);
        Configured { broker: Broker::launch(&mut command), path, _directory: directory }
    }

    /// Other settings are to have this effect, as the log says it.
    fn reload(&self, settings: &str, effect: &[&str]) {
        std::fs::write(&self.path, settings).expect("written");
        self.reload_file(effect);
    }

    fn reload_file(&self, effect: &[&str]) {
        self.broker.program.signal("-HUP");
        let lines = std::iter::from_fn(|| self.broker.log.next());
        let line = { lines }.find(|line| line.contains("the settings ")).expect("a line about the settings");
        assert!(effect.iter().all(|part| line.contains(part)), "{effect:?} is not in {line}");
    }
}

const APPLIED: &str = "the settings were read again; applied: [[channel]]";

fn bound(bytes: usize) -> String {
    format!("[[channel]]\nmatch = '/queue/>'\nqueue = {bytes}\n")
}

/// Returns the number of messages of 50 bytes in a queue when a publisher of ten is paused. It is found by the topic that it
/// listens to: one that is gone may still be listed.
fn taken(broker: &Broker, topic: &str, queue: &str) -> u64 {
    let mut publisher = Client::listening(broker, topic);
    for _ in 0..10 {
        publisher.publish(queue, &[7; 46]);
    }
    publisher.ask_echo();
    let status = broker.status_until("it is paused", |status| !listening(status, topic)["paused"].is_null());
    let mut channels = status["channels"].as_array().expect("a list").iter();
    channels.find(|channel| channel["name"] == queue).expect("a queue")["depth"].as_u64().expect("a number")
}

#[test]
fn changed_bounds_hold_for_queues_that_are_there_and_for_new_ones() {
    let configured = Configured::start(&bound(100));
    let broker = &configured.broker;
    let mut publisher = Client::listening(broker, "/topic/old");
    for _ in 0..5 {
        publisher.publish("/queue/old", &[7; 46]);
    }
    publisher.ask_echo();
    let paused = broker.status_until("it is paused", |status| status["totals"]["paused"] == 1);
    assert_eq!(
        listening(&paused, "/topic/old")["paused"],
        "queue /queue/old is at its bound of 100 bytes (limit: queue)"
    );
    assert_eq!(taken(broker, "/topic/1", "/queue/before"), 2);

    // Higher: whoever waited goes on.
    configured.reload(&bound(300), &[APPLIED]);
    publisher.until_echo();
    assert_eq!(taken(broker, "/topic/2", "/queue/old"), 6);
    assert_eq!(taken(broker, "/topic/3", "/queue/after"), 6);

    // Lower: what waits stays, and nothing is added.
    configured.reload(&bound(150), &[APPLIED]);
    assert_eq!(taken(broker, "/topic/4", "/queue/old"), 6);
    assert_eq!(taken(broker, "/topic/5", "/queue/later"), 3);

    // None: the limit of all queues is in force.
    configured.reload("[broker]\nqueue = 200\n", &[APPLIED, "these take a restart: queue"]);
    configured.reload("", &["the settings were read again; applied: none"]);
    publisher.publish("/queue/later", &[7; 46]);
    publisher.settle();
}

#[test]
fn bad_rules_change_nothing_and_the_log_says_why() {
    let configured = Configured::start(&bound(100));
    for (rules, why) in [
        ("[[channel]]\nmatch = '/queue/>'\nqueue = 0\n", "queue = 0 is not allowed"),
        ("[[channel]]\nmatch = '/queue/>'\nqueue = 300\npolicy = 'drop'\n", "policy = drop is not allowed"),
        ("[[channel]]\nqueue = 300\n", "match = \"\" is not allowed"),
        ("[[channel]]\nmatch = '/queue/>'\nqueue = 300\nqueues = 3\n", "there is no key `queues`"),
        ("[[channel]\nmatch = '/queue/>'\nqueue = 300\n", "line 1"),
    ] {
        configured.reload(rules, &["the settings stay as they are", why]);
    }
    std::fs::remove_file(&configured.path).expect("removed");
    configured.reload_file(&["the settings stay as they are", "cannot read"]);
    assert_eq!(taken(&configured.broker, "/topic/6", "/queue/a"), 2);
}

#[test]
fn a_changed_policy_holds_for_topics_that_are_there_and_for_new_ones() {
    const COUNT: usize = 40;
    let settings = |policy: &str| {
        format!(
            "[broker]\noutbox = '256KiB'\nwindow = '64KiB'\ngrace-period = 0\n\
             [[channel]]\nmatch = '/topic/large/>'\npolicy = '{policy}'\n"
        )
    };
    let fill = |publisher: &mut Client, topic: &str| {
        for number in 0..COUNT {
            publisher.publish(topic, &vec![number as u8; 256 << 10]);
        }
        publisher.ask_echo();
    };
    let configured = Configured::start(&settings("block"));
    let broker = &configured.broker;
    let _stuck = Client::listening(broker, "/topic/large/old");
    let mut publisher = Client::listening(broker, "/topic/publisher");
    let mut writer = publisher.twin();
    let writing = std::thread::spawn(move || fill(&mut writer, "/topic/large/old"));
    broker.status_until("it is paused", |status| status["totals"]["paused"] == 1);
    assert_eq!(broker.status()["totals"]["dropped_slow"], 0);

    configured.reload(&settings("drop-new"), &[APPLIED]);
    writing.join().expect("everything was taken");
    publisher.until_echo();
    let dropped = |broker: &Broker| broker.status()["totals"]["dropped_slow"].as_u64().expect("a number");
    let before = dropped(broker);
    assert!(before > 0);

    let _other = Client::listening(broker, "/topic/large/new");
    fill(&mut publisher, "/topic/large/new");
    publisher.until_echo();
    assert!(dropped(broker) > before);
}

#[test]
fn a_rule_without_effect_is_a_warning_once_at_a_reload_too() {
    let configured = Configured::start("");
    let log = &configured.broker.log;
    std::fs::write(&configured.path, "[[channel]]\nmatch = '/queue/a'\npolicy = 'block'\n").expect("written");
    configured.broker.program.signal("-HUP");
    log.find(&["WARN", "without effect: policy of [[channel]] /queue/a"]);
    log.find(&[APPLIED]);
    configured.broker.program.signal("-HUP");
    let line =
        std::iter::from_fn(|| log.next()).find(|line| line.contains("without effect") || line.contains("applied:"));
    assert!(line.as_ref().is_some_and(|line| line.contains("applied: none")), "{line:?}");
}
