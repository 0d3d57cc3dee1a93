//! The thread that writes.

use super::HistorySettings;
use super::jsonl::JsonLines;
use super::store::{Shared, Store};
use crate::Millis;
use crate::annotation::Annotation;
use crate::point::{Point, SeriesId};
use std::cell::Cell;
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Instant;

/// What the writer is asked to do.
#[derive(Debug)]
pub(super) enum Order {
    Points(Vec<Point>),
    Names(Vec<(SeriesId, String)>),
    Annotations(Vec<Annotation>),
    /// Write everything, and end.
    Stop,
}

#[derive(Debug)]
pub(super) struct Writer {
    store: Store,
    names: JsonLines,
    annotations: JsonLines,
    next_annotation: u64,
    shared: Arc<Shared>,
    /// One process at a time; the system unlocks it with the process's end.
    _lock: File,
}

impl Writer {
    /// Also what is kept of names and annotations.
    pub(super) fn open(
        directory: &Path,
        settings: HistorySettings,
        shared: Arc<Shared>,
        now: Millis,
    ) -> io::Result<(Writer, Vec<String>, VecDeque<Annotation>)> {
        // What runs here is nobody else's business.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let lock = File::create(directory.join("lock"))?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => {
                io::Error::new(io::ErrorKind::ResourceBusy, "another collector uses this directory")
            }
            fs::TryLockError::Error(error) => error,
        })?;
        let names = JsonLines::open(&directory.join("names.jsonl"), usize::MAX, |line| {
            serde_json::from_str::<serde_json::Value>(line).ok()?.get("id")?.as_u64()
        })?;
        let count = Cell::new(0);
        let annotations = JsonLines::open(&directory.join("annotations.jsonl"), settings.annotations, |line| {
            serde_json::from_str::<Annotation>(line).ok()?;
            Some(count.replace(count.get() + 1))
        })?;
        let kept_names = names.latest().into_iter().map(str::to_owned).collect();
        let kept_annotations: Vec<Annotation> =
            annotations.latest().into_iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let newest = kept_annotations.len().saturating_sub(settings.annotations);
        let kept_annotations = kept_annotations.into_iter().skip(newest).collect();
        let store = Store::open(directory, settings, shared.clone(), now)?;
        let writer = Writer { store, names, annotations, next_annotation: count.get(), shared, _lock: lock };
        Ok((writer, kept_names, kept_annotations))
    }

    /// Writes until it is told to stop, or nobody is left who could tell it.
    pub(super) fn run(mut self, orders: &Receiver<Order>, waiting: &AtomicUsize) {
        let (flush, checkpoint) = (self.store.settings.flush, self.store.settings.checkpoint);
        let (mut flushed, mut checked) = (Instant::now(), Instant::now());
        loop {
            match orders.recv_timeout(flush.saturating_sub(flushed.elapsed())) {
                Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(order) => {
                    if let Order::Points(points) = &order {
                        waiting.fetch_sub(points.len(), Ordering::Relaxed);
                    }
                    self.take(order);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if flushed.elapsed() >= flush {
                flushed = Instant::now();
                let result = self.store.flush();
                self.noted("journal", result);
            }
            // A checkpoint that failed waits for the next flush, not for ten minutes.
            if checked.elapsed() >= checkpoint || self.store.is_full() && flushed.elapsed() < flush {
                let result = self.store.checkpoint(Millis::now());
                if self.noted("blocks", result) {
                    checked = Instant::now();
                }
            }
        }
        let result = self.store.checkpoint(Millis::now());
        self.noted("blocks", result);
    }

    fn take(&mut self, order: Order) {
        let result = match order {
            Order::Points(points) => {
                self.store.add(points);
                Ok(())
            }
            Order::Names(names) => self.names.append(names.into_iter().map(|(series, text)| (series.into(), text))),
            Order::Annotations(annotations) => {
                let first = self.next_annotation;
                self.next_annotation += annotations.len() as u64;
                let texts = annotations.iter().filter_map(|annotation| serde_json::to_string(annotation).ok());
                self.annotations.append((first..).zip(texts))
            }
            Order::Stop => Ok(()),
        };
        self.noted("names and annotations", result);
    }

    fn noted(&self, what: &str, result: io::Result<()>) -> bool {
        if let Err(error) = &result {
            self.shared.lock().counts.failed += 1;
            tracing::error!("cannot write the history's {what} in {}: {error}", self.store.directory.display());
        }
        result.is_ok()
    }
}
