//! `sim --seed N [--trace]` replays a run; `sim --seeds A..B` looks for one that breaks a promise.

use std::process::ExitCode;

const USAGE: &str = "usage: sim --seed N [--trace] | sim --seeds A..B";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let seeds = match words[..] {
        ["--seed", seed] | ["--seed", seed, "--trace"] | ["--trace", "--seed", seed] => {
            seed.parse().ok().map(|seed: u64| seed..seed.saturating_add(1))
        }
        ["--seeds", range] => {
            range.split_once("..").and_then(|(first, end)| Some(first.parse().ok()?..end.parse().ok()?))
        }
        _ => None,
    };
    let Some(seeds) = seeds else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let (trace, many) = (words.contains(&"--trace"), words.contains(&"--seeds"));
    let mut runs = 0;
    for seed in seeds {
        match sim::run(seed, trace) {
            Ok(report) if many => runs += u64::from(report.hash != 0),
            Ok(report) => {
                for (what, count) in &report.counts {
                    println!("{count:>8} {what}");
                }
                println!("hash {:016x}", report.hash);
            }
            Err(failure) => {
                println!("{failure}");
                println!("to replay it: cargo run -p sim -- --seed {seed} --trace");
                return ExitCode::FAILURE;
            }
        }
    }
    if many {
        println!("{runs} runs broke no promise");
    }
    ExitCode::SUCCESS
}
