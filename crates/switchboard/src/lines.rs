//! The lines of a stream, read by a thread of its own.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use switchboard_driver::start_thread;
use tokio::sync::mpsc;

/// The longest line, in bytes. A stream without line ends must not take all memory.
const LONGEST: usize = 256 << 20;
/// Size of one read.
const CHUNK: usize = 64 << 10;
/// Chunks that may wait.
const AHEAD: usize = 4;

/// Lines in the order in which they came.
pub(crate) struct Lines {
    chunks: mpsc::Receiver<io::Result<Vec<Vec<u8>>>>,
    chunk: std::vec::IntoIter<Vec<u8>>,
}

impl Lines {
    /// The lines of the standard input. A read of it cannot be interrupted, so nothing may wait for the thread that reads.
    pub(crate) fn of_stdin() -> io::Result<Lines> {
        let (give, chunks) = mpsc::channel(AHEAD);
        start_thread("input", move || {
            let read = read(io::stdin().lock(), LONGEST, |lines| give.blocking_send(Ok(lines)).is_ok());
            if let Err(error) = read {
                let error = io::Error::new(error.kind(), format!("cannot read the standard input: {error}"));
                let _ = give.blocking_send(Err(error));
            }
        })?;
        Ok(Lines { chunks, chunk: Vec::new().into_iter() })
    }

    /// The next line if it has been read; `None` if it has not, or there is none.
    pub(crate) fn try_next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(line) = self.chunk.next() {
                return Ok(Some(line));
            }
            match self.chunks.try_recv() {
                Ok(chunk) => self.chunk = chunk?.into_iter(),
                Err(_) => return Ok(None),
            }
        }
    }

    /// The next line; `None` at the end.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(line) = self.try_next()? {
                return Ok(Some(line));
            }
            match self.chunks.recv().await {
                Some(chunk) => self.chunk = chunk?.into_iter(),
                None => return Ok(None),
            }
        }
    }
}

/// Gives the lines of each read together, without their line feeds, until `give` returns false. A last line needs none.
fn read(input: impl Read, longest: usize, mut give: impl FnMut(Vec<Vec<u8>>) -> bool) -> io::Result<()> {
    let mut input = BufReader::with_capacity(CHUNK, input);
    let (mut lines, mut count) = (Vec::new(), 0u64);
    loop {
        let mut line = Vec::new();
        let read = (&mut input).take(longest as u64 + 1).read_until(b'\n', &mut line);
        let at_end = match read {
            Ok(bytes) => bytes == 0,
            Err(error) => {
                give(lines);
                return Err(error);
            }
        };
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        if line.len() > longest {
            give(lines);
            let text = format!("line {} is longer than {longest} bytes, the longest that is read", count + 1);
            return Err(io::Error::new(ErrorKind::InvalidData, text));
        }
        if !at_end {
            lines.push(line);
            count += 1;
        }
        // The next line may be long in coming.
        if at_end || !input.buffer().contains(&b'\n') {
            if !lines.is_empty() && !give(std::mem::take(&mut lines)) {
                return Ok(());
            }
            if at_end {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[u8], longest: usize) -> (Vec<Vec<u8>>, Option<String>) {
        let mut all = Vec::new();
        let result = read(input, longest, |lines| {
            all.extend(lines);
            true
        });
        (all, result.err().map(|error| error.to_string()))
    }

    #[test]
    fn every_line_is_a_message_the_empty_ones_and_the_last_too() {
        for (input, expected) in [
            (&b""[..], &[][..]),
            (b"\n", &[&b""[..]]),
            (b"one", &[b"one"]),
            (b"one\n", &[b"one"]),
            (b"\n\none\n\nlast", &[b"", b"", b"one", b"", b"last"]),
            (b"a\r\n\0\xff\n", &[b"a\r", b"\0\xff"]),
        ] {
            assert_eq!(lines(input, 10), (expected.iter().map(|line| line.to_vec()).collect(), None));
        }
    }

    #[test]
    fn a_line_at_the_limit_is_whole_and_one_above_it_is_an_error_after_those_before() {
        for end in ["", "\n", "\nmore"] {
            let at = format!("first\n{}{end}", "x".repeat(10));
            assert!(lines(at.as_bytes(), 10).1.is_none());
            let above = format!("first\n{}{end}", "x".repeat(11));
            let (before, error) = lines(above.as_bytes(), 10);
            assert_eq!(before, [b"first"]);
            assert_eq!(error.as_deref(), Some("line 2 is longer than 10 bytes, the longest that is read"));
        }
    }

    #[test]
    fn what_was_read_is_given_before_the_next_read() {
        struct Steps(Vec<&'static [u8]>);
        impl Read for Steps {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let Some(step) = (!self.0.is_empty()).then(|| self.0.remove(0)) else { return Ok(0) };
                buffer[..step.len()].copy_from_slice(step);
                Ok(step.len())
            }
        }
        let mut given = Vec::new();
        read(Steps(vec![b"a\nb\n", b"c", b"d\ne\n"]), 10, |lines| {
            given.push(lines.len());
            true
        })
        .unwrap();
        assert_eq!(given, [2, 2]);
    }
}
