//! Files that are opened by a name which somebody else chose.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// Opens a regular file for reading. A pipe would be waited for until somebody writes to it, and a device may have no end.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`] if it is no regular file; otherwise it cannot be opened.
pub fn open_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(libc::O_NONBLOCK);
    }
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is no regular file"));
    }
    Ok(file)
}

/// Reads a regular file to its end.
///
/// # Errors
///
/// As [`open_file`].
pub fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_file(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a regular file as text.
///
/// # Errors
///
/// As [`open_file`]; [`ErrorKind::InvalidData`] if it is not UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    open_file(path)?.read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::process::Command;

    #[test]
    fn a_file_is_read_and_what_is_none_is_refused_without_waiting_for_it() {
        let folder = std::env::temp_dir().join(format!("switchboard-file-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let [pipe, file, binary] = ["pipe", "file", "binary"].map(|name| folder.join(name));
        assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo, of coreutils").success());
        for path in [pipe.as_path(), folder.as_path(), Path::new("/dev/zero")] {
            let error = read_file(path).unwrap_err();
            assert_eq!((error.kind(), &*error.to_string()), (ErrorKind::InvalidInput, "it is no regular file"));
        }
        fs::write(&file, "text").unwrap();
        fs::write(&binary, [0xff]).unwrap();
        assert_eq!((read_file(&file).unwrap(), read_text(&file).unwrap()), (b"text".to_vec(), "text".to_owned()));
        assert_eq!(read_text(&binary).unwrap_err().kind(), ErrorKind::InvalidData);
        assert_eq!(read_text(&folder.join("none")).unwrap_err().kind(), ErrorKind::NotFound);
        fs::remove_dir_all(folder).unwrap();
    }
}
