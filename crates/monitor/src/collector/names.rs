//! Which series a sample belongs to.
//!
//! A process is known by its `service`, `instance` and `host`; one without a service by its `color` and
//! `host`, as a typical sender is. A new process under a known name is a restart, and continues
//! its series, unless the one before is known to live: because its samples still come, or since the new one
//! was started before the last of them. Then both have a series.

use super::Collector;
use crate::series::{Series, State};
use crate::{Millis, Sample};
use std::collections::HashMap;

/// Maximum difference of the clocks of two processes on one machine, in milliseconds.
const SLACK: i64 = 1000;

/// The series of one name, by their places.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) places: Vec<usize>,
    /// Several processes have had this name at once.
    pub(super) shared: bool,
}

pub(super) type Names = HashMap<String, Group>;

/// The relation of a sample to the known series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It is the next of this series.
    Same(usize),
    /// It is of the process that this series was before.
    Late(usize),
    /// It is the first of a new process on this series.
    Restart(usize),
    /// It has no series yet.
    Nowhere,
}

/// The name as a key, into `key`.
pub(super) fn compose(sample: &Sample<'_>, key: &mut String) {
    key.clear();
    let [color, service, instance, host] =
        [&sample.color, &sample.service, &sample.instance, &sample.host].map(|text| text.as_deref().unwrap_or(""));
    let parts = if service.is_empty() { ["c", color, "", host] } else { ["s", service, instance, host] };
    for part in parts {
        // JSON can say the separator, too.
        part.split('\0').for_each(|part| key.push_str(part));
        key.push('\0');
    }
}

impl Collector {
    pub(super) fn find(&mut self, sample: &Sample<'_>) -> Found {
        let Some(group) = self.names.get_mut(self.key.as_str()) else { return Found::Nowhere };
        if let Some(place) = find(&self.series, group, |series| is_same(series, sample)) {
            return Found::Same(place);
        }
        let was = |series: &Series| series.before.filter(|(pid, _)| *pid == sample.pid).map(|(_, until)| until);
        if let Some(place) = find(&self.series, group, |series| was(series).is_some_and(|until| sample.time <= until)) {
            return Found::Late(place);
        }
        // The one before is still there: it was no restart.
        group.shared |= find(&self.series, group, |series| sample.pid.is_some() && was(series).is_some()).is_some();
        let shared = group.shared;
        match find(&self.series, group, |series| may_follow(series, sample, shared)) {
            Some(place) => Found::Restart(place),
            None => Found::Nowhere,
        }
    }
}

fn find(series: &[Series], group: &Group, is: impl Fn(&Series) -> bool) -> Option<usize> {
    group.places.iter().copied().find(|place| is(&series[*place]))
}

fn is_same(series: &Series, sample: &Sample<'_>) -> bool {
    let labels = &series.meta.labels;
    let pid = labels.pid.is_none() || sample.pid.is_none() || labels.pid == sample.pid;
    let started = match (labels.started, sample.started) {
        (Some(known), Some(said)) => said.since(known).abs() <= 2 * SLACK,
        _ => true,
    };
    // A sample after an announced end is of another process.
    let is_over = series.meta.ended.is_some() && sample.ended.is_none() && sample.time > series.last;
    pid && started && !is_over
}

fn may_follow(series: &Series, sample: &Sample<'_>, shared: bool) -> bool {
    let over = series.meta.ended.is_some() || series.state != State::Live;
    over || match sample.started {
        Some(started) => started.since(series.last) >= -SLACK,
        None => !shared,
    }
}

/// Returns its name for people.
pub(super) fn call(sample: &Sample<'_>, number: usize) -> String {
    let name = sample.instance.as_deref().or(sample.service.as_deref()).or(sample.color.as_deref()).unwrap_or("?");
    if number == 0 { name.to_owned() } else { format!("{name} #{}", number + 1) }
}

/// Returns the time that it was away, in words.
pub(super) fn away(from: Millis, to: Millis) -> String {
    let seconds = to.since(from).max(0) / 1000;
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}
