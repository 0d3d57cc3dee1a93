//! The same load over STOMP, in turn.

use crate::holds::{judge, median, tell};
use crate::options::StompOptions;
use crate::peers::{Places, StompBroker, StompPeer, start_stomp};
use anyhow::Result;
use std::path::Path;
use std::time::Duration;
use switchboard_load::{Native, Outcome, Plan, Stomp, run as load};

/// Messages that may wait for their acks.
const PREFETCH: u32 = 100;
/// Messages a second of the row for latency.
const RATE: f64 = 20_000.0;
/// Subscribers of the topic.
const FAN_OUT: usize = 100;
/// Part of the other rows' time for which that is published to: a broker that cannot keep up delivers for minutes afterwards.
const FAN_OUT_PART: u32 = 5;
/// Length of the first run, which does not count.
const WARM_UP: Duration = Duration::from_millis(300);

/// Bounds against RabbitMQ: times its rate, part of its p99; and part of the native protocol's rate.
const RATE_BOUND: f64 = 5.0;
const LATENCY_BOUND: f64 = 0.5;
const NATIVE_BOUND: f64 = 1.0 / 3.0;

/// One line of the comparison.
struct Row {
    name: String,
    plan: Plan,
    prefetch: Option<u32>,
}

fn rows(options: &StompOptions) -> Vec<Row> {
    let time = Duration::from_secs_f64(options.seconds);
    let mut rows = Vec::new();
    for (prefetch, ack) in [(None, "auto"), (Some(PREFETCH), "client-individual")] {
        for (publishers, subscribers) in [(1, 1), (1, 8), (8, 8)] {
            for &size in &options.sizes {
                let plan = Plan { publishers, subscribers, queue: true, ..Plan::one_to_one(size as usize, time) };
                rows.push(Row { name: format!("{publishers} to {subscribers}, {size} B, {ack}"), plan, prefetch });
            }
        }
        let plan = Plan { queue: true, rate: Some(RATE), ..Plan::one_to_one(128, time) };
        rows.push(Row { name: format!("p99 at {RATE} a second, 128 B, {ack}"), plan, prefetch });
    }
    for &size in &options.sizes {
        let plan = Plan { subscribers: FAN_OUT, ..Plan::one_to_one(size as usize, time / FAN_OUT_PART) };
        rows.push(Row { name: format!("1 to {FAN_OUT} on a topic, {size} B, auto"), plan, prefetch: None });
    }
    rows.into_iter().filter(|row| row.name.contains(&options.only)).collect()
}

pub(crate) fn run(places: &Places, options: &StompOptions) -> Result<bool> {
    let beside = std::env::current_exe().unwrap_or_default();
    let made = beside.parent().unwrap_or(Path::new(".")).join("../coilmq/bin/coilmq");
    let coilmq = options.coilmq.clone().unwrap_or(made);
    // Peers run in folders of their own.
    let coilmq = std::path::absolute(&coilmq).unwrap_or(coilmq);
    println!("load average before: {}", std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());
    let mut kept = true;
    let rows = rows(options);
    let mut brokers = Vec::new();
    for &peer in &options.peers {
        match start_stomp(peer, places, &coilmq) {
            Ok(broker) => brokers.push(broker),
            Err(error) => println!("{}: NOT COMPARED: {error:#}", peer.name()),
        }
    }
    for row in &rows {
        kept &= compare(&brokers, row, options);
    }
    if let Some(broker) = brokers.iter().find(|broker| broker.peer == StompPeer::Switchboard)
        && "native".contains(&options.only)
    {
        kept &= against_native(broker, options)?;
    }
    Ok(kept)
}

/// A run's main figure: messages a second, or the p99 in microseconds.
fn figure(row: &Row, outcome: &Outcome) -> f64 {
    match row.plan.rate {
        Some(_) => outcome.latency.quantile(0.99) as f64 / 1e3,
        None => outcome.per_second(),
    }
}

fn compare(brokers: &[StompBroker], row: &Row, options: &StompOptions) -> bool {
    let mut figures: Vec<Vec<f64>> = vec![Vec::new(); brokers.len()];
    let mut failed: Vec<Option<String>> = vec![None; brokers.len()];
    for run in 0..=options.runs {
        for (at, broker) in brokers.iter().enumerate().filter(|(at, _)| failed[*at].is_none()).collect::<Vec<_>>() {
            let time = if run == 0 { WARM_UP } else { row.plan.time };
            match load(&broker.stomp(row.prefetch), &Plan { time, ..row.plan.clone() }) {
                Ok(outcome) if run > 0 => {
                    let tally = &outcome.tally;
                    if outcome.lost() + tally.doubled + tally.foreign > 0 {
                        let (lost, doubled) = (outcome.lost(), tally.doubled);
                        println!("{}: {}: lost {lost}, twice {doubled}", row.name, broker.peer.name());
                    }
                    figures[at].push(figure(row, &outcome));
                }
                Ok(_) => {}
                Err(error) => failed[at] = Some(error.to_string()),
            }
        }
    }
    let of = |peer| {
        let at = brokers.iter().position(|broker| broker.peer == peer)?;
        (!figures[at].is_empty()).then(|| median(figures[at].clone()))
    };
    let unit = if row.plan.rate.is_some() { "us" } else { "a second" };
    for (at, broker) in brokers.iter().enumerate() {
        let what = format!("{}: {}", row.name, broker.peer.name());
        match (&failed[at], of(broker.peer)) {
            (None, Some(median)) => tell(&what, median, unit),
            (why, _) => println!("{what}: FAILED: {}", why.as_deref().unwrap_or("no run")),
        }
    }
    match (of(StompPeer::Switchboard), of(StompPeer::Rabbitmq), row.plan.rate) {
        // Nothing was promised there.
        (Some(ours), Some(theirs), None) if !row.plan.queue => {
            tell(&format!("{}: times RabbitMQ's", row.name), ours / theirs, "");
            true
        }
        (Some(ours), Some(theirs), None) => {
            let times = ours / theirs;
            judge(&format!("{}: times RabbitMQ's", row.name), times, "", "5 at least", times >= RATE_BOUND)
        }
        (Some(ours), Some(theirs), Some(_)) => {
            let part = ours / theirs;
            judge(&format!("{}: part of RabbitMQ's", row.name), part, "", "0.5 at most", part <= LATENCY_BOUND)
        }
        // Without RabbitMQ nothing is to be reached, but the row is to work.
        _ => !brokers.iter().zip(&failed).any(|(broker, why)| broker.peer == StompPeer::Switchboard && why.is_some()),
    }
}

/// STOMP beside the native protocol, at one broker: each run of the one is followed by one of the other.
fn against_native(broker: &StompBroker, options: &StompOptions) -> Result<bool> {
    let mut kept = true;
    for (queue, channel) in [(false, "topic"), (true, "queue")] {
        let plan = Plan { queue, ..Plan::one_to_one(128, Duration::from_secs_f64(options.seconds)) };
        let stomp: Stomp = broker.stomp(None);
        let native = Native(broker.address);
        let mut ratios = Vec::new();
        for run in 0..=options.runs {
            let (text, binary) = (load(&stomp, &plan)?.per_second(), load(&native, &plan)?.per_second());
            if run > 0 {
                println!("1 to 1, 128 B, a {channel}: STOMP {text:.0}, native {binary:.0} a second");
                ratios.push(text / binary);
            }
        }
        let ratio = median(ratios);
        let what = format!("1 to 1, 128 B, a {channel}: part of the native protocol's rate");
        kept &= judge(&what, ratio, "", "0.33 at least", ratio >= NATIVE_BOUND);
    }
    Ok(kept)
}
