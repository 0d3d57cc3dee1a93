//! Processes of pages that have ended.

use std::collections::HashMap;

/// Looks at which a process must be without a page to be ended, a second apart. The browser does not know one that it has
/// just started.
const LOOKS: u32 = 3;

/// Processes that render no page any more and are there still: busy workers keep theirs alive, for example.
#[derive(Debug, Default)]
pub(super) struct Orphans(HashMap<u32, u32>);

impl Orphans {
    /// Compares the processes that are alive with those that the browser has a page for. Returns those to be ended.
    pub(super) fn look(&mut self, alive: &[u32], known: &[u32]) -> Vec<u32> {
        let orphans = alive.iter().filter(|id| !known.contains(id));
        self.0 = orphans.map(|id| (*id, self.0.get(id).map_or(1, |looks| looks + 1))).collect();
        self.0.iter().filter(|(_, looks)| **looks >= LOOKS).map(|(id, _)| *id).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_without_a_page_is_ended_at_the_third_look() {
        let mut orphans = Orphans::default();
        for (known, ended, left) in [
            (&[1, 2, 3][..], &[][..], 0),
            // The second one was only new.
            (&[1], &[], 2),
            (&[1, 2], &[], 1),
            (&[1, 2], &[3], 1),
            // It is asked to end until it has.
            (&[1, 2], &[3], 1),
        ] {
            assert_eq!((&orphans.look(&[1, 2, 3], known)[..], orphans.len()), (ended, left), "{known:?}");
        }
        assert_eq!((orphans.look(&[1, 2], &[1, 2]), orphans.len()), (vec![], 0));
    }
}
