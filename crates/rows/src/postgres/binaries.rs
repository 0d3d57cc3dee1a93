//! The search for PostgreSQL's programs.

use super::failed;
use crate::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// Finds the directory of the binaries: for this major version, or the newest.
pub(super) fn binaries(given: Option<&Path>, version: Option<&str>) -> Result<PathBuf, Error> {
    let has_both = |directory: &Path| directory.join("postgres").is_file() && directory.join("initdb").is_file();
    if let Some(given) = given {
        return if has_both(given) {
            Ok(given.to_owned())
        } else {
            Err(failed(&format!("{} has none", given.display())))
        };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, directory)| has_both(directory))
        .collect();
    found.sort();
    let wanted = |(major, _): &&(u32, PathBuf)| version.is_none_or(|version| major.to_string() == version);
    if let Some((_, directory)) = found.iter().rev().find(wanted) {
        return Ok(directory.clone());
    }
    if let Some(directory) = std::env::split_paths(&path).find(|directory| has_both(directory)) {
        return Ok(directory);
    }
    Err(failed(&match version {
        Some(version) if !found.is_empty() => {
            format!("the data is of version {version}; install postgresql-{version}, or upgrade with pg_upgrade")
        }
        _ => "PostgreSQL is not installed; install it (apt-get install postgresql), or give a database (--database, or the \
              setting rows.database)"
            .to_owned(),
    }))
}
