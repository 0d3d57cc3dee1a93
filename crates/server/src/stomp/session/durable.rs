//! Durable subscriptions: which header asks for one, and the queue that it has.

use super::frames::missing;
use super::subscribe::Life;
use super::{Session, StompError};
use crate::stomp::destination;
use bytes::Bytes;
use std::borrow::Cow;
use switchboard_broker::{Kind, durable_queue};
use switchboard_wire::stomp::Frame;

/// ActiveMQ's header and Artemis' two, with the name among those of the client.
const NAMES: [&str; 3] = ["activemq.subscriptionName", "durable-subscription-name", "durable-subscriber-name"];

/// The client of those that have none: RabbitMQ's have no client-id.
const ANONYMOUS: &[u8] = b"-";

/// A durable subscription that a frame names.
enum Named<'a> {
    /// In ActiveMQ's way: by a name among those of the client, in this header.
    Name(&'static str, Cow<'a, [u8]>),
    /// In RabbitMQ's way: by the id together with the destination.
    Id(Cow<'a, [u8]>),
}

impl Session {
    /// The queue of the durable subscription that a SUBSCRIBE asks for, if it asks for one.
    pub(super) fn durable(&self, frame: &Frame<'_>, topics: &[u8]) -> Result<Option<Bytes>, StompError> {
        match named(frame)? {
            // RabbitMQ's clients say so of queues, too, which keep their messages anyway.
            Some(Named::Id(_)) if Kind::of(topics) == Kind::Queue => Ok(None),
            None => Ok(None),
            Some(Named::Name(header, name)) => self.by_name(header, &name).map(Some),
            Some(Named::Id(id)) => self.by_id(&id, topics).map(Some),
        }
    }

    /// The queue of the durable subscription that an UNSUBSCRIBE ends, if it ends one.
    pub(super) fn durable_to_end(&self, frame: &Frame<'_>) -> Result<Option<Bytes>, StompError> {
        let id = match named(frame)? {
            None => return Ok(None),
            Some(Named::Name(header, name)) => return self.by_name(header, &name).map(Some),
            Some(Named::Id(id)) => id,
        };
        match self.subscriptions.get(&*id).map(|subscription| &subscription.life) {
            Some(Life::Durable(queue)) => return Ok(Some(queue.clone())),
            // The header means nothing for a queue.
            Some(Life::Queue) => return Ok(None),
            Some(Life::Topic) | None => {}
        }
        // It may have no subscriber here, and only the destination tells it from others with that id.
        let topics = frame.header(b"destination").ok_or_else(|| missing(frame, "destination"))?;
        self.by_id(&id, &destination::pattern(&topics, self.connection)?).map(Some)
    }

    fn by_name(&self, header: &str, name: &[u8]) -> Result<Bytes, StompError> {
        let Some(client) = self.client.as_deref() else {
            return Err(StompError::new(format!(
                "{header}: durable subscriptions need the header client-id in CONNECT"
            )));
        };
        if name.split(|&byte| byte == b'/').any(is_wild) {
            return Err(StompError::new(format!(
                "{header}: the name of a durable subscription has no wildcards: {}",
                name.escape_ascii()
            )));
        }
        self.durable_of(client, name)
    }

    /// Programs of RabbitMQ use the same short ids for different topics.
    fn by_id(&self, id: &[u8], topics: &[u8]) -> Result<Bytes, StompError> {
        let mut name = Vec::with_capacity(id.len() + topics.len());
        escape_level(id, &mut name);
        for level in topics.split(|&byte| byte == b'/').skip(1) {
            name.push(b'/');
            escape_level(level, &mut name);
        }
        self.durable_of(self.client.as_deref().unwrap_or(ANONYMOUS), &name)
    }

    fn durable_of(&self, client: &[u8], name: &[u8]) -> Result<Bytes, StompError> {
        // Its subscriptions would be those of another client, of all clients, or of those without a name.
        if client.contains(&b'/') || is_wild(client) || self.client.as_deref() == Some(ANONYMOUS) {
            return Err(StompError::new(
                "client-id: that of a client with durable subscriptions has no slash, and is none of -, * and >",
            ));
        }
        self.limited("name of a durable subscription", durable_queue(client, name))
    }
}

