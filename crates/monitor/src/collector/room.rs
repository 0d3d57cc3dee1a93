//! Which series makes room for a new one.

use super::{BRIEF, Collector};
use crate::Refusal;
use crate::series::{Series, SeriesMeta, State};

impl Collector {
    /// The place of the series that is gone for longest; if none is gone, of one that is silent and hardly was there.
    pub(super) fn make_room(&mut self) -> Result<usize, Refusal> {
        let is_brief = |series: &Series| series.last.since(series.meta.first) < i64::from(BRIEF) * 1000;
        let rank = |series: &Series| match series.state {
            State::Gone => Some(0),
            State::Silent if is_brief(series) => Some(1),
            State::Silent | State::Live => None,
        };
        let candidates = self.series.iter().enumerate();
        let candidates = candidates.filter_map(|(place, series)| Some((rank(series)?, series.arrived, place)));
        let (.., place) = candidates.min().ok_or(Refusal::SeriesLimit { limit: self.rules.series })?;
        let SeriesMeta { id, key, .. } = &self.series[place].meta;
        if is_brief(&self.series[place]) {
            // The name of any other stays on the disk as long as there is room for it: its past is still there.
            self.effects.names.push((*id, String::new()));
        }
        if let Some(group) = self.names.get_mut(key) {
            group.places.retain(|other| *other != place);
            if group.places.is_empty() {
                self.names.remove(&key.clone());
            }
        }
        Ok(place)
    }
}
