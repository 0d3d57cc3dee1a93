//! The processes of a monitor, as `top` shows them.

use super::text::processes;
use crate::escape::escape;
use serde::Deserialize;

/// The answer of /api/processes, as far as it is shown here. Times are in milliseconds since 1970.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Processes {
    pub(super) now: i64,
    pub(super) processes: Vec<Process>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Process {
    pub(super) id: u64,
    name: String,
    pub(super) color: Option<String>,
    service: Option<String>,
    cpu: Option<f64>,
    mem: Option<f64>,
    started: Option<i64>,
    last: i64,
    state: State,
    leak: Option<Leak>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum State {
    Live,
    Silent,
    /// Or one that a newer monitor knows.
    #[serde(other)]
    Gone,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Leak {
    mb_per_hour: f64,
}

/// The column that sorts the rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    #[default]
    Cpu,
    Memory,
    Name,
}

impl Process {
    pub(super) fn name(&self) -> String {
        escape(&self.name)
    }

    pub(super) fn service(&self) -> String {
        escape(self.service.as_deref().unwrap_or("-"))
    }

    pub(super) fn state(&self, now: i64) -> String {
        match (self.state, &self.leak) {
            (State::Live, Some(leak)) => format!("leaks {:.0} MB/h", leak.mb_per_hour),
            (State::Live, None) => "live".into(),
            (State::Silent, _) => format!("silent {}", span(now - self.last)),
            (State::Gone, _) => format!("ended {}", span(now - self.last)),
        }
    }

    /// Percent of one core; `None` unless it reports.
    pub(super) fn cpu(&self) -> Option<f64> {
        self.cpu.filter(|_| self.is_live())
    }

    /// Megabytes; `None` unless it reports.
    pub(super) fn mem(&self) -> Option<f64> {
        self.mem.filter(|_| self.is_live())
    }

    pub(super) fn is_live(&self) -> bool {
        self.state == State::Live
    }

    /// Whether its name or its service has this text, which is in lower case.
    pub(super) fn matches(&self, wanted: &str) -> bool {
        let has = |text: &str| text.to_lowercase().contains(wanted);
        has(&self.name) || self.service.as_deref().is_some_and(has)
    }

    #[cfg(test)]
    pub(super) fn set_cpu(&mut self, cpu: f64) {
        self.cpu = Some(cpu);
    }

    /// Somebody should look.
    pub(super) fn is_bad(&self) -> bool {
        self.state == State::Silent || self.state == State::Live && self.leak.is_some()
    }

    pub(super) fn is_gone(&self) -> bool {
        self.state == State::Gone
    }

    pub(super) fn up(&self, now: i64) -> String {
        self.started.filter(|_| !self.is_gone()).map_or_else(|| "-".into(), |started| span(now - started))
    }
}

impl Processes {
    /// Sorts the processes. Ended ones come last, whatever they used.
    pub(super) fn sort(&mut self, by: Sort) {
        let figure = |process: &Process| match by {
            Sort::Cpu => process.cpu(),
            Sort::Memory => process.mem(),
            Sort::Name => None,
        };
        self.processes.sort_by(|a, b| {
            let larger = figure(b).unwrap_or(0.0).total_cmp(&figure(a).unwrap_or(0.0));
            a.is_gone().cmp(&b.is_gone()).then(larger).then_with(|| a.name.cmp(&b.name))
        });
    }
}

/// Returns the number of processes and their sums, as a line.
pub(super) fn totals<'a>(all: impl Iterator<Item = &'a Process> + Clone) -> String {
    let count = all.clone().filter(|process| !process.is_gone()).count();
    let ended = all.clone().count() - count;
    // The sum of no floating-point numbers is -0.0.
    let cpu = all.clone().filter_map(Process::cpu).sum::<f64>() + 0.0;
    let mem = all.filter_map(Process::mem).sum::<f64>() + 0.0;
    let ended = if ended == 0 { String::new() } else { format!(", {ended} ended") };
    format!("{}{ended}, {cpu:.1} % CPU, {mem:.1} MB", processes(count))
}

pub(super) fn figure(value: Option<f64>) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.1}"))
}

pub(super) fn span(millis: i64) -> String {
    let seconds = millis.max(0) / 1000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86400 => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d{:02}h", seconds / 86400, seconds % 86400 / 3600),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn some() -> Processes {
        serde_json::from_value(serde_json::json!({ "now": 100_000, "unknown": 1, "processes": [
            { "id": 1, "name": "a", "color": "red", "service": null, "cpu": 1.0, "mem": 30.0, "started": null,
              "last": 99_000, "state": "live", "leak": null },
            { "id": 2, "name": "b\u{1b}[2J", "color": "#00ff00", "service": "s", "cpu": 50.0, "mem": 20.0,
              "started": 10_000, "last": 99_000, "state": "live", "leak": { "mb_per_hour": 12.4, "since": 1 } },
            { "id": 3, "name": "c", "color": "x", "service": "s", "cpu": 90.0, "mem": 10.0, "started": 1, "last": 40_000,
              "state": "gone", "leak": null },
            { "id": 4, "name": "d", "color": "x", "service": "s", "cpu": null, "mem": null, "started": 1,
              "last": 30_000, "state": "silent", "leak": null },
        ] }))
        .expect("an answer")
    }

    pub(crate) fn named(name: &str, cpu: f64, mem: f64) -> Processes {
        serde_json::from_value(serde_json::json!({ "now": 100_000, "processes": [
            { "id": 1, "name": name, "color": "red", "service": name, "cpu": cpu, "mem": mem, "started": 10_000,
              "last": 99_000, "state": "live", "leak": null },
        ] }))
        .expect("an answer")
    }

    #[test]
    fn those_that_use_most_stand_first_and_those_that_have_ended_last() {
        let mut processes = some();
        for (by, order) in [(Sort::Cpu, [2, 1, 4, 3]), (Sort::Memory, [1, 2, 4, 3]), (Sort::Name, [1, 2, 4, 3])] {
            processes.sort(by);
            assert_eq!(processes.processes.iter().map(|process| process.id).collect::<Vec<_>>(), order, "{by:?}");
        }
    }

    #[test]
    fn only_those_that_report_have_figures_and_count_in_the_totals() {
        let known = some();
        let figures: Vec<_> = known.processes.iter().map(|process| (process.cpu(), process.mem())).collect();
        assert_eq!(figures, [(Some(1.0), Some(30.0)), (Some(50.0), Some(20.0)), (None, None), (None, None)]);
        assert_eq!(totals(known.processes.iter()), "3 processes, 1 ended, 51.0 % CPU, 50.0 MB");
        assert_eq!(totals(known.processes[..1].iter()), "1 process, 1.0 % CPU, 30.0 MB");
        assert_eq!(totals(known.processes[2..3].iter()), "0 processes, 1 ended, 0.0 % CPU, 0.0 MB");
    }

    #[test]
    fn spans_are_short() {
        let spans = [-5, 59_999, 60_000, 3_599_000, 3_600_000, 86_400_000].map(span);
        assert_eq!(spans, ["0s", "59s", "1m00s", "59m59s", "1h00m", "1d00h"]);
    }
}
