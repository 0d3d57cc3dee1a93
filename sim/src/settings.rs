use crate::rng::Rng;
use std::sync::LazyLock;
use std::time::Duration;
use switchboard_broker::{
    ChannelRule, ConnectionId, Delivery, Limits, OverflowPolicy, Pattern, QueueOverflow, temporary_queue,
};

pub(crate) const TOPICS: [&str; 8] =
    ["/topic/a", "/topic/b", "/topic/c/x", "/topic/c/y", "/topic/kept/1", "/topic/kept/2", "free", "/topic/>"];
pub(crate) const QUEUES: [&str; 4] = ["/queue/a", "/queue/b/1", "/queue/b/2", "/queue/small"];
pub(crate) const TOPIC_PATTERNS: [&str; 9] =
    ["/topic/a", "/topic/b", "/topic/*", "/topic/>", "/topic/c/*", ">", "/topic/kept/1", "/topic/kept/*", "free"];
pub(crate) const QUEUE_PATTERNS: [&str; 6] =
    ["/queue/a", "/queue/a", "/queue/b/1", "/queue/b/*", "/queue/>", "/queue/small"];

/// The queues of the dead letters of [`QUEUES`] and [`DURABLE`].
pub(crate) const DEAD: [&str; 7] = [
    "/queue/dead/queue/a",
    "/queue/dead/queue/b/1",
    "/queue/dead/queue/b/2",
    "/queue/dead/queue/small",
    "/queue/dead/queue/subscription/i/a",
    "/queue/dead/queue/subscription/i/c",
    "/queue/dead/queue/subscription/u/all",
];

/// The queues of durable subscriptions, and the topics that mostly feed them.
pub(crate) const DURABLE: [(&str, &str); 3] = [
    ("/queue/subscription/i/a", "/topic/a"),
    ("/queue/subscription/i/c", "/topic/c/*"),
    ("/queue/subscription/u/all", "/topic/>"),
];

/// The temporary queue of each of the first connections; of later ones there is none.
pub(crate) fn temporary_of(id: u64) -> Option<&'static str> {
    static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
        let name = |id| String::from_utf8_lossy(&temporary_queue(ConnectionId(id), b"x")).into_owned();
        (0..200).map(name).collect()
    });
    NAMES.get(usize::try_from(id).ok()?).map(String::as_str)
}

/// Settings of a run, drawn from its seed.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) limits: Limits,
    pub(crate) rules: Vec<ChannelRule>,
    /// No rule has a policy of its own, so that the oracle can say which messages were dropped.
    pub(crate) uniform: bool,
    /// The window is never the reason why something waits in an outbox.
    pub(crate) wide: bool,
    pub(crate) steps: usize,
    /// Steps of follow-up work in one call.
    pub(crate) steps_per_call: usize,
    /// The longest body that is ordinary in this run.
    pub(crate) body: usize,
    /// Bytes that the driver reads at once, unless memory is short.
    pub(crate) read: usize,
    /// Longest delay of a pipe, in microseconds.
    pub(crate) delay: usize,
    /// Bytes that a pipe holds.
    pub(crate) pipe: usize,
    /// The service ends while everybody is busy.
    pub(crate) drains: bool,
    /// One in so many turns of a client ends it.
    pub(crate) churn: usize,
    /// One in so many turns of a client makes it stop reading.
    pub(crate) laziness: usize,
    /// Tries are limited, or followed by a back-off, and consumers reject messages for good.
    pub(crate) retries: bool,
    /// An operator changes the channel rules now and then.
    pub(crate) changes_rules: bool,
    /// An operator pauses queues now and then, and lets them go on.
    pub(crate) pauses: bool,
    /// Some messages of queues are of groups.
    pub(crate) groups: bool,
    /// Some messages of queues have a priority.
    pub(crate) priorities: bool,
    /// Nobody publishes to topics or waits for anything, so that each publish is carried out at once.
    pub(crate) queues_only: bool,
    /// Some ask to be the only consumers of their queues.
    pub(crate) claims: bool,
    /// There are durable subscriptions.
    pub(crate) durable: bool,
    /// Topics retain values.
    pub(crate) retains: bool,
    /// An operator moves dead letters back now and then.
    pub(crate) moves: bool,
    /// Some have temporary queues.
    pub(crate) temporary: bool,
    /// Some ask for receipts.
    pub(crate) receipts: bool,
    /// Some connections with acks end their sessions in order, at times while they are not read.
    pub(crate) departs: bool,
    /// Rules that come at run time have bounds in messages, and say how messages are tried again.
    pub(crate) says_more: bool,
    /// All consume a queue with acks, and publish to the one that others consume who publish to theirs.
    pub(crate) ring: bool,
}

/// The patterns of rules that come at run time, of which the first that matches is in force.
const RULE_PATTERNS: [&str; 8] =
    ["/topic/kept/1", "/topic/kept/*", "/topic/a", "/topic/c/>", "/queue/small", "/queue/a", "/queue/>", ">"];

