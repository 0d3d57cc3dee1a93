//! A process reports itself.
//!
//! ```no_run
//! use switchboard_monitor::own;
//! use switchboard_monitor::report::Options;
//!
//! let reporting = own::report(&Options { service: Some("orders".into()), ..Options::default() })?;
//! // ... the program does its work ...
//! reporting.end(0);
//! # Ok::<(), switchboard_monitor::report::Error>(())
//! ```

use crate::process::Process;
use crate::report::{Error, Identity, Options, Reporting};
use crate::usage::{MB, Meter, Usage};
use std::io;
use std::time::Instant;

/// Measures this process: all of its threads, none of its children.
#[derive(Debug)]
pub struct Own {
    process: Process,
    meter: Meter,
}

impl Own {
    /// Counts from here on.
    ///
    /// # Errors
    ///
    /// There is no /proc, or it cannot be read.
    pub fn new() -> io::Result<Own> {
        let process = Process::open(std::process::id().cast_signed())?;
        let meter = Meter::new(Instant::now(), process.stat()?.own);
        Ok(Own { process, meter })
    }

    /// Returns the usage since the last call, or since [`Own::new`]. It takes some microseconds.
    pub fn sample(&mut self) -> Usage {
        let stat = self.process.stat().unwrap_or_default();
        Usage { cpu: self.meter.cpu(Instant::now(), stat.own), mem: stat.resident as f64 / MB }
    }
}

/// Reports this process once a second from now on: on the tokio runtime that it is called in, else on
/// a thread that all such libraries share. The program is never held up: where the collector is away,
/// reports wait (up to `backlog`), and then the oldest are dropped and counted.
///
/// # Errors
///
/// The options make no sense, this process cannot be measured, or a thread cannot be started. That the
/// collector is not there is no error.
pub fn report(options: &Options) -> Result<Reporting, Error> {
    let mut own = Own::new().map_err(|source| Error::Unmeasured { what: "this process".into(), source })?;
    let name = std::env::current_exe().ok().and_then(|path| Some(path.file_stem()?.to_string_lossy().into_owned()));
    let identity = Identity::of(std::process::id(), &name.unwrap_or_else(|| "process".into()), options);
    Reporting::start(identity, options, Box::new(move || Some(own.sample())))
}
