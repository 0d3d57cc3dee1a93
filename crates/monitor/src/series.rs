//! A series of the chart: one process, or one after the other under the same name.

use crate::collector::{Leak, Skew};
use crate::point::SeriesId;
use crate::{Millis, Sample};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt::Write;

/// The labels of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Labels {
    pub(crate) color: Option<String>,
    pub(crate) service: Option<String>,
    pub(crate) instance: Option<String>,
    pub(crate) pid: Option<u32>,
    pub(crate) host: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) started: Option<Millis>,
    pub(crate) ncpu: Option<u32>,
}

/// The part of a series on the disk, beside its points.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SeriesMeta {
    pub(crate) id: SeriesId,
    pub(crate) name: String,
    /// The key that it is found by.
    pub(crate) key: String,
    pub(crate) first: Millis,
    pub(crate) ended: Option<i32>,
    #[serde(flatten)]
    pub(crate) labels: Labels,
}

impl SeriesMeta {
    /// A series that has a past and no name. Its past is shown; nothing is ever added to it.
    pub(crate) fn unnamed(id: SeriesId, first: Millis) -> SeriesMeta {
        SeriesMeta {
            id,
            name: format!("unnamed {id}"),
            // No sample has a key like this.
            key: format!("\0{id}"),
            first,
            // Nobody waits for it.
            ended: Some(0),
            labels: Labels::default(),
        }
    }
}

/// Whether a process reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// It does.
    Live,
    /// It does not, and should.
    Silent,
    /// Its final report came, or it was silent for long.
    Gone,
}

#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) meta: SeriesMeta,
    pub(crate) state: State,
    /// The latest of its samples' times.
    pub(crate) last: Millis,
    /// When the latest arrived, by the collector's clock.
    pub(crate) arrived: Millis,
    /// CPU and memory of that sample.
    pub(crate) usage: Option<(f64, f64)>,
    /// Its process before this one, and until when.
    pub(crate) before: Option<(Option<u32>, Millis)>,
    /// Samples in this run.
    pub(crate) samples: u64,
    pub(crate) leak: Leak,
    pub(crate) skew: Skew,
    /// The beginning of its events: the labels as JSON.
    pub(crate) prefix: String,
}

impl Series {
    pub(crate) fn new(meta: SeriesMeta, last: Millis, arrived: Millis, state: State) -> Series {
        let prefix = prefix(&meta);
        let leak = Leak::new(meta.labels.started.unwrap_or(meta.first));
        Series {
            meta,
            state,
            last,
            arrived,
            usage: None,
            before: None,
            samples: 0,
            leak,
            skew: Skew::default(),
            prefix,
        }
    }

    /// Takes over what the sample says; whether that is news.
    pub(crate) fn learn(&mut self, sample: &Sample<'_>) -> bool {
        let labels = &mut self.meta.labels;
        let mut news = false;
        let texts = [
            (&mut labels.color, &sample.color),
            (&mut labels.service, &sample.service),
            (&mut labels.instance, &sample.instance),
            (&mut labels.host, &sample.host),
            (&mut labels.version, &sample.version),
        ];
        for (known, said) in texts {
            news |= learn(known, said.as_ref().map(Cow::as_ref), |known, said| known == said, str::to_owned);
        }
        news |= learn(&mut labels.pid, sample.pid, |known, said| *known == said, |said| said);
        news |= learn(&mut labels.ncpu, sample.ncpu, |known, said| *known == said, |said| said);
        // A start is reckoned from the age of a process, and so is never twice the same.
        let near = |known: &Millis, said: Millis| said.since(*known).abs() <= 2000;
        news |= learn(&mut labels.started, sample.started, near, |said| said);
        if news {
            self.prefix = prefix(&self.meta);
        }
        news
    }
}

fn learn<T, S: Copy>(known: &mut Option<T>, said: Option<S>, same: fn(&T, S) -> bool, own: fn(S) -> T) -> bool {
    let Some(said) = said else { return false };
    let news = !known.as_ref().is_some_and(|known| same(known, said));
    if news {
        *known = Some(own(said));
    }
    news
}

fn prefix(meta: &SeriesMeta) -> String {
    let Labels { color, service, instance, pid, host, version, started, ncpu } = &meta.labels;
    let mut json = format!("{{\"id\":{},\"color\":{}", meta.id, text(color.as_deref().unwrap_or(&meta.name)));
    for (name, value) in [("service", service), ("instance", instance), ("host", host), ("version", version)] {
        if let Some(value) = value {
            // Writing to a string does not fail.
            let _ = write!(json, ",\"{name}\":{}", text(value));
        }
    }
    let numbers = [("pid", pid.map(i64::from)), ("started", started.map(|time| time.0)), ("ncpu", ncpu.map(i64::from))];
    for (name, value) in numbers {
        if let Some(value) = value {
            let _ = write!(json, ",\"{name}\":{value}");
        }
    }
    json.push_str(",\"timestamp\":\"");
    json
}

fn text(text: &str) -> serde_json::Value {
    text.into()
}
