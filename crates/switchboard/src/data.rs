//! The data directory: where services keep what they should find again, a folder each.
//!
//! Chosen by `--data`, `SWITCHBOARD_DATA` or the setting `data`; else systemd's `STATE_DIRECTORY`; else
//! `switchboard` in `XDG_STATE_HOME` or in `~/.local/state`. Never a directory that others can prepare.

mod renderer;

pub(crate) use renderer::renderer_folder;

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use sha2::{Digest, Sha256};
use std::ffi::OsString;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Bits of a mode that let others write, and that keep them from removing what is not theirs.
const GROUP_OR_OTHERS_WRITE: u32 = 0o022;
const OTHERS_WRITE: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// Rows of root.
const OF_ROOT: &str = "/var/lib/switchboard/rows";
/// Bytes of the longest name there; a file system allows 255.
const LONGEST_NAME: usize = 200;

const REMEDY: &str = "name another one with --data DIR or SWITCHBOARD_DATA";

/// There is no directory for data that is ours alone.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DataError {
    #[error(
        "there is no place for data: none of HOME, XDG_STATE_HOME and STATE_DIRECTORY is set to an absolute path; name a directory with \
         --data DIR or SWITCHBOARD_DATA"
    )]
    NoPlace,
    #[error("STATE_DIRECTORY = {} is no absolute path, as systemd gives one; {REMEDY}", path.display())]
    Relative { path: PathBuf },
    #[error("cannot use the data directory {}: {source}; {REMEDY}", path.display())]
    Unusable { path: PathBuf, source: io::Error },
    #[error("cannot use the data directory {}: {} is a file, not a directory; {REMEDY}", path.display(), file.display())]
    File { path: PathBuf, file: PathBuf },
    #[error("cannot use the data directory {}: {} {reason}; {REMEDY}", path.display(), culprit.display())]
    Unsafe { path: PathBuf, culprit: PathBuf, reason: &'static str },
    #[error("cannot use {} for Chromium: its path has {} bytes, and {limit} are allowed, for Chromium makes a socket in it; {REMEDY}", path.display(), path.as_os_str().len())]
    Long { path: PathBuf, limit: usize },
}

/// The data directory: the chosen one, or the one that the environment gives. It need not exist yet.
pub(crate) fn directory(chosen: Option<&Path>) -> Result<PathBuf, DataError> {
    directory_of(chosen, |name| std::env::var_os(name).filter(|value| !value.is_empty()))
}

