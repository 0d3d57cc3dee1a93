//! The collectors that are compared, each a process of its own.

use anyhow::{Context, Result, bail};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Time limit for a start.
const START: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Switchboard,
    Textbook,
}

/// One that listens; it ends with this.
pub(crate) struct Collector {
    process: Child,
    pub(crate) endpoint: String,
    pub(crate) page: String,
    _data: TempDir,
}

impl Collector {
    pub(crate) fn start(kind: Kind, program: &Path) -> Result<Collector> {
        let data = tempfile::tempdir()?;
        let (collect, page) = (free_port()?, free_port()?);
        let (endpoint, page_address) = (format!("tcp://127.0.0.1:{collect}"), format!("127.0.0.1:{page}"));
        let mut command = match kind {
            Kind::Switchboard => {
                let mut command = Command::new(program);
                command.args(["monitor", "--collect", &endpoint, "--listen", &page_address, "--log", "warn", "--data"]);
                command.arg(data.path());
                // The rate is what is measured; a page that is measured must not miss anything, and hear nothing else.
                command.args([
                    "--set",
                    "monitor.rate=100000000",
                    "--set",
                    "monitor.feed=64MiB",
                    "--set",
                    "monitor.report-as=",
                ]);
                command
            }
            Kind::Textbook => {
                let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("textbook.py");
                let mut command = Command::new("python3");
                command.arg("-B").arg(script).args([&endpoint, &page.to_string()]);
                command
            }
        };
        let process = command.stdout(Stdio::null()).spawn().with_context(|| format!("cannot start {kind:?}"))?;
        let mut collector = Collector { process, endpoint, page: page_address, _data: data };
        let began = Instant::now();
        while TcpStream::connect(&collector.page).is_err() {
            if let Some(status) = collector.process.try_wait()? {
                bail!("{kind:?} ended, {status}; the typical collector in Python needs: pip install pyzmq aiohttp");
            }
            if began.elapsed() > START {
                bail!("{kind:?} does not listen within {} s", START.as_secs());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(collector)
    }

    /// It counts what it takes, and what the disk was too slow for.
    pub(crate) fn has_taken(&self, samples: usize) -> Result<()> {
        let mut stream = TcpStream::connect(&self.page)?;
        stream.write_all(b"GET /api/self HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, body) = answer.split_once("\r\n\r\n").context("an answer")?;
        let own: serde_json::Value = serde_json::from_str(body)?;
        if own["accepted"] != samples || own["dropped"] != 0 {
            bail!("of {samples}: {own}");
        }
        Ok(())
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
