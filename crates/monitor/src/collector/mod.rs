//! The rules: what a sample does to the series, and what time does. No I/O and no clock: time is an
//! argument, and what is to be stored or published is collected in [`Effects`].

mod clock;
mod counts;
mod leak;
mod names;
mod restore;
mod room;
mod skew;
#[cfg(test)]
mod tests;

pub(crate) use counts::Counts;
pub use counts::Source;
pub(crate) use leak::Leak;
pub(crate) use restore::Earlier;
pub(crate) use skew::Skew;

use crate::annotation::{Annotation, AnnotationKind};
use crate::point::{CPU, MEM, Point, Row, SeriesId};
use crate::series::{Labels, Series, SeriesMeta, State};
use crate::time::millis;
use crate::{Millis, Refusal, Sample};
use leak::Verdict;
use names::{Found, Names, away, call, compose};
use std::fmt::Write;
use std::time::Duration;

/// Seconds for which a series must have been there: one of less makes room first, and is not found again after that.
const BRIEF: u32 = 60;

/// The bounds of what a collector takes, and when it raises an alarm.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// The longest message, in bytes; default 4 KiB.
    pub message: usize,
    /// Maximum number of known series; default 10,000. At that, the one that is gone for longest makes room.
    pub series: usize,
    /// New processes a second, after ten times as many at once; default 100.
    pub series_rate: u32,
    /// Maximum age of a sample; default 14 days.
    pub keep: Duration,
    /// Time by which a sample may be ahead of the collector's clock before the collector's time is used instead; default 5 s.
    pub clock_tolerance: Duration,
    /// After how long without a sample a process is silent, and a hole is a gap; default 10 s.
    pub silent: Duration,
    /// After how long a silent process is gone; default 1 h.
    pub gone: Duration,
    /// From what growth on memory leaks, in MB an hour; default 10.
    pub leak: f64,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            message: 4096,
            series: 10_000,
            series_rate: 100,
            keep: Duration::from_secs(14 * 86_400),
            clock_tolerance: Duration::from_secs(5),
            silent: Duration::from_secs(10),
            gone: Duration::from_secs(3600),
            leak: 10.0,
        }
    }
}

/// Effects that are to be carried out now.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// To be stored.
    pub(crate) points: Vec<Point>,
    /// To be stored before the points; an empty text removes a name.
    pub(crate) names: Vec<(SeriesId, String)>,
    /// To be stored, and delivered if they are alerts; with the name of the process.
    pub(crate) annotations: Vec<(Annotation, String)>,
    /// To be published: Server-Sent Events.
    pub(crate) events: Vec<u8>,
    /// Their number.
    pub(crate) count: u64,
}

/// All series.
#[derive(Debug)]
pub(crate) struct Collector {
    rules: Rules,
    pub(crate) series: Vec<Series>,
    pub(crate) counts: Counts,
    names: Names,
    next: SeriesId,
    /// Tokens for new series, and when they were last refilled.
    tokens: (f64, Millis),
    /// When something happened last, by the collector's clock.
    observed: Millis,
    effects: Effects,
    /// The prefix of events' numbers: they are of this run.
    epoch: String,
    /// The number of the next event.
    pub(crate) sequence: u64,
    key: String,
}

impl Collector {
    /// Takes one message: a JSON object.
    pub(crate) fn ingest(&mut self, bytes: &[u8], source: Source, now: Millis) -> Result<(), Refusal> {
        self.take(Sample::read(bytes, self.rules.message), source, now)
    }

    /// Counts messages that nobody has looked at.
    pub(crate) fn skip(&mut self, count: u64, source: Source) {
        self.counts.received[source as usize] += count;
        self.counts.refused[Refusal::Skipped.index()] += count;
    }

    /// Takes a sample, or counts why it is none.
    pub(crate) fn take(
        &mut self,
        sample: Result<Sample<'_>, Refusal>,
        source: Source,
        now: Millis,
    ) -> Result<(), Refusal> {
        self.observe(now);
        self.counts.received[source as usize] += 1;
        let result = sample.and_then(|sample| self.accept(sample, now));
        match &result {
            Ok(()) => self.counts.accepted += 1,
            Err(refusal) => self.counts.refused[refusal.index()] += 1,
        }
        result
    }

