//! Durable subscriptions: which header asks for one, and the queue that it has.

use super::{Session, StompError};
use bytes::Bytes;
use switchboard_broker::durable_queue;
use switchboard_wire::stomp::Frame;

/// ActiveMQ's header and Artemis' two, with the name among those of the client.
const NAMES: [&str; 3] = ["activemq.subscriptionName", "durable-subscription-name", "durable-subscriber-name"];

/// The client of those that have none: RabbitMQ's have no client-id.
const ANONYMOUS: &[u8] = b"-";

impl Session {
    /// The queue of the durable subscription that a SUBSCRIBE or UNSUBSCRIBE is about, if it is about one.
    pub(super) fn durable(&self, frame: &Frame<'_>) -> Result<Option<Bytes>, StompError> {
        let name_in = |header: &str| frame.header(header.as_bytes()).filter(|name| !name.is_empty());
        if let Some((header, name)) = NAMES.iter().find_map(|&header| Some((header, name_in(header)?))) {
            let Some(client) = self.client.as_deref() else {
                return Err(StompError::new(format!(
                    "{header}: durable subscriptions need the header client-id in CONNECT"
                )));
            };
            return self.durable_of(client, &name).map(Some);
        }
        match frame.header(b"durable").as_deref() {
            None | Some(b"" | b"0" | b"false") => Ok(None),
            Some(b"true") => match frame.header(b"id").filter(|id| !id.is_empty()) {
                Some(id) => self.durable_of(self.client.as_deref().unwrap_or(ANONYMOUS), &id).map(Some),
                None => Err(StompError::new("durable: a durable subscription is known by the header id")),
            },
            Some(_) => Err(StompError::new("durable is true or false")),
        }
    }

    fn durable_of(&self, client: &[u8], name: &[u8]) -> Result<Bytes, StompError> {
        // Its subscriptions would be those of another client.
        if client.contains(&b'/') {
            return Err(StompError::new("client-id: that of a client with durable subscriptions has no slash"));
        }
        self.limited("name of a durable subscription", durable_queue(client, name))
    }
}
