use super::*;
use proptest::collection::vec;
use proptest::prelude::{prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::{Just, Strategy};

fn snapshot(text: &str) -> Snapshot {
    text.parse().expect("a snapshot")
}

#[test]
fn a_snapshot_is_read_as_postgresql_prints_it() {
    assert_eq!(snapshot("10:10:"), Snapshot { end: 10, running: Vec::new() });
    assert_eq!(snapshot("5:10:5,7"), Snapshot { end: 10, running: vec![5, 7] });
    for text in ["", "10", "10:", "10:10", "a:b:c", "1:2:3:4", "1:2:x", "1:-2:", "1:2:1,"] {
        assert_eq!(text.parse::<Snapshot>().is_ok(), text == "1:2:1,", "{text}");
    }
}

#[test]
fn a_snapshot_adds_nothing_if_it_shows_our_marker_alone_beyond_the_one_before() {
    for (before, own, now, adds_nothing) in [
        ("10:10:", 10, "11:11:", true),
        ("10:10:", 9, "10:10:", true),
        ("10:10:", 10, "10:10:", true),
        // Somebody's transaction ended, before ours and after it.
        ("10:10:", 11, "12:12:", false),
        ("10:10:", 10, "12:12:", false),
        ("10:10:", 11, "11:11:", false),
        // Some run, and run on.
        ("8:10:8", 10, "8:11:8", true),
        ("8:10:8", 12, "8:13:8,10,11", true),
        ("8:10:8", 12, "8:13:8,10", false),
        // Some end.
        ("8:10:8", 10, "11:11:", false),
        ("8:10:8,9", 10, "9:11:9", false),
        // An older server, as after a restore.
        ("10:10:", 10, "9:9:", false),
    ] {
        assert_eq!(snapshot(now).adds_only(own, &snapshot(before)), adds_nothing, "{before} {own} {now}");
    }
}

#[test]
fn a_visible_transaction_is_announced_once_it_holds_no_lock() {
    let now = snapshot("8:12:8");
    for (locks, is_announced) in [
        (&[][..], true),
        (&[("a", 7)], false),
        (&[("a", 11)], false),
        // They run.
        (&[("a", 8)], true),
        (&[("a", 12)], true),
        // A subtransaction of one that runs, and of one that ends.
        (&[("a", 8), ("a", 9)], true),
        (&[("a", 9), ("a", 8), ("b", 10)], false),
        (&[("a", 10), ("a", 11)], false),
    ] {
        let locks: Vec<_> = locks.iter().map(|(holder, low)| ((*holder).to_owned(), *low)).collect();
        assert_eq!(now.is_announced(&locks), is_announced, "{locks:?}");
    }
}

#[test]
fn the_low_half_of_a_number_means_the_nearest_one() {
    const WHOLE: u64 = 1 << 32;
    for (end, low, whole) in [
        (100, 99, 99),
        (WHOLE + 5, u32::MAX, WHOLE - 1),
        (WHOLE + 5, 4, WHOLE + 4),
        (WHOLE - 1, 3, WHOLE + 3),
        (3 * WHOLE - 1, u32::MAX - 1, 3 * WHOLE - 2),
    ] {
        assert_eq!(Snapshot { end, running: Vec::new() }.whole(low), whole, "{end} {low}");
    }
}

/// A step of some session.
#[derive(Clone, Debug)]
enum Step {
    Begin {
        changes: bool,
    },
    /// Its changes are visible from now on.
    End {
        at: usize,
        aborts: bool,
    },
    /// Other server processes are told of it, and it has given up its lock.
    Announce {
        at: usize,
    },
    Marker {
        is_lost: bool,
    },
    /// A row is cached, as the types are known to that session.
    Fill,
}

#[derive(Clone, Copy, PartialEq)]
enum Life {
    Running,
    Visible,
    Over,
}

/// Changes of rights, which a look asks for through the session's caches. The others are of types, which a look reads.
const RIGHTS: u64 = 0x5555_5555_5555_5555;

/// PostgreSQL's transactions from number 3 on, our markers among them, and the instance.
#[derive(Default)]
struct World {
    transactions: Vec<(Life, bool)>,
    witness: Witness,
    /// Result of the last look: visible changes, and those of them that our session knew.
    seen: Option<(u64, u64)>,
    cached: Option<u64>,
}

impl World {
    fn begin(&mut self, changes: bool) -> u64 {
        self.transactions.push((Life::Running, changes));
        self.transactions.len() as u64 + 2
    }

    /// Some transaction in this state, if there is one.
    fn one_of(&mut self, life: Life, at: usize) -> Option<&mut (Life, bool)> {
        let mut found: Vec<_> = self.transactions.iter_mut().filter(|one| one.0 == life).collect();
        let at = at.checked_rem(found.len())?;
        Some(found.swap_remove(at))
    }

    /// A mask of transactions that have changed the catalogue.
    fn changes(&self, lives: &[Life]) -> u64 {
        let is_one = |(life, changes): &(Life, bool)| *changes && lives.contains(life);
        self.transactions.iter().enumerate().filter(|(_, one)| is_one(one)).fold(0, |mask, (at, _)| mask | 1 << at)
    }

    fn snapshot(&self) -> Snapshot {
        let running = |(at, (life, _)): (usize, &(Life, bool))| (*life == Life::Running).then_some(at as u64 + 3);
        let newest = self.transactions.iter().rposition(|(life, _)| *life != Life::Running);
        let end = newest.map_or(3, |at| at as u64 + 4);
        Snapshot {
            end,
            running: self.transactions.iter().enumerate().filter_map(running).filter(|one| *one < end).collect(),
        }
    }

    fn locks(&self) -> Vec<(String, u32)> {
        let held = |(at, (life, _)): (usize, &(Life, bool))| {
            (*life != Life::Over).then(|| (at.to_string(), u32::try_from(at).expect("few") + 3))
        };
        self.transactions.iter().enumerate().filter_map(held).collect()
    }

    /// Returns true if the marker counts.
    fn marker(&mut self, is_lost: bool) -> bool {
        let (looks, snapshot) = (self.witness.must_look(), self.snapshot());
        let found = (self.changes(&[Life::Visible, Life::Over]), self.changes(&[Life::Over]) & RIGHTS);
        let own = self.begin(false);
        self.transactions.last_mut().expect("it has begun").0 = Life::Over;
        if is_lost {
            self.witness.lost();
            return false;
        }
        let taken = Taken { snapshot, own };
        if !looks {
            return self.witness.is_unchanged(taken);
        }
        let has_changed = self.seen.replace(found) != Some(found);
        self.witness.looked(taken, has_changed);
        if has_changed {
            self.cached = None;
            return false;
        }
        if self.witness.asks_locks() && self.witness.locks(&self.locks()) {
            self.cached = None;
        }
        true
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        prop::bool::weighted(0.8).prop_map(|changes| Step::Begin { changes }),
        (0..64_usize, prop::bool::weighted(0.2)).prop_map(|(at, aborts)| Step::End { at, aborts }),
        (0..64_usize).prop_map(|at| Step::Announce { at }),
        Just(Step::Marker { is_lost: false }),
        Just(Step::Marker { is_lost: false }),
        Just(Step::Marker { is_lost: true }),
        Just(Step::Fill),
    ]
}

proptest! {
    #[test]
    fn after_a_marker_that_counts_the_catalogue_and_all_that_is_cached_are_as_every_acknowledged_change_left_them(
        steps in vec(step(), 0..60)
    ) {
        let mut world = World::default();
        for step in steps {
            match step {
                Step::Begin { changes } => drop(world.begin(changes)),
                Step::End { at, aborts } => {
                    if let Some(one) = world.one_of(Life::Running, at) {
                        *one = if aborts { (Life::Over, false) } else { (Life::Visible, one.1) };
                    }
                }
                Step::Announce { at } => {
                    if let Some(one) = world.one_of(Life::Visible, at) {
                        one.0 = Life::Over;
                    }
                }
                Step::Fill => world.cached = Some(world.changes(&[Life::Over])),
                Step::Marker { is_lost } => {
                    let (visible, over) =
                        (world.changes(&[Life::Visible, Life::Over]), world.changes(&[Life::Over]));
                    if world.marker(is_lost) {
                        let (seen, known) = world.seen.expect("some marker has looked");
                        prop_assert_eq!(seen, visible);
                        prop_assert_eq!(known & over, over & RIGHTS);
                        prop_assert!(world.cached.is_none_or(|cached| cached & over == over));
                    }
                }
            }
        }
        // Once nobody else writes, markers do not look.
        for one in &mut world.transactions {
            one.0 = Life::Over;
        }
        for _ in 0..5 {
            world.marker(false);
        }
        prop_assert!(!world.witness.must_look());
        prop_assert!(world.marker(false));
    }
}

#[test]
fn rows_that_were_read_before_a_change_was_announced_are_flushed() {
    let mut world = World::default();
    for _ in 0..5 {
        world.marker(false);
    }
    world.begin(true);
    let at = world.transactions.len() - 1;
    assert_eq!(RIGHTS >> at & 1, 0, "a change of a type");
    world.transactions[at].0 = Life::Visible;
    for _ in 0..3 {
        world.marker(false);
    }
    world.cached = Some(world.changes(&[Life::Over]));
    world.transactions[at].0 = Life::Over;
    assert!(world.marker(false));
    assert_eq!(world.cached, None);
}
