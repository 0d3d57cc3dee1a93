//! The file that a command's name means, and the reasons why it cannot be run that the system does not name: it answers a missing
//! interpreter and a missing loader as it answers a missing file.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Bytes of the first line that the kernel looks at.
const LINE: u64 = 256;

const ELF: &[u8] = b"\x7fELF";
/// Bytes in which linkers put the header, the table of segments, and the loader's name.
const HEADS: u64 = 64 << 10;
/// The type of the segment that names the loader.
const INTERPRETER: usize = 3;

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

/// The first bytes of a file.
fn begin(file: &Path, bytes: u64) -> Option<Vec<u8>> {
    let mut begin = Vec::new();
    File::open(file).ok()?.take(bytes).read_to_end(&mut begin).ok()?;
    Some(begin)
}

/// Returns true for a file that no shell can read: a program of another machine, or a damaged one.
pub(super) fn is_binary(file: &Path) -> bool {
    let Some(begin) = begin(file, LINE) else { return false };
    begin.starts_with(ELF) || begin.split(|byte| *byte == b'\n').next().is_some_and(|line| line.contains(&0))
}

/// The interpreter in the first line of a command's file, if it is not there.
pub(super) fn interpreter(command: &OsStr) -> Option<String> {
    let line = begin(&file(command)?, LINE)?;
    let line = line.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let text = String::from_utf8_lossy(line).into_owned();
    // As the kernel has it: the end of a line as Windows writes it is part of the name.
    let interpreter = text.split([' ', '\t']).find(|part| !part.is_empty())?;
    (!Path::new(interpreter).exists()).then(|| interpreter.to_owned())
}

/// The dynamic loader that a program names, if it is not there.
pub(super) fn loader(command: &OsStr) -> Option<String> {
    let path = loader_of(&begin(&file(command)?, HEADS)?)?;
    let path = Path::new(OsStr::from_bytes(&path)).to_owned();
    (!path.exists()).then(|| path.display().to_string())
}

/// The loader in the table of segments of a program: of ELF, of either word size and byte order.
fn loader_of(program: &[u8]) -> Option<Vec<u8>> {
    let [is_wide, is_big] = [program.get(4)? == &2, program.get(5)? == &2];
    let number = |at: usize, bytes: usize| -> Option<usize> {
        let bytes = program.get(at..at.checked_add(bytes)?)?;
        let join = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        let number = if is_big { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) };
        usize::try_from(number).ok()
    };
    let word = if is_wide { 8 } else { 4 };
    // Offsets in the header and in an entry of the table.
    let (table, size, count) = if is_wide { (32, 54, 56) } else { (28, 42, 44) };
    let (offset, length) = if is_wide { (8, 32) } else { (4, 16) };
    let (table, size, count) = (number(table, word)?, number(size, 2)?, number(count, 2)?);
    let mut entries = (0..program.starts_with(ELF).then_some(count)?).map(|at| table.saturating_add(at * size));
    let entry = entries.find(|entry| number(*entry, 4) == Some(INTERPRETER))?;
    let begin = number(entry.saturating_add(offset), word)?;
    let name = program.get(begin..begin.checked_add(number(entry.saturating_add(length), word)?)?)?;
    Some(name.split(|byte| *byte == 0).next()?.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program's header, a table of two segments, and the loader's name.
    fn program(is_wide: bool, is_big: bool) -> Vec<u8> {
        let name = b"/lib/ld-none.so\0";
        let mut bytes = vec![0; 256];
        let mut put = |at: usize, size: usize, number: u64| {
            let all = number.to_be_bytes();
            let number = &all[8 - size..];
            let number: Vec<u8> = if is_big { number.to_vec() } else { number.iter().rev().copied().collect() };
            bytes[at..at + size].copy_from_slice(&number);
        };
        let (word, entry) = if is_wide { (8, 56) } else { (4, 32) };
        let [table, size, count] = if is_wide { [32, 54, 56] } else { [28, 42, 44] };
        let (offset, length) = if is_wide { (8, 32) } else { (4, 16) };
        put(table, word, 64);
        put(size, 2, entry);
        put(count, 2, 2);
        let second = 64 + entry as usize;
        put(64, 4, 6);
        put(second, 4, INTERPRETER as u64);
        put(second + offset, word, 200);
        put(second + length, word, name.len() as u64);
        bytes[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 1 + u8::from(is_wide), 1 + u8::from(is_big)]);
        bytes[200..200 + name.len()].copy_from_slice(name);
        bytes
    }

    #[test]
    fn the_loader_of_a_program_is_found_and_no_cut_of_it_is_misread() {
        for (is_wide, is_big) in [(true, false), (true, true), (false, false), (false, true)] {
            let program = program(is_wide, is_big);
            assert_eq!(loader_of(&program).as_deref(), Some(&b"/lib/ld-none.so"[..]), "{is_wide} {is_big}");
            for end in 0..216 {
                assert_eq!(loader_of(&program[..end]), None, "{end}");
            }
            let other = [&b"MZ.."[..], &program[4..]].concat();
            assert_eq!(loader_of(&other), None);
        }
    }

    #[test]
    fn the_end_of_a_line_as_windows_writes_it_is_part_of_the_interpreter_s_name() {
        let folder = tempfile::tempdir().expect("a directory");
        let script = folder.path().join("script");
        for (line, missing) in [
            ("#!/bin/sh\r\n", Some("/bin/sh\r")),
            ("#! \t/bin/sh\r\n", Some("/bin/sh\r")),
            ("#!/bin/sh -x\r\n", None),
            ("#!/bin/sh\t\n", None),
        ] {
            std::fs::write(&script, line).expect("written");
            std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).expect("set");
            assert_eq!(interpreter(script.as_os_str()).as_deref(), missing, "{line:?}");
        }
    }
}
