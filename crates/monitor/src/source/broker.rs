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
                let error = in_words(&error, hub.settings.pipe.is_some());
                tracing::warn!("{error}; it is tried again every {} s", PAUSE.as_secs());
            }
            Err(_) => {}
        }
        sleep(PAUSE).await;
    }
}

/// The error in the words of a program: whoever reads its log cannot set the client's options, and a broker of the same
/// program has no address.
fn in_words(error: &Error, is_own: bool) -> String {
    match error {
        Error::Connect { source, .. } if is_own => {
            format!("the broker of this program does not take the connection: {source}")
        }
        Error::Connect { address, source } => format!("cannot connect to the broker at {address}: {source}"),
        error => error.to_string(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_that_is_not_there_is_told_without_the_clients_options_and_without_an_address_that_it_has_not() {
        let source = Arc::new(std::io::Error::other("refused"));
        let error = Error::Connect { address: "localhost:25000".to_owned(), source };
        assert_eq!(in_words(&error, true), "the broker of this program does not take the connection: refused");
        assert_eq!(in_words(&error, false), "cannot connect to the broker at localhost:25000: refused");
    }
}
