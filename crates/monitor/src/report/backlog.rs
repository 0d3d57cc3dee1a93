use super::Outcome;
use parking_lot::{Mutex, MutexGuard};
use std::collections::VecDeque;
use tokio::sync::Notify;

/// Reports that wait for the collector: the latest ones, when there is no room for all.
#[derive(Debug)]
pub(crate) struct Backlog {
    limit: usize,
    inside: Mutex<Inside>,
    changed: Notify,
    closing: Notify,
}

#[derive(Debug, Default)]
struct Inside {
    waiting: VecDeque<String>,
    /// Number of the first reports that were handed out, and are neither taken nor refused yet.
    lent: usize,
    closed: bool,
    delivered: u64,
    lost: u64,
    problem: Option<String>,
}

impl Backlog {
    pub(crate) fn new(limit: usize) -> Backlog {
        Backlog { limit, inside: Mutex::default(), changed: Notify::new(), closing: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock()
    }

    pub(crate) fn push(&self, report: String) {
        let mut inside = self.lock();
        inside.waiting.push_back(report);
        if inside.waiting.len() > self.limit {
            inside.waiting.pop_front();
            // One that is on its way counts as what becomes of it.
            match inside.lent.checked_sub(1) {
                Some(lent) => inside.lent = lent,
                None => inside.lost += 1,
            }
        }
        drop(inside);
        self.changed.notify_one();
    }

    /// No more will come.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
        self.closing.notify_one();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Returns once the backlog is closed. Wakes one waiter.
    pub(crate) async fn closed(&self) {
        if !self.is_closed() {
            self.closing.notified().await;
        }
    }

    /// Waits for the next reports, as many as fit into so many bytes but one at least, a line each. They stay
    /// until [`Backlog::done`]. `None` at the end.
    pub(crate) async fn next(&self, bytes: usize) -> Option<(String, usize)> {
        loop {
            {
                let mut inside = self.lock();
                if !inside.waiting.is_empty() {
                    let mut lines = String::new();
                    let mut count = 0;
                    for report in &inside.waiting {
                        if count > 0 && lines.len() + report.len() + 1 > bytes {
                            break;
                        }
                        lines.push_str(report);
                        lines.push('\n');
                        count += 1;
                    }
                    inside.lent = count;
                    return Some((lines, count));
                }
                if inside.closed {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }

    /// Settles reports that [`Backlog::next`] has given: taken, or refused for good.
    pub(crate) fn done(&self, count: usize, refused: Option<String>) {
        let mut inside = self.lock();
        let still_there = inside.lent;
        inside.waiting.drain(..still_there);
        inside.lent = 0;
        match refused {
            None => inside.delivered += count as u64,
            Some(problem) => {
                inside.lost += count as u64;
                inside.problem = Some(problem);
            }
        }
    }

    /// Keeps the reports that [`Backlog::next`] has given, to be tried again.
    pub(crate) fn failed(&self, count: usize, problem: String) {
        let mut inside = self.lock();
        // Reports that were dropped meanwhile are lost now.
        inside.lost += (count - inside.lent) as u64;
        inside.lent = 0;
        inside.problem = Some(problem);
    }

    /// Counts reports as lost that were taken for delivered.
    pub(crate) fn unsent(&self, count: u64) {
        let mut inside = self.lock();
        let count = count.min(inside.delivered);
        inside.delivered -= count;
        inside.lost += count;
    }

    pub(crate) fn problem(&self, problem: String) {
        self.lock().problem = Some(problem);
    }

    pub(crate) fn outcome(&self) -> Outcome {
        let inside = self.lock();
        let lost = inside.lost + inside.waiting.len() as u64;
        // One that was overcome is no problem any more.
        let problem = inside.problem.clone().filter(|_| lost > 0);
        Outcome { delivered: inside.delivered, lost, problem }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(limit: usize, count: usize) -> Backlog {
        let backlog = Backlog::new(limit);
        (0..count).for_each(|number| backlog.push(number.to_string()));
        backlog
    }

    async fn next(backlog: &Backlog, bytes: usize) -> (String, usize) {
        backlog.next(bytes).await.expect("some wait")
    }

    #[tokio::test]
    async fn it_keeps_as_many_as_its_limit_and_the_latest() {
        for (count, lines, lost) in [(2, "0\n1\n", 0), (3, "0\n1\n2\n", 0), (4, "1\n2\n3\n", 1)] {
            let backlog = filled(3, count);
            assert_eq!(next(&backlog, 100).await.0, lines);
            assert_eq!(backlog.outcome().lost, lost + count.min(3) as u64);
        }
    }

    #[tokio::test]
    async fn what_fails_comes_again_and_what_is_done_does_not() {
        let backlog = filled(10, 3);
        assert_eq!(next(&backlog, 4).await, ("0\n1\n".into(), 2));
        backlog.failed(2, "away".into());
        assert_eq!(next(&backlog, 4).await, ("0\n1\n".into(), 2));
        backlog.done(2, None);
        assert_eq!(next(&backlog, 1).await, ("2\n".into(), 1));
        backlog.done(1, Some("refused".into()));
        backlog.close();
        assert_eq!(backlog.next(100).await, None);
        assert_eq!(backlog.outcome(), Outcome { delivered: 2, lost: 1, problem: Some("refused".into()) });
    }

    #[tokio::test]
    async fn who_waits_for_its_end_is_told_whether_it_is_closed_before_or_meanwhile() {
        let backlog = filled(1, 1);
        assert!(tokio::time::timeout(std::time::Duration::ZERO, backlog.closed()).await.is_err());
        let ((), ()) = tokio::join!(backlog.closed(), async { backlog.close() });
        backlog.closed().await;
        assert!(backlog.is_closed());
    }

    #[tokio::test]
    async fn a_problem_is_none_once_everything_is_delivered() {
        let backlog = filled(10, 1);
        next(&backlog, 100).await;
        backlog.failed(1, "away".into());
        assert_eq!(backlog.outcome(), Outcome { delivered: 0, lost: 1, problem: Some("away".into()) });
        next(&backlog, 100).await;
        backlog.done(1, None);
        assert_eq!(backlog.outcome(), Outcome { delivered: 1, lost: 0, problem: None });
    }

    #[tokio::test]
    async fn what_is_dropped_on_its_way_counts_once() {
        for taken in [true, false] {
            let backlog = filled(2, 2);
            next(&backlog, 100).await;
            backlog.push("2".into());
            if taken {
                backlog.done(2, None);
            } else {
                backlog.failed(2, "away".into());
            }
            let outcome = backlog.outcome();
            let waiting = if taken { 1 } else { 2 };
            assert_eq!((outcome.delivered, outcome.lost), if taken { (2, waiting) } else { (0, 1 + waiting) });
            assert_eq!(next(&backlog, 100).await.1, waiting as usize);
        }
    }
}
