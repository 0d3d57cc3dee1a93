//! Scripts: the file that a command's name means, and the interpreter that it names.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Bytes of the first line that the kernel looks at.
const LINE: u64 = 256;

/// The file of a command: itself if it has a slash, else the first that can be run in the folders of `PATH`.
pub(super) fn file(command: &OsStr) -> Option<PathBuf> {
    let can_be_run =
        |path: &PathBuf| path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0);
    if command.as_encoded_bytes().contains(&b'/') {
        return Some(PathBuf::from(command)).filter(can_be_run);
    }
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(command)).find(can_be_run)
}

/// The interpreter in the first line of a command's file, if it is not there.
pub(super) fn interpreter(command: &OsStr) -> Option<String> {
    let mut line = Vec::new();
    File::open(file(command)?).ok()?.take(LINE).read_to_end(&mut line).ok()?;
    let line = line.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let text = String::from_utf8_lossy(line).into_owned();
    let interpreter = text.split_whitespace().next()?;
    (!Path::new(interpreter).exists()).then(|| interpreter.to_owned())
}
