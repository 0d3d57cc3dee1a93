//! The rows: each is a pattern with a size of payload.

use crate::options::Options;
use clap::ValueEnum;
use std::time::Duration;
use switchboard_load::Plan;

/// A load pattern.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Pattern {
    /// One publisher, one subscriber.
    #[value(name = "1-1")]
    OneToOne,
    /// One publisher, 8 subscribers.
    #[value(name = "1-8")]
    OneToEight,
    /// One publisher, 100 subscribers.
    #[value(name = "1-100")]
    OneToHundred,
    /// One publisher, 1,000 subscribers.
    #[value(name = "1-1000")]
    OneToThousand,
    /// 8 publishers, one queue, 8 workers.
    #[value(name = "queue")]
    Queue,
    /// 100 publishers, one queue, 100 consumers.
    #[value(name = "crowd")]
    Crowd,
    /// 1,000 publishers, one queue, 100 consumers.
    #[value(name = "crowd-1000")]
    LargeCrowd,
    /// 8 topics at once, each one to one.
    #[value(name = "topics")]
    Topics,
    /// One to one at a fixed rate: how long a message takes.
    #[value(name = "latency")]
    Latency,
}

/// One line of the comparison.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) pattern: Pattern,
    pub(crate) size: usize,
}

impl Row {
    pub(crate) fn title(&self) -> String {
        let pattern = match self.pattern {
            Pattern::OneToOne => "1 to 1",
            Pattern::OneToEight => "1 to 8",
            Pattern::OneToHundred => "1 to 100",
            Pattern::OneToThousand => "1 to 1,000",
            Pattern::Queue => "8 to 8 on a queue",
            Pattern::Crowd => "100 to 100 on a queue",
            Pattern::LargeCrowd => "1,000 to 100 on a queue",
            Pattern::Topics => "8 topics, each 1 to 1",
            Pattern::Latency => "latency, 1 to 1",
        };
        format!("{pattern}, {} B", self.size)
    }

    pub(crate) fn plan(&self, seconds: f64, rate: f64) -> Plan {
        let mut plan = Plan::one_to_one(self.size, Duration::from_secs_f64(seconds));
        match self.pattern {
            Pattern::OneToOne => {}
            Pattern::OneToEight => plan.subscribers = 8,
            Pattern::OneToHundred => plan.subscribers = 100,
            Pattern::OneToThousand => plan.subscribers = 1000,
            Pattern::Queue => (plan.publishers, plan.subscribers, plan.queue) = (8, 8, true),
            Pattern::Crowd => (plan.publishers, plan.subscribers, plan.queue) = (100, 100, true),
            Pattern::LargeCrowd => (plan.publishers, plan.subscribers, plan.queue) = (1000, 100, true),
            Pattern::Topics => (plan.publishers, plan.subscribers, plan.channels) = (8, 8, 8),
            Pattern::Latency => plan.rate = Some(rate),
        }
        plan
    }
}

impl Pattern {
    /// Whether each message goes to one of many.
    pub(crate) fn is_of_queue(self) -> bool {
        matches!(self, Pattern::Queue | Pattern::Crowd | Pattern::LargeCrowd)
    }
}

/// The rows that were asked for.
pub(crate) fn rows(options: &Options) -> Vec<Row> {
    let sizes: Vec<usize> = options.sizes.iter().map(|&size| size as usize).collect();
    let asked = |pattern| options.patterns.is_empty() || options.patterns.contains(&pattern);
    let mut rows = Vec::new();
    for &pattern in Pattern::value_variants().iter().filter(|pattern| asked(**pattern)) {
        let usual: &[usize] = match (pattern, options.quick) {
            (Pattern::Latency | Pattern::Crowd | Pattern::LargeCrowd, _) | (Pattern::OneToHundred, true) => &[128],
            (Pattern::OneToThousand, _) => &[16, 128],
            (Pattern::OneToOne | Pattern::OneToEight, true) => &[16, 128, 1024],
            (Pattern::Queue, true) => &[16, 128],
            (Pattern::Topics, true) => &[],
            (_, false) => &[16, 128, 1024, 16384],
        };
        let sizes = if sizes.is_empty() { usual } else { &sizes };
        rows.extend(sizes.iter().map(|&size| Row { pattern, size }));
    }
    rows
}
