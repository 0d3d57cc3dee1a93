use super::{Broker, Client};

/// A subscriber and a publisher that have nothing to do with what goes wrong beside them.
pub(crate) struct Bystanders {
    subscriber: Client,
    publisher: Client,
    count: u32,
    /// The charged bytes while only these two are connected.
    alone: u64,
}

impl Bystanders {
    pub(crate) fn of(broker: &Broker) -> Bystanders {
        let subscriber = Client::listening(broker, "/topic/bystanders");
        let mut pair = Bystanders { subscriber, publisher: Client::publisher(broker), count: 0, alone: 0 };
        pair.are_well();
        pair.publisher.settle();
        pair.alone = broker.memory();
        pair
    }

    pub(crate) fn are_well(&mut self) {
        self.count += 1;
        self.publisher.publish("/topic/bystanders", &self.count.to_be_bytes());
        assert_eq!(self.subscriber.receive().expect("a message"), self.count.to_be_bytes());
    }

    /// They are well, they alone are left, and not a byte more is charged than when they came.
    pub(crate) fn are_alone(&mut self, broker: &Broker) {
        self.are_well();
        broker.settles_at(2);
        broker.status_until("everything is given back", |status| {
            status["totals"]["memory"].as_u64().is_some_and(|memory| memory <= self.alone)
        });
        self.are_well();
    }
}
