//! New headlines and broken rules, on their way to topics of the broker.

use crate::config::News;
use std::time::Duration;
use switchboard_client::{Client, Error, Options};
use switchboard_monitor::Pipe;
use switchboard_news::board::{Message, Publish, Topic};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Messages that may wait for the broker; further ones are dropped, and counted.
const QUEUE: usize = 10_000;
/// Pause before the next attempt to reach a broker.
const PAUSE: Duration = Duration::from_secs(5);
/// Time for what waits when the page stops.
const END: Duration = Duration::from_secs(1);

/// The task that publishes. It ends with the last clone of its [`Publish`].
pub(super) struct Publisher {
    task: JoinHandle<()>,
}

struct Topics {
    news: String,
    alerts: String,
}

impl Publisher {
    /// Publishes at the broker of this URL, or over a pipe to it. The first message makes the connection.
    pub(super) fn start(url: String, pipe: Option<Pipe>, settings: &News) -> (Publisher, Publish) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let topics = Topics { news: settings.topic.clone(), alerts: settings.alerts.clone() };
        let task = tokio::spawn(run(receiver, url, pipe, topics));
        let publish = Publish::new(move |message| {
            if sender.try_send(message).is_err() {
                tracing::debug!("a message was dropped: {QUEUE} wait for the broker");
            }
        });
        (Publisher { task }, publish)
    }

    /// Waits for what was published last.
    pub(super) async fn finish(mut self) {
        if timeout(END, &mut self.task).await.is_err() {
            self.task.abort();
            tracing::warn!("the broker did not take the latest headlines in time");
        }
    }
}

async fn run(mut messages: mpsc::Receiver<Message>, url: String, pipe: Option<Pipe>, topics: Topics) {
    let mut client = None;
    while let Some(Message { topic, body }) = messages.recv().await {
        let topic = match topic {
            Topic::News => &topics.news,
            Topic::Alerts => &topics.alerts,
        };
        loop {
            let connected = match client.take() {
                Some(client) => client,
                None => connected(&url, pipe.as_ref()).await,
            };
            let result = connected.publish(topic, &body).await;
            if !matches!(result, Err(Error::Closed)) {
                client = Some(connected);
                if let Err(error) = result {
                    tracing::warn!("{topic} did not get a message: {error}");
                }
                break;
            }
        }
    }
    if let Some(client) = client {
        let _ = client.close().await;
    }
}

/// The broker, as soon as it is there.
async fn connected(url: &str, pipe: Option<&Pipe>) -> Client {
    let mut is_logged = false;
    loop {
        let connecting = async {
            // A connection that breaks loses nothing: what is in doubt is sent again.
            let options = Options { resend: 3, ..url.parse()? };
            match pipe.cloned() {
                Some(pipe) => Client::over(options, move || pipe.connect()).await,
                None => Client::with(options).await,
            }
        };
        match connecting.await {
            Ok(client) => return client,
            Err(error) if !is_logged => {
                is_logged = true;
                tracing::warn!("headlines wait for the broker: {error}; it is tried again every {} s", PAUSE.as_secs());
            }
            Err(_) => {}
        }
        sleep(PAUSE).await;
    }
}
