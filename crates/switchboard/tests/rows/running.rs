//! The program with a service of rows, and how it is asked.

use super::common::{Program, poll, switchboard};
use serde_json::Value;
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A running program with a service of rows.
pub(crate) struct Rows {
    pub(crate) program: Program,
    pub(crate) address: String,
    pub(crate) directory: TempDir,
}

impl Rows {
    pub(crate) fn start(args: &[&str], key: &str) -> Rows {
        let mut command = switchboard(args);
        Rows::run(command.env_remove("DATABASE_URL"), key)
    }

    /// Its log is the file `log` of the directory.
    pub(crate) fn run(command: &mut Command, key: &str) -> Rows {
        let directory = tempfile::tempdir().expect("a directory");
        let ready = directory.path().join("ready.json");
        let log = File::create(directory.path().join("log")).expect("created");
        command.args(["--set", "rows.listen=127.0.0.1:0", "--data"]).arg(directory.path().join("data"));
        command.arg("--ready-file").arg(&ready).stderr(log);
        let program = Program::start(command).expect("it starts");
        let ready: Value = poll("it listens", || serde_json::from_str(&std::fs::read_to_string(&ready).ok()?).ok());
        let address = ready[key][0].as_str().unwrap_or_else(|| panic!("{ready}")).to_owned();
        Rows { program, address, directory }
    }

    /// Status and body.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).expect("it accepts");
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
        .expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("HTTP");
        (head[9..12].parse().expect("a status"), body.to_owned())
    }

    /// Waits for a line of the log with this text.
    pub(crate) fn logs(&self, part: &str) -> String {
        poll(part, || {
            let log = std::fs::read_to_string(self.directory.path().join("log")).ok()?;
            log.lines().find(|line| line.contains(part)).map(str::to_owned)
        })
    }

    /// Generous: a private PostgreSQL makes its data first, and writes all of it to the disk.
    pub(crate) fn until_ready(&self) {
        let begun = Instant::now();
        while self.ask("GET", "/readyz", "").0 != 200 {
            assert!(begun.elapsed() < Duration::from_secs(120), "{}", self.ask("GET", "/patron/1", "").1);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Returns the processes of this test's PostgreSQL.
    pub(crate) fn postgres(&self) -> Vec<String> {
        let name = self.directory.path().file_name().expect("a name").to_string_lossy().into_owned();
        let is_ours = |command: &String| command.contains("postgres") && command.contains(&name);
        processes().into_iter().filter(is_ours).collect()
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        // Before its directory goes.
        let _ = self.program.child.kill();
        let _ = self.program.child.wait();
        // PostgreSQL writes until it has ended.
        let begun = Instant::now();
        while !self.postgres().is_empty() && begun.elapsed() < Duration::from_secs(30) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let name = self.directory.path().file_name().expect("a name").to_string_lossy().into_owned();
        for entry in std::fs::read_dir("/var/lib/switchboard-root/rows").into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().contains(&name.replace('.', "%2E")) {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }
}

pub(crate) fn processes() -> Vec<String> {
    let entries = std::fs::read_dir("/proc").expect("a directory").flatten();
    let command = |path: &Path| std::fs::read(path.join("cmdline")).ok();
    let commands = entries.filter_map(|entry| command(&entry.path()));
    // A path may be percent-encoded in another.
    commands.map(|bytes| String::from_utf8_lossy(&bytes).replace('\0', " ").replace("%2E", ".")).collect()
}

pub(crate) fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
