//! The figures as Markdown and as JSON.

use crate::compare::{Compared, Figures, Sample};
use crate::options::Options;
use crate::peers::Peer;
use crate::rows::{Pattern, Row};
use serde_json::{Value, json};
use std::fmt::Write;
use std::time::Duration;

/// The sample's main figure: deliveries a second, or for latency the p99 in microseconds.
fn headline(row: Row, sample: &Sample) -> f64 {
    match row.pattern {
        Pattern::Latency => sample.outcome.latency.quantile(0.99) as f64 / 1e3,
        _ => sample.outcome.per_second(),
    }
}

/// The sample in the middle.
fn median(row: Row, figures: &Figures) -> Option<&Sample> {
    let mut samples: Vec<&Sample> = figures.samples.as_ref().ok()?.iter().collect();
    samples.sort_by(|a, b| headline(row, a).total_cmp(&headline(row, b)));
    samples.get(samples.len() / 2).copied()
}

/// One run, in a line.
pub(crate) fn line(row: Row, sample: &Sample) -> String {
    let outcome = &sample.outcome;
    let mut line = match row.pattern {
        Pattern::Latency => quantiles(sample),
        _ => format!("{:>9}/s", short(outcome.per_second())),
    };
    let _ =
        write!(line, "   cpu {:.2} s, tool {:.2} s, peak {:.0} MiB", sample.cpu, sample.tool_cpu, mebi(sample.peak));
    for (what, count) in defects(sample) {
        let _ = write!(line, ", {what} {count}");
    }
    line
}

/// The defects found, if any.
fn defects(sample: &Sample) -> Vec<(&'static str, u64)> {
    let (outcome, tally) = (&sample.outcome, &sample.outcome.tally);
    let all = [
        ("lost", outcome.lost()),
        ("duplicated", tally.doubled),
        ("out of order", tally.out_of_order),
        ("foreign", tally.foreign),
        ("undrained", u64::from(outcome.undrained)),
        ("disconnected", outcome.disconnected as u64),
    ];
    all.into_iter().filter(|(_, count)| *count > 0).collect()
}

fn quantiles(sample: &Sample) -> String {
    let latency = &sample.outcome.latency;
    let of = |share| latency.quantile(share) as f64 / 1e3;
    let (p50, p99, p999, max) = (of(0.5), of(0.99), of(0.999), latency.max() as f64 / 1e3);
    format!("p50 {p50:.0} us, p99 {p99:.0} us, p99.9 {p999:.0} us, max {max:.0} us")
}

pub(crate) fn markdown(all: &[Compared], options: &Options, took: Duration) -> String {
    let mut text = String::from("# Side by side\n\n");
    let _ = writeln!(
        text,
        "Medians of {} runs of {} s each, in turn; {} processors; {:.0} s in all. \
         Payload messages delivered per second, without doubles; for latency the p99. \
         A peer's losses stand beside its figure.\n",
        options.runs,
        options.seconds(),
        std::thread::available_parallelism().map_or(0, usize::from),
        took.as_secs_f64(),
    );
    let peers = options.peers();
    let names: Vec<&str> = peers.iter().map(|peer| peer.name()).collect();
    let _ = writeln!(text, "| | {} |\n|---|{}", names.join(" | "), "---:|".repeat(peers.len()));
    for compared in all {
        let cells: Vec<String> = peers.iter().map(|&peer| cell(compared, peer)).collect();
        let _ = writeln!(text, "| {} | {} |", compared.row.title(), cells.join(" | "));
    }
    let others: Vec<Peer> = peers.iter().copied().filter(|&peer| peer != Peer::Switchboard).collect();
    if peers.len() > others.len() && !others.is_empty() {
        let names: Vec<String> = others.iter().map(|peer| format!("to {}", peer.name())).collect();
        let _ = writeln!(text, "\n## Switchboard's ratio\n\nMore is better.\n");
        let _ = writeln!(text, "| | {} |\n|---|{}", names.join(" | "), "---:|".repeat(others.len()));
        for compared in all {
            let cells: Vec<String> = others.iter().map(|&peer| ratio_cell(compared, peer)).collect();
            let _ = writeln!(text, "| {} | {} |", compared.row.title(), cells.join(" | "));
        }
    }
    text.push_str("\n## In detail\n");
    for compared in all {
        detail(&mut text, compared);
    }
    text
}

fn of(compared: &Compared, peer: Peer) -> Option<&Figures> {
    compared.figures.iter().find(|figures| figures.peer == peer)
}