    /// Takes the effects to be carried out.
    pub(crate) fn effects(&mut self) -> Effects {
        std::mem::take(&mut self.effects)
    }

    /// Returns the prefix of events' numbers.
    pub(crate) fn epoch(&self) -> &str {
        &self.epoch
    }

    fn accept(&mut self, mut sample: Sample<'_>, now: Millis) -> Result<(), Refusal> {
        let age = now.since(sample.time);
        let keep = millis(self.rules.keep);
        if age > keep {
            return Err(Refusal::Old { seconds: age / 1000, limit: keep / 1000 });
        }
        let is_ahead = -age > millis(self.rules.clock_tolerance);
        if is_ahead {
            self.counts.ahead += 1;
            sample.time = now;
        }
        compose(&sample, &mut self.key);
        let (place, is) = match self.find(&sample) {
            Found::Same(place) => (place, Is::Next),
            Found::Late(place) => (place, Is::Late),
            Found::Restart(place) => {
                self.restart(place, &sample);
                (place, Is::First)
            }
            Found::Nowhere => (self.begin(&sample, now)?, Is::First),
        };
        self.counts.lag(now.since(sample.time));
        if self.series[place].skew.arrive(age, sample.has_zone, now) {
            let text = self.series[place].skew.text().unwrap_or_default();
            self.annotate(place, now, AnnotationKind::Clock, text);
        }
        self.extend(place, &sample, now, is);
        Ok(())
    }

    fn restart(&mut self, place: usize, sample: &Sample<'_>) {
        let series = &mut self.series[place];
        let was = series.meta.labels.pid;
        let pids = match (was, sample.pid) {
            (Some(was), Some(is)) if was != is => format!(" (PID {was} -> {is})"),
            _ => String::new(),
        };
        let text = format!("restarted after {}{pids}", away(series.last, sample.time));
        let leaked = series.leak.alarm.is_some();
        series.before = Some((was, series.last));
        series.meta.ended = None;
        series.leak = Leak::new(sample.started.unwrap_or(sample.time).min(sample.time));
        // That of the one before; the new one may not say it.
        series.meta.labels.started = None;
        self.annotate(place, sample.time, AnnotationKind::Restart, text);
        if leaked {
            let text = format!("memory of {} no longer grows: it was restarted", self.series[place].meta.name);
            self.annotate(place, sample.time, AnnotationKind::LeakOver, text);
        }
    }

    fn begin(&mut self, sample: &Sample<'_>, now: Millis) -> Result<usize, Refusal> {
        let rate = f64::from(self.rules.series_rate);
        let (tokens, reckoned) = self.tokens;
        let tokens = (tokens + rate * now.since(reckoned).max(0) as f64 / 1000.0).min(rate * 10.0);
        self.tokens = (tokens, now);
        if tokens < 1.0 {
            return Err(Refusal::SeriesRate { limit: self.rules.series_rate });
        }
        let free = if self.series.len() < self.rules.series { None } else { Some(self.make_room()?) };
        self.tokens.0 -= 1.0;
        let group = self.names.entry(self.key.clone()).or_default();
        let known = SeriesMeta {
            id: self.next,
            name: call(sample, group.places.len()),
            key: self.key.clone(),
            first: sample.time,
            ended: None,
            labels: Labels { started: sample.started.map(|started| started.min(sample.time)), ..Labels::default() },
        };
        self.next += 1;
        let series = Series::new(known, sample.time, now, State::Live);
        let place = free.unwrap_or(self.series.len());
        group.places.push(place);
        if place == self.series.len() {
            self.series.push(series);
        } else {
            self.series[place] = series;
        }
        Ok(place)
    }

