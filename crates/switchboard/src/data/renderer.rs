//! The folder of Chromium's private directories.

use super::{DataError, check, folder};
use rustix::process::{geteuid, getuid};
use std::fs::{self, DirBuilder, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

const ALL_ENTER: u32 = 0o011;
const OTHERS_ENTER: u32 = 0o001;

/// The folder of root, where its data directory cannot be entered by others or has a long path.
const RUNTIME: &str = "/run/switchboard-render";
/// Bytes of the longest path of a socket.
const SOCKET: usize = 107;
/// The longest socket of a Chromium, below the folder.
const DEEPEST: &str = "/child-0123456789abcdef/run/org.chromium.Chromium.XXXXXX/SingletonSocket";
/// Bytes of the folder's path, at most.
const LONGEST: usize = SOCKET - DEEPEST.len();

/// Makes the folder of Chromium's private directories, which another user can enter where this user is root: Chromium's
/// sandbox refuses root, so it runs as another user. Where the data directory lies below one that nobody else can enter,
/// as `/root`, or has a path that is too long for the sockets of Chromium, the folder is a runtime directory: nothing in it
/// outlives the program.
pub(crate) fn renderer_folder(directory: &Path) -> Result<PathBuf, DataError> {
    let folder = folder(directory, "render")?;
    let is_short = is_short(&folder);
    if !geteuid().is_root() {
        return if is_short { Ok(folder) } else { first(&runtime_folders()) };
    }
    let unusable = |path: &Path, source| DataError::Unusable { path: path.to_owned(), source };
    // Their contents have modes of their own.
    for path in [directory, &folder] {
        let mode = fs::metadata(path).map_err(|error| unusable(path, error))?.mode() | ALL_ENTER;
        fs::set_permissions(path, Permissions::from_mode(mode)).map_err(|error| unusable(path, error))?;
    }
    let real = fs::canonicalize(&folder).map_err(|error| unusable(&folder, error))?;
    let is_closed = |path: &Path| fs::metadata(path).is_ok_and(|data| data.mode() & OTHERS_ENTER == 0);
    if is_short && !real.ancestors().any(is_closed) {
        return Ok(folder);
    }
    first(&[RUNTIME.into()])
}

fn is_short(folder: &Path) -> bool {
    folder.as_os_str().len() <= LONGEST
}

/// The folders of a user that is not root, the best first: the first one is that user's alone, and is not cleaned by age.
fn runtime_folders() -> Vec<PathBuf> {
    let user = getuid().as_raw();
    let own = PathBuf::from(format!("/run/user/{user}"));
    let name = format!("switchboard-render-{user}");
    let own = own.is_dir().then(|| own.join("switchboard-render"));
    own.into_iter().chain([std::env::temp_dir().join(&name), Path::new("/tmp").join(name)]).collect()
}

/// Makes the first of these folders that can be used.
fn first(folders: &[PathBuf]) -> Result<PathBuf, DataError> {
    let mut failed = None;
    for folder in folders {
        match make(folder) {
            Ok(()) => return Ok(folder.clone()),
            // The best one says most.
            Err(error) => drop(failed.get_or_insert(error)),
        }
    }
    Err(failed.unwrap_or(DataError::NoPlace))
}

/// Makes a folder in a directory that others can write to, and refuses one that somebody else made.
fn make(folder: &Path) -> Result<(), DataError> {
    if !is_short(folder) {
        return Err(DataError::Long { path: folder.to_owned(), limit: LONGEST });
    }
    let unusable = |source| DataError::Unusable { path: folder.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o711).create(folder).map_err(unusable)?;
    // A link may be another user's, who can let it lead elsewhere at any time.
    if !folder.symlink_metadata().map_err(unusable)?.is_dir() {
        return Err(unusable(ErrorKind::NotADirectory.into()));
    }
    check(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn the_renderers_folder_can_be_entered_by_another_user_where_this_one_is_root() {
        let base = tempfile::Builder::new().prefix("r").tempdir().unwrap();
        let data = base.path().join("data");
        fs::set_permissions(base.path(), Permissions::from_mode(0o711)).unwrap();
        let made = renderer_folder(&data).unwrap();
        assert_eq!(made, data.join("render"));
        if !geteuid().is_root() {
            assert_eq!(fs::metadata(&made).unwrap().mode() & 0o777, 0o700);
            return;
        }
        for path in [&data, &made] {
            assert_eq!(fs::metadata(path).unwrap().mode() & 0o777, 0o711, "{}", path.display());
        }
        fs::set_permissions(base.path(), Permissions::from_mode(0o700)).unwrap();
        assert_eq!(renderer_folder(&data).unwrap(), Path::new(RUNTIME));
    }

    #[test]
    fn a_data_directory_whose_path_is_too_long_for_chromiums_sockets_gets_a_short_folder_elsewhere() {
        let base = tempfile::Builder::new().prefix("r").tempdir().unwrap();
        fs::set_permissions(base.path(), Permissions::from_mode(0o711)).unwrap();
        let rest = LONGEST - base.path().as_os_str().len() - "/".len() - "/render".len();
        for (bytes, is_own) in [(rest - 1, true), (rest, true), (rest + 1, false)] {
            let data = base.path().join("x".repeat(bytes));
            let made = renderer_folder(&data).unwrap();
            assert_eq!(made == data.join("render"), is_own, "{}", made.display());
            assert!(made.as_os_str().len() + DEEPEST.len() <= SOCKET, "{}", made.display());
        }
    }

    #[test]
    fn a_runtime_folder_that_others_have_made_or_that_is_too_long_is_passed_over() {
        let base = tempfile::Builder::new().prefix("r").tempdir().unwrap();
        let good = base.path().join("good");
        let [link, open, file] = ["link", "open", "file"].map(|name| base.path().join(name));
        symlink(base.path(), &link).unwrap();
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
        fs::write(&file, "").unwrap();
        let long = base.path().join("x".repeat(LONGEST));
        for bad in [link, open, file, long.clone()] {
            let folders = [bad.clone(), good.clone()];
            first(&folders[..1]).expect_err("it is refused");
            assert_eq!(first(&folders).unwrap(), good, "{}", bad.display());
        }
        assert!(first(&[long]).unwrap_err().to_string().contains(&format!("and {LONGEST} are allowed")));
    }
}
