use std::collections::BTreeMap;

/// Counts for the report of a run, which say whether it has seen what there is to see.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) skipped_turns: u64,
    pub(crate) certain_drops: u64,
    /// Messages that went back to their queues.
    pub(crate) returned: u64,
    /// Messages that became dead letters.
    pub(crate) dead: u64,
    pub(crate) expired: u64,
    pub(crate) delayed: u64,
    pub(crate) postponed: u64,
    pub(crate) tried_again: u64,
    pub(crate) handed_of_groups: u64,
    pub(crate) urgent: u64,
    pub(crate) freed_groups: u64,
    pub(crate) lapsed: u64,
    /// Messages that would be dead letters of temporary queues, which have none.
    pub(crate) dropped_temporary: u64,
    /// Messages to temporary queues that had ended.
    pub(crate) too_late: u64,
    /// Dead letters that were moved back, and those that were handed out again.
    pub(crate) moved: u64,
    pub(crate) revived: u64,
    /// Retained values given to new subscriptions.
    pub(crate) values: u64,
    pub(crate) cleared: u64,
    pub(crate) fed: u64,
    /// Of these, those that were dropped for room.
    pub(crate) missed: u64,
    /// Messages that were dropped with queues that ended.
    pub(crate) ended: u64,
    pub(crate) unconfirmed: u64,
    pub(crate) rejected: u64,
    /// Oldest messages that were dropped for room, and those of which it is known which they were.
    pub(crate) dropped_old: u64,
    pub(crate) certain_old: u64,
    pub(crate) handed_to_the_only: u64,
    /// Connections of which the driver said that they send nothing more, before their last words were read.
    pub(crate) departed: u64,
    /// Messages that were dropped with connections that had left.
    pub(crate) dropped_departed: u64,
}

impl Counts {
    pub(crate) fn add_to(&self, report: &mut BTreeMap<String, u64>) {
        let counts = [
            ("turns skipped", self.skipped_turns),
            ("drops told apart", self.certain_drops),
            ("messages returned", self.returned),
            ("dead letters", self.dead),
            ("expired", self.expired),
            ("delayed", self.delayed),
            ("back-offs", self.postponed),
            ("redeliveries of what was tried", self.tried_again),
            ("messages of groups", self.handed_of_groups),
            ("recalls for a higher priority", self.urgent),
            ("groups that lose their consumer", self.freed_groups),
            ("ack time-outs", self.lapsed),
            ("dead letters moved back", self.moved),
            ("of these handed out", self.revived),
            ("messages dropped by temporary queues", self.dropped_temporary),
            ("messages to queues that have ended", self.too_late),
            ("retained values given", self.values),
            ("retained values cleared", self.cleared),
            ("messages fed to durable subscriptions", self.fed),
            ("of these dropped for room", self.missed),
            ("messages dropped with their queues", self.ended),
            ("receipts of what was not taken", self.unconfirmed),
            ("messages rejected", self.rejected),
            ("drops of the oldest of a queue", self.dropped_old),
            ("of these told apart", self.certain_old),
            ("deliveries to an only consumer beside others", self.handed_to_the_only),
            ("departures", self.departed),
            ("messages dropped of those that had left", self.dropped_departed),
        ];
        report.extend(counts.map(|(what, count)| (what.to_owned(), count)));
    }
}