    fn extend(&mut self, place: usize, sample: &Sample<'_>, now: Millis, is: Is) {
        let series = &mut self.series[place];
        let (first, last, late) = (series.samples == 0, series.last, is == Is::Late);
        series.samples += 1;
        let mut news = !late && series.learn(sample);
        series.last = last.max(sample.time);
        // Not written for that alone: after a restart the files say it.
        series.meta.first = series.meta.first.min(sample.time);
        let id = series.meta.id;
        series.arrived = now;
        let mut annotations = Vec::new();
        if !first || series.meta.first < last {
            let hole = sample.time.since(last);
            // A restart says more than the gap that it makes.
            if hole > millis(self.rules.silent) && is != Is::First {
                annotations.push((
                    sample.time,
                    AnnotationKind::Gap,
                    format!("nothing for {}", away(last, sample.time)),
                ));
            } else if hole < 0 {
                self.counts.backwards += 1;
            } else if sample.time.second() == last.second() && !first {
                self.counts.same_second += 1;
            }
        }
        if series.state == State::Silent {
            annotations.push((now, AnnotationKind::Back, format!("{} reports again", series.meta.name)));
        }
        if !late {
            series.state = if sample.ended.is_some() { State::Gone } else { State::Live };
            if series.meta.ended != sample.ended {
                series.meta.ended = sample.ended;
                news = true;
                if let Some(code) = sample.ended {
                    annotations.push((sample.time, AnnotationKind::Ended, format!("ended with exit code {code}")));
                }
            }
        }
        if sample.time >= last {
            series.usage = Some((sample.cpu, sample.mem));
            match series.leak.sample(sample.time, sample.mem, self.rules.leak) {
                Some(Verdict::Leaks(growth)) => {
                    let text = format!("memory of {} grows by {growth:.0} MB an hour", series.meta.name);
                    annotations.push((sample.time, AnnotationKind::Leak, text));
                }
                Some(Verdict::Over) => {
                    let text = format!("memory of {} no longer grows", series.meta.name);
                    annotations.push((sample.time, AnnotationKind::LeakOver, text));
                }
                None => {}
            }
        }
        if news {
            self.effects.names.extend(serde_json::to_string(&series.meta).ok().map(|json| (id, json)));
        }
        let row = Row { second: sample.time.second(), cpu: CPU.code(sample.cpu), mem: MEM.code(sample.mem) };
        self.effects.points.push(Point { series: id, row });
        self.publish(place, sample);
        for (time, kind, text) in annotations {
            self.annotate(place, time, kind, text);
        }
    }

    fn publish(&mut self, place: usize, sample: &Sample<'_>) {
        let (epoch, sequence, prefix) = (&self.epoch, self.sequence, &self.series[place].prefix);
        let ended = sample.ended.map_or_else(String::new, |code| format!(",\"ended\":{code}"));
        let events = &mut self.effects.events;
        // Writing to a vector does not fail.
        let _ = std::io::Write::write_fmt(
            events,
            format_args!(
                "id: {epoch}-{sequence}\ndata: {prefix}{}\",\"cpu\":{:?},\"mem\":{:?}{ended}}}\n\n",
                sample.time, sample.cpu, sample.mem
            ),
        );
        self.sequence += 1;
        self.effects.count += 1;
    }

    fn annotate(&mut self, place: usize, time: Millis, kind: AnnotationKind, text: String) {
        let known = &self.series[place].meta;
        let annotation = Annotation { time, id: known.id, kind, text };
        let json = serde_json::to_string(&annotation).unwrap_or_default();
        let mut event = String::new();
        let _ = write!(event, "id: {}-{}\nevent: annotation\ndata: {json}\n\n", self.epoch, self.sequence);
        self.effects.events.extend(event.into_bytes());
        self.sequence += 1;
        self.effects.count += 1;
        self.effects.annotations.push((annotation, known.name.clone()));
    }

    /// Time passes: to be called once a second.
    pub(crate) fn tick(&mut self, now: Millis) {
        self.observe(now);
        for place in 0..self.series.len() {
            let series = &mut self.series[place];
            let quiet = now.since(series.arrived);
            if series.state == State::Live && quiet > millis(self.rules.silent) {
                series.state = State::Silent;
                let text = format!("{} is silent: nothing for {}", series.meta.name, away(series.arrived, now));
                self.annotate(place, now, AnnotationKind::Silent, text);
            } else if series.state == State::Silent && quiet > millis(self.rules.gone) {
                series.state = State::Gone;
            }
        }
    }
}

/// The relation of a sample to its series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Is {
    /// The first of a process.
    First,
    Next,
    /// Of the process that the series was before.
    Late,
}