/// The durable subscription that the headers of a SUBSCRIBE or UNSUBSCRIBE name.
fn named<'a>(frame: &Frame<'a>) -> Result<Option<Named<'a>>, StompError> {
    let filled = |header: &str| frame.header(header.as_bytes()).filter(|value| !value.is_empty());
    if let Some((header, name)) = NAMES.iter().find_map(|&header| Some((header, filled(header)?))) {
        return Ok(Some(Named::Name(header, name)));
    }
    match frame.header(b"durable").as_deref() {
        None | Some(b"" | b"0" | b"false") => Ok(None),
        Some(b"true") => match filled("id") {
            Some(id) => Ok(Some(Named::Id(id))),
            None => Err(StompError::new("durable: a durable subscription is known by the header id")),
        },
        Some(_) => Err(StompError::new("durable is true or false")),
    }
}

/// Returns true for a level that stands for others in a pattern: a queue of that name could not be named alone.
fn is_wild(level: &[u8]) -> bool {
    matches!(level, b"*" | b">")
}

/// Appends bytes as one level of a name, from which they can be told. A tilde stands before what would be more than a level, or a
/// wildcard: a percent sign would be escaped once more wherever the name is shown.
fn escape_level(level: &[u8], name: &mut Vec<u8>) {
    match level {
        b"*" => name.extend_from_slice(b"~one"),
        b">" => name.extend_from_slice(b"~rest"),
        _ => level.iter().for_each(|byte| match byte {
            b'~' => name.extend_from_slice(b"~~"),
            b'/' => name.extend_from_slice(b"~slash~"),
            &byte => name.push(byte),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::after;
    use switchboard_broker::Command;

    /// The queue that the durable subscription of a SUBSCRIBE has.
    fn queue(headers: &str) -> String {
        let (commands, error) = after(&format!("SUBSCRIBE\n{headers}\n\n\0"));
        assert_eq!(error, None, "{headers}");
        match &commands[..] {
            [Command::SubscribeDurable { queue, .. }, ..] => String::from_utf8(queue.to_vec()).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_durable_subscription_as_rabbitmq_names_it_is_known_by_its_id_and_its_destination_together() {
        for (id, destination, name) in [
            ("s0", "/topic/a", "s0/topic/a"),
            ("s0", "/topic/b", "s0/topic/b"),
            ("s", "/topic/*", "s/topic/~one"),
            ("s", "/topic/*/>", "s/topic/~one/~rest"),
            ("s", "/topic/~rest", "s/topic/~~rest"),
            ("s", "/topic/%3E", "s/topic/%3E"),
            ("a/b", "/topic/c", "a~slash~b/topic/c"),
            ("a~slash~", "/topic/c", "a~~slash~~/topic/c"),
            ("*", "/topic/c", "~one/topic/c"),
            (">", "/topic/c", "~rest/topic/c"),
            ("~one", "/topic/c", "~~one/topic/c"),
        ] {
            let headers = format!("id:{id}\ndestination:{destination}\ndurable:true\nauto-delete:false");
            assert_eq!(queue(&headers), format!("/queue/subscription/-/{name}"));
        }
    }

    #[test]
    fn an_unsubscribe_ends_a_durable_subscription_of_its_session_by_the_id_alone_and_others_by_the_destination_too() {
        let ended = |frames: &str| {
            let (commands, error) = after(frames);
            let ended = commands.iter().find_map(|command| match command {
                Command::EndDurable { queue } => Some(String::from_utf8(queue.to_vec()).unwrap()),
                _ => None,
            });
            (ended, error)
        };
        let queue = Some("/queue/subscription/-/s/topic/a".to_owned());
        let subscribe = |more: &str| format!("SUBSCRIBE\nid:s\ndestination:/topic/a\n{more}\n\0");
        let end = "UNSUBSCRIBE\nid:s\ndurable:true\n\n\0";
        let with = "UNSUBSCRIBE\nid:s\ndurable:true\ndestination:/topic/a\n\n\0";
        assert_eq!(ended(&(subscribe("durable:true\n") + end)), (queue.clone(), None));
        assert_eq!(ended(&(subscribe("") + with)), (queue.clone(), None));
        assert_eq!(ended(with), (queue, None));
        for frames in [end.to_owned(), subscribe("") + end] {
            assert!(ended(&frames).1.is_some_and(|error| error.contains("without the header destination")));
        }
        // A queue stays: the header asks for nothing there.
        let (commands, error) = after(&format!("SUBSCRIBE\nid:s\ndestination:/queue/a\ndurable:true\n\n\0{end}"));
        assert!(matches!(commands[..], [Command::Subscribe { .. }, Command::Unsubscribe { .. }]), "{commands:?}");
        assert_eq!(error, None);
    }
}
