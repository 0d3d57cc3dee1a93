//! Pages that count the samples that they hear.

use anyhow::{Context, Result, bail};
use memchr::memmem;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Silence after which the rest is taken for lost.
const QUIET: Duration = Duration::from_secs(20);

pub(crate) struct Page(JoinHandle<Result<Instant>>);

impl Page {
    /// Listens, and counts up to so many samples.
    pub(crate) fn open(address: &str, samples: usize) -> Result<Page> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(QUIET))?;
        write!(stream, "GET /feed HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).context("an answer")?;
            head.push(byte[0]);
        }
        if !head.starts_with(b"HTTP/1.1 200") {
            bail!("{}", String::from_utf8_lossy(&head));
        }
        Ok(Page(std::thread::spawn(move || count(stream, samples))))
    }

    /// When it had heard all of them.
    pub(crate) fn end(self) -> Result<Instant> {
        self.0.join().map_err(|_| anyhow::anyhow!("a page has panicked"))?
    }
}

/// Each sample has one key that is called so; it has no other meaning in either stream.
fn count(mut stream: TcpStream, samples: usize) -> Result<Instant> {
    const KEY: &[u8] = b"\"color\"";
    let mut heard = 0;
    let mut buffer = vec![0; 1 << 20];
    let mut kept = 0;
    while heard < samples {
        let read = match stream.read(&mut buffer[kept..]) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            read => read.with_context(|| format!("after {heard} of {samples}"))?,
        };
        if read == 0 {
            bail!("the stream ended after {heard} of {samples}");
        }
        let end = kept + read;
        heard += memmem::find_iter(&buffer[..end], KEY).count();
        if memmem::find(&buffer[..end], b"event: missed").is_some() {
            bail!("events were missed after {heard} of {samples}");
        }
        // One may go over the end.
        kept = (KEY.len() - 1).min(end);
        buffer.copy_within(end - kept..end, 0);
    }
    if heard > samples {
        bail!("{heard} of {samples} samples: some came twice");
    }
    Ok(Instant::now())
}