const DEAD_PATTERN: &str = "/queue/dead/>";

const POLICIES: [OverflowPolicy; 4] =
    [OverflowPolicy::DropNew, OverflowPolicy::DropOld, OverflowPolicy::Disconnect, OverflowPolicy::Block];

impl Settings {
    pub(crate) fn draw(rng: &mut Rng) -> Settings {
        let body = rng.pick(&[24, 60, 60, 300, 3000, 9000]);
        let scale = rng.pick(&[1, 2, 4, 10]);
        let outbox = body * scale + rng.below(body);
        let wide = rng.one_in(2);
        let message = body * 2 + 100;
        let connections = rng.pick(&[9, 12, 100]);
        let window = if wide { usize::MAX } else { rng.within(1, outbox) };
        let limits = Limits {
            connections,
            channels: 100,
            subscriptions: rng.within(2, 4),
            channel_name: 40,
            message,
            outbox,
            outbox_messages: 0,
            window,
            // Drawn from no number of its own, so that each seed keeps what it was.
            first_window: if wide || window.is_multiple_of(2) { window } else { window / 4 + 1 },
            queue: body * rng.pick(&[1, 3, 12]),
            queue_messages: 0,
            overflow: QueueOverflow::Throttle,
            // Of those that name none, as the oracle counts it.
            prefetch: 1,
            retained: 0,
            read_ahead: rng.pick(&[0, body, 4 * body, 1 << 18]),
            memory: match rng.below(3) {
                // Beside what is set aside for connections, and what channels and subscriptions take.
                0 => connections * Limits::CONNECTION + 60_000 + body * rng.within(8, 60),
                _ => 1 << 30,
            },
            grace_period: Duration::from_millis(rng.pick(&[0, 2, 10, 10, 50])),
            slow_consumer: Duration::from_millis(rng.pick(&[20, 100, 1000])),
            write_timeout: Duration::from_millis(rng.pick(&[20, 100, 1000])),
            delivery: Delivery { max_deliveries: 0, redelivery_backoff: Duration::ZERO, ..Delivery::default() },
            policy: rng.pick(&POLICIES),
            buffer_unsubscribed: rng.pick(&[0, 0, 0, 5]),
        };
        let uniform = !rng.one_in(3);
        let mut rules = Vec::new();
        for pattern in ["/topic/kept/*", "/topic/a", "/topic/c/>", "/queue/small"] {
            let policy = (!uniform && rng.one_in(2)).then(|| rng.pick(&POLICIES));
            let buffer_unsubscribed = pattern.contains("kept").then(|| rng.within(1, 6));
            let queue = pattern.contains("small").then(|| rng.within(0, body));
            let rule = ChannelRule::new(Pattern::new(pattern));
            rules.push(ChannelRule { policy, buffer_unsubscribed, queue, ..rule });
        }
        Settings {
            limits,
            rules,
            uniform,
            wide,
            steps: rng.within(250, 900),
            steps_per_call: rng.pick(&[1, 30, 4096, 4096]),
            body,
            read: rng.pick(&[body, 3 * body, 65_536]),
            delay: rng.pick(&[0, 200, 3000]),
            pipe: rng.pick(&[40, 500, 5000, 50_000]),
            drains: rng.one_in(5),
            churn: rng.pick(&[60, 200, 1000]),
            laziness: rng.pick(&[15, 60, 400]),
            ring: rng.one_in(6),
            changes_rules: rng.one_in(3),
            retries: false,
            pauses: false,
            groups: false,
            priorities: false,
            queues_only: false,
            claims: false,
            durable: false,
            retains: false,
            moves: false,
            temporary: false,
            receipts: false,
            departs: false,
            says_more: false,
        }
    }

    /// Draws how messages are tried again, from numbers of its own: the rest of a seed's run stays what it was.
    pub(crate) fn draw_retries(&mut self, rng: &mut Rng) {
        self.retries = rng.one_in(2);
        if self.retries {
            // Short memory may keep dead letters from being made, which no book could foresee.
            self.limits.memory = 1 << 30;
            self.limits.delivery = Delivery {
                max_deliveries: rng.pick(&[0, 1, 2, 7]),
                redelivery_backoff: Duration::from_millis(rng.pick(&[0, 5, 1000])),
                redelivery_backoff_max: Duration::from_millis(rng.pick(&[8, 60_000])),
                ..Delivery::default()
            };
            self.rules.push(self.rule_of_dead_letters());
        }
    }

