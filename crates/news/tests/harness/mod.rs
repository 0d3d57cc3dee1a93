//! Tests of a program of its own, by name, as `cargo test` shows and counts them.
#![allow(dead_code)] // Each test program uses a part.

use std::future::Future;
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Generous; only what must come to its end waits so long.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// The tests that were asked for.
pub(crate) struct Run {
    filters: Vec<String>,
    passed: usize,
}

impl Run {
    pub(crate) fn from_arguments() -> Run {
        let filters = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
        Run { filters, passed: 0 }
    }

    /// A test that panics ends the program.
    pub(crate) async fn test(&mut self, name: &str, test: impl Future<Output = ()>) {
        if self.filters.is_empty() || self.filters.iter().any(|filter| name.contains(filter)) {
            print!("test {name} ... ");
            let _ = std::io::stdout().flush();
            test.await;
            println!("ok");
            self.passed += 1;
        }
    }

    pub(crate) fn end(self) -> ExitCode {
        println!("\ntest result: ok. {} passed; 0 failed", self.passed);
        ExitCode::SUCCESS
    }
}

/// A directory that another user can pass through, as Chromium's has to be.
pub(crate) fn base() -> TempDir {
    let base = tempfile::tempdir().expect("a directory");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o711);
    std::fs::set_permissions(base.path(), mode).expect("a mode");
    base
}

/// Waits until a question has this answer.
pub(crate) async fn eventually<T: PartialEq + std::fmt::Debug>(what: &str, wanted: T, mut ask: impl AsyncFnMut() -> T) {
    let end = Instant::now() + LIMIT;
    loop {
        let answer = ask().await;
        if answer == wanted {
            return;
        }
        assert!(Instant::now() < end, "{what}: {answer:?}, not {wanted:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
