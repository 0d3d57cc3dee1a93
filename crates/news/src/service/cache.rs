//! Texts that are the same for everybody who asks within a second.

use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Texts that are kept; when there are more, all are forgotten.
const MAX: usize = 64;
/// Ages are written in seconds.
const FRESH: Duration = Duration::from_secs(1);

/// Texts by what they show, each of a version.
pub(super) struct Cache<K>(Mutex<HashMap<K, (u64, Instant, Bytes)>>);

impl<K: Eq + Hash> Cache<K> {
    pub(super) fn new() -> Cache<K> {
        Cache(Mutex::default())
    }

    /// The text of this version that was made less than a second ago.
    pub(super) fn known(&self, key: &K, version: u64) -> Option<Bytes> {
        let cache = self.0.lock();
        let (known, made, text) = cache.get(key)?;
        (*known == version && made.elapsed() < FRESH).then(|| text.clone())
    }

    /// That, or a new one.
    pub(super) fn get(&self, key: K, version: u64, make: impl FnOnce() -> String) -> Bytes {
        if let Some(text) = self.known(&key, version) {
            return text;
        }
        // Without the lock: two may make the same text, and nobody waits for another one's.
        let text = Bytes::from(make());
        let mut cache = self.0.lock();
        if cache.len() >= MAX {
            cache.clear();
        }
        cache.insert(key, (version, Instant::now(), text.clone()));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_made_once_a_version_and_the_cache_is_bounded() {
        let cache = Cache::new();
        let get = |key: usize, version, text: &str| cache.get(key, version, || text.to_owned());
        assert_eq!(cache.known(&1, 1), None);
        assert_eq!(get(1, 1, "a"), "a");
        assert_eq!((cache.known(&1, 1), cache.known(&1, 2)), (Some("a".into()), None));
        assert_eq!(get(1, 2, "b"), "b");
        for key in 0..10 * MAX {
            get(key, 2, "c");
        }
        assert!(cache.0.lock().len() <= MAX);
    }
}
