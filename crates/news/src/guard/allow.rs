//! Exceptions to the guard, each an exact pair of host and port.

use super::target::{Target, TargetError};
use std::collections::HashSet;
use std::sync::Arc;

/// Pairs of host and port that may be reached whatever their address is. A name allows nothing for its addresses, and an
/// address nothing for the names that point to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allow(Arc<HashSet<Target>>);

impl Allow {
    /// Reads `HOST:PORT` texts.
    ///
    /// # Errors
    ///
    /// One of them has another form.
    pub fn parse<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> Result<Allow, TargetError> {
        let pairs = texts.into_iter().map(|text| text.as_ref().parse()).collect::<Result<_, _>>()?;
        Ok(Allow(Arc::new(pairs)))
    }

    /// Whether this pair is one of them.
    #[must_use]
    pub fn contains(&self, target: &Target) -> bool {
        self.0.contains(target)
    }

    /// The pairs as `HOST:PORT` texts, in order.
    #[must_use]
    pub fn pairs(&self) -> Vec<String> {
        let mut pairs: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        pairs.sort_unstable();
        pairs
    }
}
