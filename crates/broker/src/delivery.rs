//! The settings of redelivery, and what is known of a message that came back.

use crate::Limits;
use crate::limits::LimitError;
use std::time::Duration;

/// Redelivery and expiry of messages. Each setting may differ by channel ([`DeliveryRule`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// After so many tries without success a message goes to the dead letters; 0 for never.
    pub max_deliveries: u32,
    /// Delay of a message after its first nack or ack time-out before it is delivered again. It doubles
    /// with each further try; 0 for none.
    pub redelivery_backoff: Duration,
    /// The longest such wait.
    pub redelivery_backoff_max: Duration,
    /// Time that a consumer may have a message without acking it, from when it is handed out, before it goes back
    /// as after a nack. The connection lives, and a later ack is refused; 0 for ever. The time stands still while the
    /// connection is paused and not read, for 60 s at most.
    pub ack_timeout: Duration,
    /// Time to live of a message, from when it comes to its channel, unless it expires earlier by itself; 0 for ever.
    /// Topics follow it too. Dead letters do by a [`ChannelRule`](crate::ChannelRule) of their own alone.
    pub message_ttl: Duration,
    /// Whether a queue's expired messages become dead letters. They are dropped otherwise.
    pub dead_letter_expired: bool,
}

impl Default for Delivery {
    fn default() -> Delivery {
        Delivery {
            max_deliveries: 7,
            redelivery_backoff: Duration::from_secs(1),
            redelivery_backoff_max: Duration::from_secs(60),
            ack_timeout: Duration::ZERO,
            message_ttl: Duration::ZERO,
            dead_letter_expired: false,
        }
    }
}

impl Delivery {
    pub(crate) fn check(&self) -> Result<(), LimitError> {
        for (setting, value) in [
            ("redelivery-backoff", self.redelivery_backoff),
            ("redelivery-backoff-max", self.redelivery_backoff_max),
            ("ack-timeout", self.ack_timeout),
            ("message-ttl", self.message_ttl),
        ] {
            if !value.is_zero() && value < Limits::SHORTEST {
                return Err(LimitError::TooShort { setting, value, bound: Limits::SHORTEST });
            }
        }
        Ok(())
    }

    /// The wait before a message is delivered again after so many tries, which are at least one.
    pub(crate) fn backoff(&self, tries: Tries) -> Duration {
        let doublings = tries.attempts().saturating_sub(1).min(u32::BITS - 1);
        self.redelivery_backoff.saturating_mul(1 << doublings).min(self.redelivery_backoff_max)
    }

    /// Whether a message has been tried often enough.
    pub(crate) fn is_exhausted(&self, tries: Tries) -> bool {
        self.max_deliveries > 0 && tries.attempts() >= self.max_deliveries
    }
}

/// Overrides of [`Delivery`] for the channels of a [`ChannelRule`](crate::ChannelRule).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliveryRule {
    /// See [`Delivery::max_deliveries`].
    pub max_deliveries: Option<u32>,
    /// See [`Delivery::redelivery_backoff`].
    pub redelivery_backoff: Option<Duration>,
    /// See [`Delivery::redelivery_backoff_max`].
    pub redelivery_backoff_max: Option<Duration>,
    /// See [`Delivery::ack_timeout`].
    pub ack_timeout: Option<Duration>,
    /// See [`Delivery::message_ttl`].
    pub message_ttl: Option<Duration>,
    /// See [`Delivery::dead_letter_expired`].
    pub dead_letter_expired: Option<bool>,
}

impl DeliveryRule {
    pub(crate) fn over(&self, limits: &Delivery) -> Delivery {
        Delivery {
            max_deliveries: self.max_deliveries.unwrap_or(limits.max_deliveries),
            redelivery_backoff: self.redelivery_backoff.unwrap_or(limits.redelivery_backoff),
            redelivery_backoff_max: self.redelivery_backoff_max.unwrap_or(limits.redelivery_backoff_max),
            ack_timeout: self.ack_timeout.unwrap_or(limits.ack_timeout),
            message_ttl: self.message_ttl.unwrap_or(limits.message_ttl),
            dead_letter_expired: self.dead_letter_expired.unwrap_or(limits.dead_letter_expired),
        }
    }
}

