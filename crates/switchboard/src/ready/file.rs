//! The ready file: the addresses, as JSON, for as long as they are listened on.

use super::Addresses;
use crate::output::{self, UsageError};
use anyhow::{Context, Result, anyhow};
use std::cell::Cell;
use std::fs::File;
use std::io::{ErrorKind, IsTerminal, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Tells people by the banner, and programs by a file.
#[derive(Clone)]
pub(crate) struct Ready(Option<Rc<ReadyFile>>);

struct ReadyFile {
    path: PathBuf,
    /// The file that this process has written. It stays open, so that no later file gets its inode number.
    written: Cell<Option<File>>,
}

impl Ready {
    /// Removes the file of an earlier run, which would say too early that this one listens.
    pub(crate) fn begin(file: Option<PathBuf>) -> Result<Ready> {
        if let Some(path) = &file {
            if std::fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) {
                let text = "it is no regular file, and would be replaced by one; give --ready-file another path";
                return Err(UsageError::of(anyhow!("{}: {text}", path.display())));
            }
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot remove the old {}", path.display()));
                }
                _ => {}
            }
        }
        Ok(Ready(file.map(|path| Rc::new(ReadyFile { path, written: Cell::default() }))))
    }

    /// Says what runs. Once more when a further service does.
    pub(crate) fn tell(&self, addresses: &Addresses) -> Result<()> {
        output::banner(&addresses.banner(std::io::stdout().is_terminal()));
        self.write(addresses)
    }

    /// Shows a change of what services lack.
    pub(crate) fn tell_change(&self, change: &str, addresses: &Addresses) -> Result<()> {
        if !change.is_empty() {
            output::banner(change);
        }
        self.write(addresses)
    }

    fn write(&self, addresses: &Addresses) -> Result<()> {
        let Some(ReadyFile { path, written }) = self.0.as_deref() else { return Ok(()) };
        let file = write(path, &addresses.json()).with_context(|| format!("cannot write {}", path.display()))?;
        written.set(Some(file));
        Ok(())
    }

    /// Removes the file, unless another process has replaced it by its own.
    pub(crate) fn end(&self) {
        let Some(ReadyFile { path, written }) = self.0.as_deref() else { return };
        if written.take().is_some_and(|file| is_named(&file, path))
            && let Err(error) = std::fs::remove_file(path)
        {
            tracing::warn!("cannot remove {}: {error}", path.display());
        }
    }
}

/// Through a rename, so that whoever waits for the file never finds half of it.
fn write(path: &Path, addresses: &serde_json::Value) -> std::io::Result<File> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}", std::process::id()));
    let mut file = File::create(&temporary)?;
    file.write_all(format!("{addresses}\n").as_bytes())?;
    std::fs::rename(&temporary, path)?;
    Ok(file)
}

/// Returns true if the file has this name.
fn is_named(file: &File, path: &Path) -> bool {
    let both = file.metadata().and_then(|own| Ok((own, std::fs::symlink_metadata(path)?)));
    both.is_ok_and(|(own, there)| (own.dev(), own.ino()) == (there.dev(), there.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_goes_with_the_service_and_that_of_another_process_stays() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("ready.json");
        let ready = Ready::begin(Some(path.clone())).expect("no file");
        ready.end();
        ready.write(&Addresses::default()).expect("written");
        ready.write(&Addresses::default()).expect("written");
        assert!(path.exists());
        ready.clone().end();
        assert!(!path.exists());
        ready.write(&Addresses::default()).expect("written");
        let other = Ready::begin(Some(path.clone())).expect("the old one is removed");
        assert!(!path.exists());
        other.write(&Addresses::default()).expect("written");
        ready.end();
        assert!(path.exists(), "it is the other one's");
    }
}
