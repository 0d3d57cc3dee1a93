//! The log of a service: it never blocks a task, whoever reads it or does not.

use crate::display;
use crate::output;
use anyhow::{Context, Result};
use std::ffi::OsStr;
use std::io::{IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::sync::OnceLock;
use std::time::Duration;
use tracing::{Event, Level, Subscriber};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::fmt::format::{Format, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

/// Lines that wait for the reader of the standard error; further ones are dropped and counted.
const BACKLOG: usize = 4096;

/// Time limit for the end of the log. The writer's own limits are 1.1 s together.
const END: Duration = Duration::from_secs(2);

/// Time between two looks at the count of dropped lines.
const PERIOD: Duration = Duration::from_secs(5);

/// The writer that notes share with the log, once a service has started one.
static WRITER: OnceLock<NonBlocking> = OnceLock::new();

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    pub(crate) const ALL: [LogFormat; 2] = [LogFormat::Text, LogFormat::Json];

    pub(crate) fn name(self) -> &'static str {
        match self {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        }
    }
}

/// Lines for people: where in the program a line comes from is of use below the level info only.
#[derive(Default)]
struct Lines(Format);

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, writer: Writer<'_>, event: &Event<'_>) -> std::fmt::Result {
        let has_target = *event.metadata().level() > Level::INFO;
        self.0.clone().with_target(has_target).format_event(context, writer, event)
    }
}

/// Whether this process logs as JSON: notes of a service are objects then, too.
static JSON: OnceLock<()> = OnceLock::new();

/// A note of a service as its log writes lines.
pub(crate) fn line(text: &str) -> String {
    if JSON.get().is_none() {
        return format!("{text}\n");
    }
    format!("{}\n", serde_json::json!({ "level": "INFO", "message": text, "target": "switchboard" }))
}

/// The log of this process. What waits is written when it is dropped, if somebody reads it.
pub(crate) struct Log {
    filter: reload::Handle<EnvFilter, Registry>,
    dropped: ErrorCounter,
    guard: Option<WorkerGuard>,
}

impl Drop for Log {
    fn drop(&mut self) {
        // The guard prints to the standard output where the writer does not answer: that may wait for a reader, too.
        let guard = self.guard.take();
        output::within(END, move || drop(guard));
    }
}

impl Log {
    /// Starts logging to the standard error, from `level` on. Once in a process.
    pub(crate) fn start(level: &str, format: LogFormat) -> Log {
        let (writer, guard) = NonBlockingBuilder::default()
            .lossy(true)
            .buffered_lines_limit(BACKLOG)
            .thread_name("log")
            .finish(std::io::stderr());
        let dropped = writer.error_counter();
        let (filter, handle) = reload::Layer::new(EnvFilter::new(level));
        let has_colors = has_colors(
            std::io::stderr().is_terminal() && display::has_cursor(),
            std::env::var_os("NO_COLOR").as_deref(),
        );
        let lines = fmt::layer().with_writer(writer.clone());
        let lines = match format {
            LogFormat::Text => lines.event_format(Lines::default()).with_ansi(has_colors).boxed(),
            LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
        };
        tracing_subscriber::registry().with(filter).with(lines).init();
        if format == LogFormat::Json {
            let _ = JSON.set(());
        }
        let _ = WRITER.set(writer);
        // The default hook writes to the standard error itself, and blocks where nobody reads that.
        std::panic::set_hook(Box::new(log_panic));
        Log { filter: handle, dropped, guard: Some(guard) }
    }

    /// Logs from `level` on from now on.
    pub(crate) fn set_level(&self, level: &str) -> Result<()> {
        self.filter.reload(EnvFilter::new(level)).context("cannot change the log level")
    }

    /// Says how many lines were dropped, for ever.
    pub(crate) async fn watch(&self) {
        let mut told = 0;
        let mut interval = tokio::time::interval(PERIOD);
        loop {
            interval.tick().await;
            let dropped = self.dropped.dropped_lines();
            if dropped > told {
                let lines = dropped - told;
                tracing::warn!(
                    "lines of the log that nobody read from the standard error, and that were dropped: {lines}"
                );
                told = dropped;
            }
        }
    }
}

/// Returns true if lines are colored. Any value of NO_COLOR but an empty one turns colors off: <https://no-color.org>.
fn has_colors(is_terminal: bool, no_color: Option<&OsStr>) -> bool {
    is_terminal && no_color.is_none_or(OsStr::is_empty)
}

/// The service's writer, if there is one.
pub(crate) fn writer() -> Option<NonBlocking> {
    WRITER.get().cloned()
}

fn log_panic(info: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("unnamed").to_owned();
    if let Some(mut writer) = writer() {
        let backtrace = std::backtrace::Backtrace::capture();
        let _ = writer.write_all(line(&format!("thread '{name}' {info}\n{backtrace}")).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::sync::Arc;

    #[test]
    fn a_line_names_its_place_in_the_program_below_the_level_info_only() {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let lines = fmt::layer().with_writer(Arc::new(writer)).event_format(Lines::default()).with_ansi(false);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
            tracing::error!("one");
            tracing::info!("two");
            tracing::debug!("three");
        });
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("text");
        let lines: Vec<&str> = text.lines().filter_map(|line| Some(line.split_once(' ')?.1.trim())).collect();
        assert_eq!(lines, ["ERROR one", "INFO two", &format!("DEBUG {}: three", module_path!())]);
    }

    #[test]
    fn lines_have_colors_at_a_terminal_only_and_not_where_they_are_turned_off() {
        assert!(has_colors(true, None) && has_colors(true, Some(OsStr::new(""))));
        for off in ["1", "0", "false"] {
            assert!(!has_colors(true, Some(OsStr::new(off))), "{off}");
        }
        assert!(!has_colors(false, None) && !has_colors(false, Some(OsStr::new(""))));
    }
}