    /// Draws what came to be drawn later, from numbers of its own.
    pub(crate) fn draw_nouns(&mut self, rng: &mut Rng) {
        self.groups = rng.one_in(3);
        if self.groups {
            // The overhead of a group is many times that of a message.
            self.limits.memory = 1 << 30;
        }
        self.priorities = rng.one_in(3);
        self.receipts = rng.one_in(2);
        self.claims = rng.one_in(4);
        self.draw_overflow(rng);
        // Messages in an outbox that are not handed out could not be told from those that wait when their queue ends.
        self.durable = rng.one_in(2) && self.wide;
        if self.durable {
            self.limits.memory = 1 << 30;
        }
        self.retains = rng.one_in(4) && !self.may_buffer() && self.limits.overflow != QueueOverflow::Reject;
        if self.retains {
            // Nobody could say when a subscription joins a topic whose value finds no room, or what it misses.
            (self.limits.memory, self.limits.outbox, self.limits.retained) = (1 << 30, 1 << 26, 100);
        }
        self.moves = rng.one_in(2) && self.has_dead_letters_rule();
        self.temporary = rng.one_in(4);
        if rng.one_in(2) {
            let timeout = Duration::from_millis(rng.pick(&[5, 50, 1000]));
            // Messages that come back for ever, each time in the driver's hands once more, would be all that a run does.
            let is_endless = self.limits.delivery.max_deliveries == 0;
            self.limits.delivery.ack_timeout =
                if is_endless { timeout.max(Duration::from_millis(50)) } else { timeout };
        }
    }

    /// Draws settings that came last, from numbers of their own.
    pub(crate) fn draw_later(&mut self, rng: &mut Rng) {
        (self.departs, self.says_more) = (rng.one_in(3), rng.one_in(3));
        if self.says_more {
            // Larger than most rules say.
            self.limits.prefetch = 4;
        }
    }

    /// Draws the bounds of queues in messages, and what becomes of those over a bound.
    fn draw_overflow(&mut self, rng: &mut Rng) {
        let (kind, messages) = (rng.below(8), rng.pick(&[1, 3, 8, 20]));
        if kind < 4 {
            self.limits.queue_messages = messages;
        }
        match kind {
            1 => self.limits.overflow = QueueOverflow::Reject,
            2 => self.limits.overflow = QueueOverflow::DropOld,
            _ => return,
        }
        // Short memory may keep a message from being taken, or from becoming a dead letter.
        self.limits.memory = 1 << 30;
        if self.limits.overflow == QueueOverflow::Reject {
            // Of several publishes in one step nobody could say which was not taken.
            (self.queues_only, self.ring) = (true, false);
            self.limits.outbox = 1 << 20;
        }
        if !self.has_dead_letters_rule() {
            self.rules.push(self.rule_of_dead_letters());
        }
    }

    /// Whether a rule bounds the queues of dead letters, so that they drop some.
    fn has_dead_letters_rule(&self) -> bool {
        self.rules.iter().any(|rule| rule.pattern.as_bytes() == DEAD_PATTERN)
    }

    /// Dead letters have little room.
    fn rule_of_dead_letters(&self) -> ChannelRule {
        let queue = Some(3 * self.body);
        ChannelRule { queue, ..ChannelRule::new(Pattern::new(DEAD_PATTERN)) }
    }

    /// Whether any topic may buffer for its first subscriber, not only those that a rule is made for.
    fn may_buffer(&self) -> bool {
        self.limits.buffer_unsubscribed > 0 || self.changes_rules
    }

    /// Whether a topic's messages may have attributes, which count for what it buffers.
    pub(crate) fn groups_in(&self, topic: &str) -> bool {
        self.durable && !self.may_buffer() && !topic.contains("kept")
    }

    /// Adds to a rule, in some runs, what it says of queues alone.
    fn rule_of_queues(&self, mut rule: ChannelRule, rng: &mut Rng) -> ChannelRule {
        if self.says_more && rng.one_in(2) {
            rule.queue_messages = Some(rng.pick(&[0, 1, 3, 20]));
        }
        if self.says_more && rng.one_in(2) {
            rule.prefetch = Some(rng.pick(&[1, 2, 5]));
        }
        if self.says_more && self.retries && rng.one_in(2) {
            rule.delivery.max_deliveries = Some(rng.pick(&[1, 2, 7]));
            rule.delivery.redelivery_backoff = Some(Duration::from_millis(rng.pick(&[0, 5, 1000])));
        }
        rule
    }

    /// Other rules: each pattern may be there or not, and say anything of what a rule may say.
    pub(crate) fn other_rules(&self, rng: &mut Rng, later: &mut Rng) -> Vec<ChannelRule> {
        let mut rules = Vec::new();
        for pattern in RULE_PATTERNS {
            if rng.one_in(3) {
                continue;
            }
            let policy = (!self.uniform && rng.one_in(2)).then(|| rng.pick(&POLICIES));
            let buffer_unsubscribed = rng.one_in(2).then(|| rng.pick(&[0, 1, 2, 6]));
            let queue = rng.one_in(2).then(|| rng.pick(&[0, 1, self.body, 4 * self.body, 1 << 20]));
            let rule = self.rule_of_queues(ChannelRule::new(Pattern::new(pattern)), later);
            rules.push(ChannelRule { policy, buffer_unsubscribed, queue, ..rule });
        }
        if self.has_dead_letters_rule() {
            rules.push(self.rule_of_dead_letters());
        }
        rules
    }
}
