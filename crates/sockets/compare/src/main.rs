//! Compares the sockets with libzmq, and with two other Rust crates as bystanders, in one run:
//! `switchboard-sockets-compare [ROUNDS]`. Each figure is of two processes, of which one sends and the other receives.

mod omq;
mod ours;
mod rzmq;

use std::process::{Command, Stdio};

const COUNT: [(&str, u64); 3] = [("64", 3_000_000), ("1024", 1_000_000), ("65536", 30_000)];

struct Row {
    name: String,
    /// The order to both processes.
    order: Vec<String>,
    /// Whether the bystanders know this one.
    all: bool,
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (size, count) in COUNT {
        let order = ["pipe", &count.to_string(), size].map(str::to_owned).to_vec();
        rows.push(Row { name: format!("PUSH to PULL, {size} B, M msgs/s"), order, all: true });
    }
    for (size, count) in COUNT {
        for subscribers in [1, 2, 4, 8] {
            // Every publisher keeps what it must, so there must not be too much.
            let count = count / 3 / subscribers;
            let order = ["fan", &count.to_string(), size, &subscribers.to_string()].map(str::to_owned).to_vec();
            let name = format!("PUB to {subscribers} SUB, {size} B, M deliveries/s");
            rows.push(Row { name, order, all: false });
        }
    }
    for subscribers in [1, 8] {
        let (size, count) = COUNT[2];
        let order = ["share", &(count / 3 / subscribers).to_string(), size, &subscribers.to_string()];
        let name = format!("PUB to {subscribers} SUB, {size} B that are not copied, M deliveries/s");
        rows.push(Row { name, order: order.map(str::to_owned).to_vec(), all: false });
    }
    let order = ["trip", "20000", "64"].map(str::to_owned).to_vec();
    rows.push(Row { name: "round trip, 64 B, p50 in us".into(), order, all: true });
    rows
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// The figure that the receiving or asking process prints.
fn run(program: &str, first: &[&str], order: &[String]) -> f64 {
    let output = Command::new(program).args(first).args(order).stderr(Stdio::inherit()).output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().unwrap_or_else(|_| panic!("{program} {order:?} says {text:?}, {}", output.status))
}

/// The rows whose names contain `only`.
fn compare(rounds: usize, only: &str) {
    let me = std::env::current_exe().expect("a path").display().to_string();
    let libzmq = std::env::var("LIBZMQ_HARNESS").expect("LIBZMQ_HARNESS; use the script `run`");
    println!("| | this | libzmq | ratio | rzmq | omq-tokio |");
    println!("|---|---:|---:|---:|---:|---:|");
    for row in rows().into_iter().filter(|row| row.name.contains(only)) {
        let mut figures: [Vec<f64>; 4] = Default::default();
        for _ in 0..rounds {
            figures[0].push(run(&me, &["ours"], &row.order));
            figures[1].push(run(&libzmq, &[], &row.order));
            if row.all {
                figures[2].push(run(&me, &["rzmq"], &row.order));
                figures[3].push(run(&me, &["omq"], &row.order));
            }
        }
        let ratio = median(figures[0].iter().zip(&figures[1]).map(|(ours, theirs)| ours / theirs).collect());
        let shown = figures.map(|one| if one.is_empty() { "-".into() } else { format!("{:.3}", median(one)) });
        println!("| {} | {} | {} | {ratio:.2} | {} | {} |", row.name, shown[0], shown[1], shown[2], shown[3]);
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let order: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match order[..] {
        [] => compare(5, ""),
        [rounds] => compare(number(rounds), ""),
        ["only", rounds, rows] => compare(number(rounds), rows),
        ["ours", ref order @ ..] => ours::run(order),
        ["rzmq", ref order @ ..] => rzmq::run(order),
        ["omq", ref order @ ..] => omq::run(order),
        _ => panic!("switchboard-sockets-compare [ROUNDS], or only ROUNDS NAME"),
    }
}

/// Starts the other process of the same library.
fn other(library: &str, order: &[&str]) -> std::process::Child {
    Command::new(std::env::current_exe().expect("a path")).arg(library).args(order).spawn().expect("it starts")
}

fn free_endpoint() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    format!("tcp://{}", listener.local_addr().expect("an address"))
}

fn number(text: &str) -> usize {
    text.parse().expect("a number")
}

/// Of all but the first message, which includes the way there.
fn rate(count: usize, began: std::time::Instant) -> f64 {
    count as f64 / began.elapsed().as_secs_f64() / 1e6
}

fn p50(mut times: Vec<std::time::Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e6
}
