//! Our queue beside others, in one run: each run of a rival stands beside one of ours, and what is
//! reported are the medians of the rates and of the pairs' ratios.
//!
//! Usage: `switchboard-queue-compare [PAIRS [ITEMS [ROW [RIVAL]]]]`, where ROW and RIVAL are parts of their names.

use std::process::{Command, Stdio};

mod rivals;
mod ways;

use rivals::*;
use ways::*;

type Way = fn(Option<usize>, u64) -> Option<Rate>;

struct Row {
    name: &'static str,
    capacity: Option<usize>,
    /// Waiting dominates some, and they need fewer items to be measured.
    fewer: u64,
    ours: Way,
    rivals: Vec<(&'static str, Way)>,
}

macro_rules! row {
    ($name:expr, $way:ident, $capacity:expr, $fewer:expr) => {
        Row {
            name: $name,
            capacity: $capacity,
            fewer: $fewer,
            ours: $way::<Ours>,
            rivals: vec![
                (Flume::NAME, $way::<Flume>),
                (AsyncChannel::NAME, $way::<AsyncChannel>),
                (CrossfireBounded::NAME, |capacity, items| {
                    $way::<CrossfireBounded>(capacity, items).or_else(|| $way::<CrossfireUnbounded>(capacity, items))
                }),
                (Kanal::NAME, $way::<Kanal>),
                (TokioBounded::NAME, |capacity, items| {
                    $way::<TokioBounded>(capacity, items).or_else(|| $way::<TokioUnbounded>(capacity, items))
                }),
                (Std::NAME, $way::<Std>),
                ("janus", |capacity, items| janus(stringify!($way), capacity, items)),
            ],
        }
    };
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default| arguments.next().map_or(default, |text| text.parse::<u64>().expect("a number"));
    let pairs = number(7);
    let items = number(1_000_000);
    let chosen = arguments.next().unwrap_or_default();
    let chosen_rival = arguments.next().unwrap_or_default();
    let bound = Some(1024);
    let mut rows = [
        row!("thread to task, 1,024", thread_to_task, bound, 1),
        row!("thread to task, unbounded", thread_to_task, None, 1),
        row!("task to thread, 1,024", task_to_thread, bound, 1),
        row!("task to thread, unbounded", task_to_thread, None, 1),
        row!("4 to 4, 1,024", many_to_many, bound, 2),
        row!("4 to 4, unbounded", many_to_many, None, 2),
        row!("ping-pong", ping_pong, bound, 20),
    ];
    rows.iter_mut().for_each(|row| row.rivals.retain(|(name, _)| name.contains(&chosen_rival)));
    print!("| millions a second | ours |");
    let rivals = rows[0].rivals.len();
    for (name, _) in &rows[0].rivals {
        print!(" {name} | ours is |");
    }
    println!("\n|---|---|{}", "---|---|".repeat(rivals));
    for row in rows.into_iter().filter(|row| row.name.contains(&chosen)) {
        let items = items / row.fewer;
        let mut ours = Vec::new();
        let mut cells = Vec::new();
        for (_, rival) in &row.rivals {
            let (mut theirs, mut ratios) = (Vec::new(), Vec::new());
            for pair in 0..pairs {
                // The order alternates, so that neither always follows the other's heat.
                let first = (pair % 2 == 0).then(|| (row.ours)(row.capacity, items));
                let Some(their) = rival(row.capacity, items) else { break };
                let our = first.unwrap_or_else(|| (row.ours)(row.capacity, items)).expect("ours");
                ours.push(our);
                theirs.push(their);
                ratios.push(our / their);
            }
            cells.push((median(theirs), median(ratios)));
        }
        print!("| {} | {:.3} |", row.name, median(ours).expect("a pair") / 1e6);
        for cell in cells {
            match cell {
                (Some(rate), Some(ratio)) => print!(" {:.3} | {ratio:.2} x |", rate / 1e6),
                _ => print!(" - | - |"),
            }
        }
        println!();
    }
}

/// Python's, as far as `run` has installed it.
fn janus(way: &str, capacity: Option<usize>, items: u64) -> Option<Rate> {
    let python = std::env::var_os("JANUS_PYTHON")?;
    // Enough for as long a run as that of a faster one.
    let arguments = [way.to_owned(), capacity.unwrap_or(0).to_string(), (items / 20).to_string()];
    let mut command = Command::new(python);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/time_janus.py")).args(arguments).stderr(Stdio::inherit());
    let output = command.output().expect("Python");
    let text = String::from_utf8(output.stdout).expect("text");
    Some(text.trim().parse().expect("a rate"))
}

fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied()
}