/// History of a message, in a number: tries without success, and whether a consumer may have seen it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tries(u32);

impl Tries {
    /// Of a message that no consumer has had.
    pub(crate) const NONE: Tries = Tries(0);
    const MOST: u32 = u32::MAX >> 1;

    pub(crate) fn attempts(self) -> u32 {
        self.0 >> 1
    }

    pub(crate) fn is_redelivered(self) -> bool {
        self.0 & 1 == 1
    }

    /// Tries are counted anew, and what was seen was seen.
    pub(crate) fn anew(self) -> Tries {
        Tries(self.0 & 1)
    }

    /// A consumer may have seen it.
    pub(crate) fn seen(self) -> Tries {
        Tries(self.0 | 1)
    }

    /// A consumer tried it, without success.
    pub(crate) fn tried(self) -> Tries {
        Tries((self.attempts() + 1).min(Tries::MOST) << 1 | 1)
    }
}

/// Reasons why unacked messages leave a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Return {
    /// It cannot have seen them.
    Unseen,
    /// It may have seen them, which is no try.
    Seen,
    /// It has tried them, and is gone.
    Tried,
    /// It has tried them, and they are to wait before another does.
    Failed,
    /// As `Failed`, at their ack time-out: it may have them still.
    Lapsed,
    /// They are not to be tried again.
    Rejected,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_back_off_doubles_up_to_its_longest() {
        let (seconds, mut tries) = (Duration::from_secs, Tries::NONE);
        let delivery = Delivery::default();
        for expected in [1, 2, 4, 8, 16, 32, 60, 60] {
            tries = tries.tried();
            assert_eq!(delivery.backoff(tries), seconds(expected));
        }
        (0..200).for_each(|_| tries = tries.tried());
        assert_eq!(delivery.backoff(tries), seconds(60));
        let none = Delivery { redelivery_backoff: Duration::ZERO, ..delivery };
        assert_eq!(none.backoff(tries), Duration::ZERO);
        let longest = Delivery { redelivery_backoff: Duration::MAX, redelivery_backoff_max: Duration::MAX, ..delivery };
        assert_eq!(longest.backoff(tries), Duration::MAX);
        let short = Delivery { redelivery_backoff: seconds(9), redelivery_backoff_max: seconds(5), ..delivery };
        assert_eq!(short.backoff(Tries::NONE.tried()), seconds(5));
    }

    #[test]
    fn tries_are_counted_and_never_run_over() {
        assert_eq!((Tries::NONE.attempts(), Tries::NONE.is_redelivered()), (0, false));
        assert_eq!((Tries::NONE.seen().attempts(), Tries::NONE.seen().is_redelivered()), (0, true));
        assert_eq!((Tries::NONE.anew(), Tries::NONE.tried().tried().anew()), (Tries::NONE, Tries::NONE.seen()));
        let twice = Tries::NONE.tried().seen().tried();
        assert_eq!((twice.attempts(), twice.is_redelivered()), (2, true));
        let most = Tries(u32::MAX);
        assert_eq!(most.tried(), most);
    }

    #[test]
    fn messages_are_exhausted_from_the_maximum_on_and_never_where_it_is_zero() {
        let after = |max_deliveries, tries: u32| {
            let delivery = Delivery { max_deliveries, ..Delivery::default() };
            delivery.is_exhausted((0..tries).fold(Tries::NONE, |tries, _| tries.tried()))
        };
        assert_eq!([0, 6, 7, 8].map(|tries| after(7, tries)), [false, false, true, true]);
        assert!(after(1, 1));
        assert!(!after(0, 1000));
        assert!(!after(u32::MAX, 1000));
    }
}
