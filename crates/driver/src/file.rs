//! Files that are opened by a name which somebody else chose.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// Opens a regular file for reading. A pipe would be waited for until somebody writes to it, and a device may have no end.
fn open_file(path: &Path) -> io::Result<File> {
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

/// Reads a regular file to its end, if it has no more than `max` bytes.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`] if it is no regular file; [`ErrorKind::FileTooLarge`] if it is longer; otherwise it cannot be read.
pub fn read_file(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // The length in the metadata is no bound: a file may grow meanwhile, and /proc has files of length 0.
    open_file(path)?.take(max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max {
        let text = format!("it is longer than the limit of {max} bytes");
        return Err(io::Error::new(ErrorKind::FileTooLarge, text));
    }
    Ok(bytes)
}

/// Reads a regular file as text, if it has no more than `max` bytes.
///
/// # Errors
///
/// As [`read_file`] and [`text_of`].
pub fn read_text(path: &Path, max: u64) -> io::Result<String> {
    text_of(read_file(path, max)?)
}

/// Takes the bytes of a file for text.
///
/// # Errors
///
/// [`ErrorKind::InvalidData`], with the line, if they are not UTF-8.
pub fn text_of(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        io::Error::new(ErrorKind::InvalidData, format!("line {line} is not UTF-8"))
    })
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
            let error = read_file(path, 100).unwrap_err();
            assert_eq!((error.kind(), &*error.to_string()), (ErrorKind::InvalidInput, "it is no regular file"));
        }
        fs::write(&file, "text").unwrap();
        fs::write(&binary, [0xff]).unwrap();
        assert_eq!((read_file(&file, 4).unwrap(), read_text(&file, 5).unwrap()), (b"text".to_vec(), "text".to_owned()));
        assert_eq!(read_text(&binary, 100).unwrap_err().kind(), ErrorKind::InvalidData);
        assert_eq!(read_text(&folder.join("none"), 100).unwrap_err().kind(), ErrorKind::NotFound);
        let long = read_file(&file, 3).unwrap_err();
        assert_eq!(long.kind(), ErrorKind::FileTooLarge);
        assert_eq!(long.to_string(), "it is longer than the limit of 3 bytes");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_file_of_which_the_system_knows_no_length_is_cut_off_at_the_limit() {
        let error = read_file(Path::new("/proc/self/maps"), 10).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
    }
}
