//! A look at each row of a table that others change meanwhile, and that is begun anew again and again.

/// It goes round the table, and ends where it was when it was begun last. So a stream of causes, each of which begins it anew,
/// keeps no row from being looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    next: usize,
    /// The row before which it ends, once it has come to the end of the table.
    until: usize,
    is_before_the_end: bool,
}

impl Round {
    /// Begins a round, where the one that is under way has come to.
    pub(super) fn begin(round: &mut Option<Round>) {
        let next = round.map_or(0, |round| round.next);
        *round = Some(Round { next, until: next, is_before_the_end: true });
    }

    /// The next row of a table that has so many now; `None` at the end of the round.
    pub(super) fn step(round: &mut Option<Round>, rows: usize) -> Option<usize> {
        let state = round.as_mut()?;
        if state.is_before_the_end && state.next >= rows {
            (state.next, state.is_before_the_end) = (0, false);
        }
        let stop = if state.is_before_the_end { rows } else { state.until.min(rows) };
        if state.next >= stop {
            *round = None;
            return None;
        }
        state.next += 1;
        Some(state.next - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn a_round_looks_at_every_row_that_was_there_when_it_was_begun_and_stays(
            rows in 0..20usize,
            changes in prop::collection::vec((0..4u8, 0..20usize), 0..100),
        ) {
            let (mut rows, mut round, mut missing) = (rows, None, BTreeSet::new());
            let mut visited = 0;
            for (change, size) in changes {
                match change {
                    0 => {
                        Round::begin(&mut round);
                        (missing, visited) = ((0..rows).collect(), 0);
                    }
                    1 => {
                        rows = size;
                        missing.retain(|&row| row < rows);
                    }
                    _ => match Round::step(&mut round, rows) {
                        Some(row) => {
                            prop_assert!(row < rows);
                            missing.remove(&row);
                            visited += 1;
                        }
                        None => prop_assert!(round.is_none() && missing.is_empty(), "{missing:?} were missed"),
                    },
                }
            }
            Round::begin(&mut round);
            let last: Vec<usize> = std::iter::from_fn(|| Round::step(&mut round, rows)).collect();
            prop_assert_eq!(last.len(), rows, "each once, after {} others", visited);
        }
    }
}
