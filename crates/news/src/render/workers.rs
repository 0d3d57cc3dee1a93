//! The workers of a page that may run at a time.

use std::collections::{HashSet, VecDeque};

/// Workers of one page that run at a time: each is a thread, and a page with hundreds of busy ones would leave the others no
/// processor. A script starts as many as the machine has cores.
const RUNNING: usize = 8;

/// The workers of one page, by their sessions. Each one waits until it is told to go on.
#[derive(Default)]
pub(super) struct Workers {
    running: HashSet<String>,
    waiting: VecDeque<String>,
}

impl Workers {
    /// Returns whether this new worker may run at once; else it has its turn later.
    pub(super) fn add(&mut self, session: &str) -> bool {
        if self.running.len() < RUNNING {
            self.running.insert(session.to_owned());
            return true;
        }
        self.waiting.push_back(session.to_owned());
        false
    }

    /// Forgets a session that has ended. Returns the worker that runs in its place.
    pub(super) fn remove(&mut self, session: &str) -> Option<String> {
        if !self.running.remove(session) {
            self.waiting.retain(|other| other != session);
            return None;
        }
        let next = self.waiting.pop_front()?;
        self.running.insert(next.clone());
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_workers_run_and_each_other_one_has_its_turn_when_one_ends() {
        let mut workers = Workers::default();
        let name = |number: usize| format!("worker {number}");
        let may_run = |(number, workers): (usize, &mut Workers)| workers.add(&name(number));
        for number in 1..=RUNNING {
            assert!(may_run((number, &mut workers)), "{number}");
        }
        for number in RUNNING + 1..=RUNNING + 3 {
            assert!(!may_run((number, &mut workers)), "{number}");
        }
        // One that waits, and one that is not known, make no room.
        assert_eq!(workers.remove(&name(RUNNING + 1)), None);
        assert_eq!(workers.remove("a frame"), None);
        assert_eq!(workers.remove(&name(1)), Some(name(RUNNING + 2)));
        assert_eq!(workers.remove(&name(RUNNING + 2)), Some(name(RUNNING + 3)));
        assert_eq!(workers.remove(&name(2)), None);
        assert!(workers.add("another") && !workers.add("one more"));
    }
}