fn directory_of(chosen: Option<&Path>, variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, DataError> {
    let absolute = |path: PathBuf| Some(path).filter(|path| path.is_absolute());
    if let Some(chosen) = chosen {
        return std::path::absolute(chosen).map_err(|source| DataError::Unusable { path: chosen.to_owned(), source });
    }
    // systemd separates several by colons; the first is the unit's main one.
    let state = variable("STATE_DIRECTORY").and_then(|list| std::env::split_paths(&list).next());
    if let Some(path) = state.as_ref().filter(|path| !path.is_absolute()) {
        return Err(DataError::Relative { path: path.clone() });
    }
    let xdg = || variable("XDG_STATE_HOME").map(PathBuf::from).and_then(absolute).map(|path| path.join("switchboard"));
    let home =
        || variable("HOME").map(PathBuf::from).and_then(absolute).map(|path| path.join(".local/state/switchboard"));
    state.or_else(xdg).or_else(home).ok_or(DataError::NoPlace)
}

/// Returns the folder of a private PostgreSQL's rows. For root this is below `/var/lib`, a folder for each data directory: PostgreSQL
/// runs as another user, which cannot enter the directories of root.
pub(crate) fn rows_folder(chosen: Option<&Path>) -> Result<PathBuf, DataError> {
    let directory = directory(chosen)?;
    if !rustix::process::geteuid().is_root() {
        return folder(&directory, "rows");
    }
    let name = match chosen {
        None => "default".to_owned(),
        Some(_) => name_of(&directory),
    };
    Ok(Path::new(OF_ROOT).join(name))
}

/// Returns the name of a data directory's folder among those of root: the directory, percent-encoded; the end of a long one, and
/// a hash of all of it.
fn name_of(directory: &Path) -> String {
    let bytes = directory.as_os_str().as_encoded_bytes();
    let name = percent_encode(bytes, NON_ALPHANUMERIC).to_string();
    if name.len() <= LONGEST_NAME {
        return name;
    }
    let hash: String = Sha256::digest(bytes).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("{hash}-{}", &name[name.len() - (LONGEST_NAME - hash.len() - 1)..])
}

/// Notes the data directory in the folder of a private PostgreSQL's rows, so that an operator finds folders of directories that are
/// gone.
pub(crate) fn note_owner(folder: &Path, chosen: Option<&Path>) {
    let Ok(directory) = directory(chosen) else { return };
    if folder.starts_with(&directory) {
        return;
    }
    // The folder is another user's: what stands there already is neither followed nor changed.
    let path = folder.join("data-directory");
    let made = OpenOptions::new().write(true).create_new(true).open(&path);
    let written = made.and_then(|mut file| {
        let bytes = directory.as_os_str().as_encoded_bytes();
        file.write_all(bytes).and_then(|()| file.write_all(b"\n"))
    });
    if let Err(error) = written
        && error.kind() != ErrorKind::AlreadyExists
    {
        tracing::debug!("cannot write {}: {error}", path.display());
    }
}

/// Makes a service's folder in the data directory, where it is missing, and checks that it is ours alone.
pub(crate) fn folder(directory: &Path, service: &str) -> Result<PathBuf, DataError> {
    let folder = directory.join(service);
    for path in [directory, &folder] {
        let unusable = |source| DataError::Unusable { path: path.to_owned(), source };
        // The directory itself, or one above it.
        if let Some(file) = path.ancestors().find(|above| above.exists()).filter(|above| !above.is_dir()) {
            return Err(DataError::File { path: path.to_owned(), file: file.to_owned() });
        }
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(unusable)?;
        check(path)?;
    }
    Ok(folder)
}

/// Whether nobody but this user and root can have put something there.
fn check(path: &Path) -> Result<(), DataError> {
    let unusable = |source| DataError::Unusable { path: path.to_owned(), source };
    let refused =
        |culprit: &Path, reason| DataError::Unsafe { path: path.to_owned(), culprit: culprit.to_owned(), reason };
    // A link may lead somewhere: what it leads to is judged.
    let real = fs::canonicalize(path).map_err(unusable)?;
    let own = fs::metadata("/proc/self").map(|process| process.uid()).map_err(unusable)?;
    let data = fs::metadata(&real).map_err(unusable)?;
    if !data.is_dir() {
        return Err(unusable(ErrorKind::NotADirectory.into()));
    }
    if data.uid() != own {
        return Err(refused(&real, "belongs to another user"));
    }
    if data.mode() & GROUP_OR_OTHERS_WRITE != 0 {
        return Err(refused(&real, "can be written to by others (chmod go-w it)"));
    }
    for above in real.ancestors().skip(1) {
        let data = fs::metadata(above).map_err(unusable)?;
        if data.uid() != own && data.uid() != 0 {
            return Err(refused(above, "belongs to another user, who can replace what is in it"));
        }
        if let Some(reason) = is_open(data.mode(), data.gid(), own) {
            return Err(refused(above, reason));
        }
    }
    Ok(())
}

/// The reason why others than the user `own` and root can replace what is in a directory of this mode and group.
fn is_open(mode: u32, group: u32, own: u32) -> Option<&'static str> {
    // root's group, and a user's own one: with `umask 002` everything in a home directory is such a group's.
    let is_shared = group != 0 && group != own;
    if mode & STICKY != 0 {
        None
    } else if mode & OTHERS_WRITE != 0 {
        Some("can be written to by everybody, who can replace what is in it")
    } else if mode & GROUP_OR_OTHERS_WRITE != 0 && is_shared {
        Some("can be written to by its group, which can replace what is in it (chmod g-w it)")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn found(chosen: Option<&str>, variables: &[(&str, &str)]) -> Option<String> {
        let variable = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
        let path = directory_of(chosen.map(Path::new), variable).ok()?;
        Some(path.to_str().expect("text").to_owned())
    }

    #[test]
    fn a_chosen_directory_comes_before_systemds_and_that_before_the_users() {
        let all = [("STATE_DIRECTORY", "/var/lib/sb:/var/lib/x"), ("XDG_STATE_HOME", "/state"), ("HOME", "/me")];
        assert_eq!(found(Some("/data"), &all).as_deref(), Some("/data"));
        assert_eq!(found(None, &all).as_deref(), Some("/var/lib/sb"));
        assert_eq!(found(None, &all[1..]).as_deref(), Some("/state/switchboard"));
        assert_eq!(found(None, &all[2..]).as_deref(), Some("/me/.local/state/switchboard"));
        assert_eq!(found(None, &[]), None);
        assert_eq!(found(None, &[("HOME", "relative"), ("XDG_STATE_HOME", "relative")]), None);
    }

    #[test]
    fn a_relative_directory_of_systemd_is_named_and_no_other_is_taken_in_its_place() {
        let variable = |name: &str| match name {
            "STATE_DIRECTORY" => Some("rel".into()),
            _ => Some("/me".into()),
        };
        let error = directory_of(None, variable).expect_err("relative").to_string();
        assert!(
            error.starts_with("STATE_DIRECTORY = rel is no absolute path") && error.contains("--data DIR"),
            "{error}"
        );
        assert_eq!(directory_of(Some(Path::new("/data")), variable).expect("chosen"), Path::new("/data"));
    }

    #[test]
    fn a_long_data_directory_has_a_folder_of_a_short_name_and_each_its_own() {
        // The name of a slash has three bytes.
        let path = |length: usize| PathBuf::from(format!("/{}", "a".repeat(length - 3)));
        assert_eq!(name_of(&path(200)), format!("%2F{}", "a".repeat(197)));
        let [one, other] = [name_of(&path(201)), name_of(&path(202))];
        assert_eq!((one.len(), other.len()), (LONGEST_NAME, LONGEST_NAME));
        assert!(one != other && one.ends_with("aaa"), "{one}");
        let deep = PathBuf::from(format!("/{}", "\u{e9}".repeat(2000)));
        assert_eq!(name_of(&deep).len(), LONGEST_NAME);
    }

    #[test]
    fn a_folder_elsewhere_says_which_data_directory_it_is_of() {
        let base = tempfile::tempdir().unwrap();
        let (folder, data) = (base.path().join("folder"), base.path().join("data"));
        fs::create_dir(&folder).unwrap();
        let read = || fs::read_to_string(folder.join("data-directory")).unwrap();
        note_owner(&folder, Some(&data));
        assert_eq!(read(), format!("{}\n", data.display()));
        note_owner(&folder, Some(Path::new("/other")));
        assert_eq!(read(), format!("{}\n", data.display()), "what stands there is not changed");
        note_owner(&data.join("rows"), Some(&data));
        assert!(!data.exists());
    }

    #[test]
    fn a_folder_is_made_for_its_owner_only() {
        let base = tempfile::tempdir().unwrap();
        let made = folder(&base.path().join("a/b"), "monitor").unwrap();
        for path in [&made, &base.path().join("a/b"), &base.path().join("a")] {
            assert_eq!(fs::metadata(path).unwrap().mode() & 0o777, 0o700, "{}", path.display());
        }
        assert_eq!(folder(&base.path().join("a/b"), "monitor").unwrap(), made);
    }

    #[test]
    fn a_directory_that_others_can_write_to_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let data = base.path().join("data");
        for mode in [0o700, 0o755, 0o750] {
            fs::create_dir_all(&data).unwrap();
            fs::set_permissions(&data, Permissions::from_mode(mode)).unwrap();
            folder(&data, "monitor").unwrap();
        }
        for mode in [0o777, 0o770, 0o702, 0o1777] {
            fs::set_permissions(&data, Permissions::from_mode(mode)).unwrap();
            let error = folder(&data, "monitor").unwrap_err().to_string();
            assert!(error.contains("can be written to by others"), "{mode:o}: {error}");
        }
    }

    #[test]
    fn a_directory_below_one_that_everybody_can_write_to_is_refused_unless_that_is_sticky() {
        let base = tempfile::tempdir().unwrap();
        let shared = base.path().join("shared");
        fs::create_dir(&shared).unwrap();
        fs::set_permissions(&shared, Permissions::from_mode(0o777)).unwrap();
        let error = folder(&shared.join("data"), "monitor").unwrap_err().to_string();
        assert!(error.contains("can be written to by everybody"), "{error}");
        fs::set_permissions(&shared, Permissions::from_mode(0o1777)).unwrap();
        folder(&shared.join("data"), "monitor").unwrap();
    }

    #[test]
    fn a_directory_below_one_that_a_shared_group_can_write_to_is_refused_unless_that_is_sticky() {
        let (own, shared) = (1000, 50);
        for (mode, group, is_refused) in [
            (0o2775, shared, true),
            (0o775, shared, true),
            (0o755, shared, false),
            (0o3775, shared, false),
            (0o775, 0, false),
            (0o775, own, false),
            (0o777, own, true),
            (0o777, 0, true),
            (0o1777, shared, false),
        ] {
            assert_eq!(is_open(mode, group, own).is_some(), is_refused, "{mode:o} of {group}");
        }
    }

    #[test]
    fn a_link_counts_as_what_it_leads_to() {
        let base = tempfile::tempdir().unwrap();
        let (real, link) = (base.path().join("real"), base.path().join("link"));
        fs::create_dir(&real).unwrap();
        symlink(&real, &link).unwrap();
        folder(&link, "monitor").unwrap();
        fs::set_permissions(&real, Permissions::from_mode(0o777)).unwrap();
        assert!(folder(&link, "monitor").is_err());
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let base = tempfile::tempdir().unwrap();
        let file = base.path().join("file");
        fs::write(&file, "").unwrap();
        let error = folder(&file, "monitor").unwrap_err().to_string();
        assert!(error.contains(file.to_str().unwrap()) && error.contains("--data"), "{error}");
    }
}
