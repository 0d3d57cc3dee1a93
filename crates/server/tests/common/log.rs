//! The log of a process, for a test binary with one test.

use super::PATIENCE;
use std::io::Write;
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;
use tokio::time::timeout;

/// The log.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>, Arc<Notify>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        self.1.notify_one();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Of all lines at the level info and above. At most one in a process.
    pub(crate) fn of_this_process() -> Log {
        let log = Log::default();
        let kept = log.clone();
        let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_ansi(false);
        let subscriber = subscriber.with_writer(move || kept.clone()).finish();
        tracing::subscriber::set_global_default(subscriber).expect("the first one");
        log
    }

    /// Waits for a line of this level that has these words, and returns it.
    pub(crate) async fn until(&self, level: &str, words: &str) -> String {
        let level = format!(" {level} ");
        let found = async {
            loop {
                let text = String::from_utf8_lossy(&self.0.lock().expect("no panic")).into_owned();
                if let Some(line) = text.lines().find(|line| line.contains(&level) && line.contains(words)) {
                    return line.to_owned();
                }
                self.1.notified().await;
            }
        };
        timeout(PATIENCE, found).await.expect("a line in time")
    }

    /// Number of lines at the level info that have these words.
    pub(crate) fn count(&self, words: &str) -> usize {
        self.count_at("INFO", words)
    }

    pub(crate) fn count_at(&self, level: &str, words: &str) -> usize {
        let level = format!(" {level} ");
        let bytes = self.0.lock().expect("no panic");
        let text = String::from_utf8_lossy(&bytes);
        text.lines().filter(|line| line.contains(&level) && line.contains(words)).count()
    }
}
