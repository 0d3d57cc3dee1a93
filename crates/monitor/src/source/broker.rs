//! Samples that are published on a topic of the broker.

use crate::Pipe;
use crate::collector::Source;
use crate::hub::Hub;
use std::sync::Arc;
use std::time::Duration;
use switchboard_client::{Client, Error, Options, Subscription};
use tokio::sync::watch;
use tokio::time::sleep;

/// Messages that are taken together, at most.
const TOGETHER: usize = 1000;
/// Pause before the next attempt to reach a broker that was never there.
const PAUSE: Duration = Duration::from_secs(5);

/// Takes samples for ever, and hands out the client meanwhile. A broker that is not there is waited for.
pub(crate) async fn run(hub: Arc<Hub>, url: String, client: watch::Sender<Option<Client>>) {
    let mut logged = false;
    loop {
        match connect(&url, hub.settings.pipe.clone(), &hub.settings.samples).await {
            Ok((connected, subscription)) => {
                tracing::debug!("samples are taken from {} of {url}", hub.settings.samples);
                logged = false;
                client.send_replace(Some(connected));
                // It reconnects by itself; it ends with the client.
                take(&hub, subscription).await;
            }
            Err(error) if !logged => {
                logged = true;
                tracing::warn!("{error}; it is tried again every {} s", PAUSE.as_secs());
            }
            Err(_) => {}
        }
        sleep(PAUSE).await;
    }
}

async fn connect(url: &str, pipe: Option<Pipe>, topic: &str) -> Result<(Client, Subscription), Error> {
    // Once a second and process, a message is small: what waits is old, and of use all the same.
    let options: Options = url.parse()?;
    let client = match pipe {
        Some(pipe) => Client::over(options, move || pipe.connect()).await?,
        None => Client::with(options).await?,
    };
    let subscription = client.subscribe(topic).await?;
    Ok((client, subscription))
}

async fn take(hub: &Hub, mut subscription: Subscription) {
    let mut messages = Vec::new();
    while let Some(message) = subscription.next().await {
        messages.push(message);
        while let Some(message) = (messages.len() < TOGETHER).then(|| subscription.try_next()).flatten() {
            messages.push(message);
        }
        let bodies: Vec<&[u8]> = messages.iter().map(AsRef::as_ref).collect();
        hub.ingest(&bodies, Source::Broker, u64::MAX).await;
        messages.clear();
    }
}
