//! Alerts on their way to people: the log, a topic of the broker, and webhooks. Each has a queue and a task of its own,
//! so that none waits for another.

mod body;
mod group;
mod webhook;

pub use webhook::WebhookError;

pub(crate) use webhook::Webhook;

use crate::annotation::Annotation;
use crate::hub::Hub;
use group::{Group, Notice, Pace};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use switchboard_client::Client;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// Limits of log lines about alerts, and of those about the same process after the first few.
const LOG: Pace = Pace { interval: Duration::from_secs(1), repeat: Duration::from_secs(60) };
/// Alerts that may wait for a task to take them, which it does at once.
const QUEUE: usize = 10_000;

/// An annotation that somebody wants to know of.
#[derive(Clone, Debug)]
pub(crate) struct Alert {
    pub(crate) annotation: Annotation,
    /// The name of the process.
    pub(crate) name: String,
}

/// Delivers until `ending` is true. What waits then is tried once more, and logged if that fails.
pub(crate) async fn run(
    hub: Arc<Hub>,
    mut alerts: mpsc::Receiver<Alert>,
    webhooks: Vec<Webhook>,
    client: watch::Receiver<Option<Client>>,
) {
    let mut sinks = Vec::new();
    let mut tasks = JoinSet::new();
    let mut queue = || {
        let (sender, receiver) = mpsc::channel(QUEUE);
        sinks.push(sender);
        receiver
    };
    tasks.spawn(log(queue(), hub.ending.subscribe()));
    if hub.settings.broker.is_some() {
        tasks.spawn(publish(hub.clone(), queue(), client));
    }
    for webhook in webhooks {
        tasks.spawn(webhook.run(hub.clone(), queue(), hub.ending.subscribe()));
    }
    let mut ending = hub.ending.subscribe();
    loop {
        let alert = tokio::select! {
            alert = alerts.recv() => alert,
            () = ended(&mut ending) => alerts.try_recv().ok(),
        };
        let Some(alert) = alert else { break };
        for sink in &sinks {
            if sink.try_send(alert.clone()).is_err() {
                count(&hub.undelivered, 1);
            }
        }
    }
    drop(sinks);
    while tasks.join_next().await.is_some() {}
}

fn count(counter: &AtomicU64, alerts: usize) {
    counter.fetch_add(alerts as u64, Ordering::Relaxed);
}

pub(crate) async fn ended(ending: &mut watch::Receiver<bool>) {
    drop(ending.wait_for(|ending| *ending).await);
}

/// Ready at this time; never for none.
async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

async fn log(mut alerts: mpsc::Receiver<Alert>, mut ending: watch::Receiver<bool>) {
    let say = |notice: &Notice| tracing::warn!("alert: {}", body::text(notice).escape_debug());
    let mut group = Group::new(LOG);
    loop {
        tokio::select! {
            alert = alerts.recv() => match alert {
                Some(alert) => group.push(alert),
                None => break,
            },
            () = until(group.next()) => {
                group.take(Instant::now()).iter().for_each(say);
            }
            () = ended(&mut ending) => {
                while let Some(alert) = alerts.recv().await {
                    group.push(alert);
                }
                break;
            }
        }
    }
    group.take_all().iter().for_each(say);
}

/// Programs subscribe to the topic: each alert is a message.
async fn publish(hub: Arc<Hub>, mut alerts: mpsc::Receiver<Alert>, client: watch::Receiver<Option<Client>>) {
    let mut ending = hub.ending.subscribe();
    let mut unpublished = 0;
    while let Some(alert) = alerts.recv().await {
        let broker = client.borrow().clone();
        let published = async {
            match broker {
                Some(client) => client.publish(&hub.settings.alerts, body::alert(&alert).to_string()).await.is_ok(),
                None => false,
            }
        };
        // A broker that takes nothing delays no end.
        let published = tokio::select! {
            biased;
            published = published => published,
            () = ended(&mut ending) => false,
        };
        count(if published { &hub.delivered } else { &hub.undelivered }, 1);
        unpublished += usize::from(!published && *hub.ending.borrow());
    }
    if unpublished > 0 {
        tracing::error!(
            "{} did not get {}: the monitor stops",
            hub.settings.alerts.escape_debug(),
            body::alerts(unpublished)
        );
    }
}
