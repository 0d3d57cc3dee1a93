use switchboard_broker::{Batch, Event};

/// FNV-1a over every event in order, field by field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Digest(pub(crate) u64);

impl Digest {
    pub(crate) fn new() -> Digest {
        Digest(0xcbf2_9ce4_8422_2325)
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    pub(crate) fn number(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    fn batch(&mut self, batch: &Batch) {
        self.number(batch.len() as u64);
        self.bytes(batch.packed());
    }

    pub(crate) fn event(&mut self, event: &Event) {
        match event {
            Event::Deliver { connection, subscription, channel, batch, redelivered, attempts, tag } => {
                self.number(1);
                self.number(connection.0);
                self.number(u64::from(subscription.0));
                self.number(channel.len() as u64);
                self.bytes(channel);
                self.batch(batch);
                self.number(tag.map_or(0, |tag| tag.0));
                if *redelivered || *attempts > 0 {
                    self.number(u64::from(*redelivered));
                    self.number(u64::from(*attempts));
                }
            }
            Event::Barrier { connection, batch } => {
                self.number(2);
                self.number(connection.0);
                self.batch(batch);
            }
            // These are rare and short, and their reasons name everything in them.
            rare => self.bytes(format!("{rare:?}").as_bytes()),
        }
    }
}
