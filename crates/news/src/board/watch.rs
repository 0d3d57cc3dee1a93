//! Follows the sites file.

use super::{Board, Shared};
use crate::site::{Problem, parse_each};
use std::path::{Path, PathBuf};
use std::sync::Weak;
use std::time::Duration;
use switchboard_driver::quantity::plural;
use tokio::time::sleep;

/// Interval of checks of the file: its size and time, and its text only if these have changed.
const LOOK: Duration = Duration::from_secs(1);
/// Bytes of a sites file.
pub(crate) const MAX_FILE: u64 = 4 << 20;

/// Time and size of the file, which change with it.
type Stamp = Option<(std::time::SystemTime, u64)>;

pub(super) async fn run(shared: Weak<Shared>, file: PathBuf, mut known: String) {
    // Not that of the text that is known, which may be older than the file.
    let mut stamp: Stamp = None;
    loop {
        sleep(LOOK).await;
        let (path, before) = (file.clone(), stamp);
        let looking = tokio::task::spawn_blocking(move || {
            let now = stamp_of(&path);
            (now, if now == before { None } else { Some(read(&path)) })
        });
        let Ok((now, text)) = looking.await else { return };
        stamp = now;
        let Some(board) = shared.upgrade() else { return };
        match text {
            None => {}
            Some(Err(reason)) => {
                if std::mem::take(&mut known) != String::new() {
                    tracing::error!("{reason}; the list of sites is unchanged");
                }
                board.set_problem(Some(reason));
            }
            Some(Ok(text)) if text == known => board.set_problem(None),
            Some(Ok(text)) => {
                match parse_each(&text) {
                    Ok(sites) => {
                        tracing::info!("{} has changed: {}", file.display(), plural(sites.len(), "site"));
                        Board(board.clone()).replace(sites);
                        board.set_problem(None);
                    }
                    Err(problems) => {
                        let reason = format!("{}: {}", file.display(), words(&problems));
                        tracing::error!("{reason}; the list of sites is unchanged");
                        board.set_problem(Some(reason));
                    }
                }
                known = text;
            }
        }
    }
}

fn stamp_of(path: &Path) -> Stamp {
    let data = std::fs::metadata(path).ok()?;
    Some((data.modified().ok()?, data.len()))
}

/// Reads a sites file.
///
/// # Errors
///
/// It cannot be read, in words that name it.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("cannot read the sites file {}: {error}", path.display());
    switchboard_driver::read_text(path, MAX_FILE).map_err(failed)
}

/// All problems in one text.
pub(crate) fn words(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("; ")
}
