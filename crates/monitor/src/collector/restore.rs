//! Knowledge of a collector from an earlier run.

use super::names::Names;
use super::{BRIEF, Collector, Counts, Effects, Rules};
use crate::annotation::{Annotation, AnnotationKind};
use crate::point::SeriesId;
use crate::series::{Series, SeriesMeta, State};
use crate::time::millis;
use crate::{Millis, history};
use std::collections::{HashMap, HashSet};

/// The state that an earlier run has left.
#[derive(Debug, Default)]
pub(crate) struct Earlier {
    /// Of each series that has a name.
    pub(crate) metas: Vec<SeriesMeta>,
    /// The first and the last second of each series that files hold something of.
    pub(crate) spans: history::Spans,
    /// The oldest first.
    pub(crate) annotations: Vec<Annotation>,
}

/// The last annotations of a series.
#[derive(Clone, Copy, Default)]
struct Said {
    /// It is silent.
    silent: bool,
    /// It leaks, since then.
    leaks: Option<Millis>,
    restarted: Option<Millis>,
}

impl Collector {
    /// Goes on where an earlier run has ended.
    pub(crate) fn new(rules: Rules, now: Millis, earlier: Earlier) -> Collector {
        let said = said(&earlier.annotations);
        let Earlier { mut metas, spans, annotations } = earlier;
        // Numbers come from the files, too: names that were lost must not give a process the past of another one.
        let used = metas.iter().map(|meta| meta.id).chain(spans.keys().copied());
        let next = used.chain(annotations.iter().map(|annotation| annotation.id)).max().map_or(1, |id| id + 1);
        let unnamed = unnamed(&metas, &spans);
        if !unnamed.is_empty() {
            tracing::warn!("the history holds {} series whose names are lost", unnamed.len());
        }
        metas.extend(unnamed);
        let last = |meta: &SeriesMeta| {
            // A clock that was wrong then may have made it later than now.
            spans.get(&meta.id).map_or(meta.first, |(_, last)| Millis::of_second(*last)).min(now)
        };
        metas.retain(|meta| now.since(last(meta)) <= millis(rules.keep));
        metas.sort_by_key(|meta| std::cmp::Reverse(last(meta)));
        metas.truncate(rules.series);
        metas.sort_by_key(|meta| meta.id);
        let (mut names, mut series) = (Names::new(), Vec::new());
        for mut meta in metas {
            let last = last(&meta);
            if let Some((first, _)) = spans.get(&meta.id) {
                meta.first = meta.first.min(Millis::of_second(*first));
            }
            let said = said.get(&meta.id).copied().unwrap_or_default();
            let is_awaited = meta.ended.is_none() && now.since(last) < millis(rules.gone);
            // One that is live has as long to report as if it had just done so.
            let (state, arrived) = match (is_awaited, said.silent) {
                (true, false) => (State::Live, now),
                (true, true) => (State::Silent, last),
                (false, _) => (State::Gone, last),
            };
            names.entry(meta.key.clone()).or_default().places.push(series.len());
            let mut restored = Series::new(meta, last, arrived, state);
            if let Some(time) = said.restarted {
                restored.leak.restart(time);
            }
            if let Some(since) = said.leaks.filter(|_| is_awaited) {
                restored.leak.alarm = Some((rules.leak, since));
            }
            series.push(restored);
        }
        for group in names.values_mut() {
            group.shared = group.places.len() > 1;
        }
        let tokens = (f64::from(rules.series_rate) * 10.0, now);
        Collector {
            rules,
            series,
            counts: Counts::default(),
            names,
            next,
            tokens,
            observed: now,
            effects: Effects::default(),
            epoch: format!("{:x}", now.0),
            sequence: 0,
            key: String::new(),
        }
    }

    /// Lets the alarms for leaks know the last day of an earlier run: `visit` brings minutes in any order.
    pub(crate) fn remember(&mut self, visit: impl FnOnce(&mut dyn FnMut(SeriesId, u32, f64))) {
        let awaited = self.series.iter().filter(|series| series.state != State::Gone).map(|series| series.meta.id);
        let mut minutes: HashMap<SeriesId, Vec<(u32, f64)>> = awaited.map(|id| (id, Vec::new())).collect();
        visit(&mut |id, minute, mem| {
            if let Some(minutes) = minutes.get_mut(&id) {
                minutes.push((minute, mem));
            }
        });
        for series in &mut self.series {
            let Some(mut minutes) = minutes.remove(&series.meta.id) else { continue };
            minutes.sort_unstable_by_key(|(minute, _)| *minute);
            minutes.into_iter().for_each(|(minute, mem)| series.leak.remember(minute.into(), mem));
        }
    }
}

fn said(annotations: &[Annotation]) -> HashMap<SeriesId, Said> {
    let mut all = HashMap::<SeriesId, Said>::new();
    for annotation in annotations {
        let said = all.entry(annotation.id).or_default();
        match annotation.kind {
            AnnotationKind::Silent => said.silent = true,
            AnnotationKind::Back => said.silent = false,
            AnnotationKind::Leak => said.leaks = Some(annotation.time),
            AnnotationKind::LeakOver => said.leaks = None,
            AnnotationKind::Restart => (said.restarted, said.leaks) = (Some(annotation.time), None),
            _ => {}
        }
    }
    all
}

/// Series that have a past and no name. The history has named those whose names are lost; these are the others.
fn unnamed(metas: &[SeriesMeta], spans: &history::Spans) -> Vec<SeriesMeta> {
    let named: HashSet<SeriesId> = metas.iter().map(|meta| meta.id).collect();
    let lost = spans.iter().filter(|(id, (first, last))| !named.contains(id) && last - first >= BRIEF);
    lost.map(|(&id, &(first, _))| SeriesMeta::unnamed(id, Millis::of_second(first))).collect()
}