fn cell(compared: &Compared, peer: Peer) -> String {
    let Some(figures) = of(compared, peer) else { return String::new() };
    let Some(sample) = median(compared.row, figures) else { return "failed".to_owned() };
    let mut cell = match compared.row.pattern {
        Pattern::Latency => format!("{:.0} us", headline(compared.row, sample)),
        _ => short(headline(compared.row, sample)),
    };
    if sample.outcome.lost() > 0 {
        let share = sample.outcome.lost() as f64 / sample.outcome.expected.max(1) as f64;
        let _ = write!(cell, " (lost {:.2} %)", share * 100.0);
    }
    cell
}

/// Ratio of Switchboard's figure to a peer's; for latency the inverse.
fn ratio(compared: &Compared, peer: Peer) -> Option<f64> {
    let figure = |peer| Some(headline(compared.row, median(compared.row, of(compared, peer)?)?));
    let ratio = figure(Peer::Switchboard)? / figure(peer)?;
    Some(if compared.row.pattern == Pattern::Latency { 1.0 / ratio } else { ratio })
}

fn ratio_cell(compared: &Compared, peer: Peer) -> String {
    ratio(compared, peer).map_or(String::new(), |ratio| format!("{ratio:.2}"))
}

fn detail(text: &mut String, compared: &Compared) {
    let row = compared.row;
    let _ = writeln!(
        text,
        "\n### {}\n\n| peer | median | all runs | cpu s | tool cpu s | peak MiB | defects |",
        row.title()
    );
    text.push_str("|---|---|---|---:|---:|---:|---|\n");
    for figures in &compared.figures {
        let name = figures.peer.name();
        let (Some(sample), Ok(samples)) = (median(row, figures), &figures.samples) else {
            let why = figures.samples.as_ref().err().map_or("no run", String::as_str);
            let _ = writeln!(text, "| {name} | failed | {why} | | | | |");
            continue;
        };
        let middle = match row.pattern {
            Pattern::Latency => quantiles(sample),
            _ => short(headline(row, sample)),
        };
        let runs: Vec<String> = samples.iter().map(|sample| short(headline(row, sample))).collect();
        let defects: Vec<String> = defects(sample).iter().map(|(what, count)| format!("{what} {count}")).collect();
        let _ = writeln!(
            text,
            "| {name} | {middle} | {} | {:.2} | {:.2} | {:.1} | {} |",
            runs.join(", "),
            sample.cpu,
            sample.tool_cpu,
            mebi(sample.peak),
            defects.join(", "),
        );
    }
}

pub(crate) fn json(all: &[Compared], options: &Options) -> Value {
    let sample = |sample: &Sample| {
        let (outcome, tally, latency) = (&sample.outcome, &sample.outcome.tally, &sample.outcome.latency);
        json!({
            "per_second": outcome.per_second(), "seconds": outcome.seconds, "publish_seconds": outcome.publish_seconds,
            "sent": outcome.sent, "expected": outcome.expected, "delivered": tally.delivered, "lost": outcome.lost(),
            "duplicated": tally.doubled, "out_of_order": tally.out_of_order, "foreign": tally.foreign,
            "undrained": outcome.undrained, "disconnected": outcome.disconnected,
            "cpu_seconds": sample.cpu, "tool_cpu_seconds": sample.tool_cpu, "peak_bytes": sample.peak,
            "latency_ns": (latency.count() > 0).then(|| json!({
                "p50": latency.quantile(0.5), "p99": latency.quantile(0.99), "p99_9": latency.quantile(0.999),
                "max": latency.max(),
            })),
        })
    };
    let rows = all.iter().map(|compared| {
        let peers = compared.figures.iter().map(|figures| {
            json!({
                "peer": figures.peer.name(),
                "median": median(compared.row, figures).map(sample),
                "switchboard_ratio": ratio(compared, figures.peer),
                "runs": figures.samples.as_ref().ok().map(|all| all.iter().map(sample).collect::<Vec<_>>()),
                "failed": figures.samples.as_ref().err(),
            })
        });
        json!({ "row": compared.row.title(), "size": compared.row.size, "peers": peers.collect::<Vec<_>>() })
    });
    json!({ "runs": options.runs, "seconds": options.seconds(), "rows": rows.collect::<Vec<_>>() })
}

fn short(number: f64) -> String {
    match number {
        n if n >= 1e6 => format!("{:.2} M", n / 1e6),
        n if n >= 1e4 => format!("{:.1} k", n / 1e3),
        n => format!("{n:.0}"),
    }
}

fn mebi(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
