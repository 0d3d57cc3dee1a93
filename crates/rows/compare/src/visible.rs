//! The time from a write by somebody else until instances serve the new row. `visible WRITES HOST:PORT...`, with the database
//! in DATABASE_URL and the rows 1 to 100 in its table `patron`.
//!
//! Each write is one UPDATE over a connection that knows nothing of the instances. Each instance reports it by `/events`; the
//! GET that follows must have the new row. The end is the arrival of its answer.

use std::error::Error;
use std::time::{Duration, Instant};
use switchboard_load::Histogram;
use switchboard_rows_compare::{get, head};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

type Failure = Box<dyn Error + Send + Sync>;

const ROWS: u64 = 100;
/// Time for one change to arrive everywhere.
const LIMIT: Duration = Duration::from_secs(10);

/// The answer of one instance to one write.
struct Seen {
    event: Instant,
    answer: Instant,
    is_hit: bool,
}

fn row_of(write: u64) -> u64 {
    write % ROWS + 1
}

/// The text that the row has after this write, and no other row ever.
fn name_of(write: u64) -> String {
    format!("write {write} of the run")
}

/// Waits for the event of each write, and asks for its row.
async fn follow(address: String, writes: watch::Receiver<u64>, seen: mpsc::Sender<Seen>) -> Result<(), Failure> {
    let mut events = TcpStream::connect(&address).await?;
    events.write_all(&get(&address, "/events")).await?;
    let mut lines = BufReader::new(events).lines();
    let mut rows = TcpStream::connect(&address).await?;
    rows.set_nodelay(true)?;
    // It listens once it has answered.
    while !lines.next_line().await?.ok_or("no events")?.is_empty() {}
    seen.send(Seen { event: Instant::now(), answer: Instant::now(), is_hit: false }).await?;
    let mut answer = Vec::new();
    loop {
        let line = lines.next_line().await?.ok_or("the events have ended")?;
        let write = *writes.borrow();
        // An event has the old row, too.
        if !line.starts_with("data:") || !line.contains(&name_of(write)) {
            continue;
        }
        let event = Instant::now();
        rows.write_all(&get(&address, &format!("/patron/{}", row_of(write)))).await?;
        answer.clear();
        let head = loop {
            if rows.read_buf(&mut answer).await? == 0 {
                return Err("an instance has closed its connection".into());
            }
            if let Some(head) = head(&answer)?.filter(|head| head.length <= answer.len()) {
                break head;
            }
        };
        let now = Instant::now();
        if !String::from_utf8_lossy(&answer).contains(&name_of(write)) {
            return Err(format!("an old row after its event: {}", String::from_utf8_lossy(&answer)).into());
        }
        seen.send(Seen { event, answer: now, is_hit: head.source == "hit" }).await?;
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: visible WRITES HOST:PORT...";
    let count: u64 = arguments.next().ok_or(usage)?.parse()?;
    let instances: Vec<String> = arguments.collect();
    if instances.is_empty() || count == 0 {
        return Err(usage.into());
    }
    let (sql, connection) = tokio_postgres::connect(&std::env::var("DATABASE_URL")?, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    let update = sql.prepare("UPDATE patron SET name = $1 WHERE id = $2::text::int4").await?;
    let current = watch::Sender::new(0);
    let (sender, mut seen) = mpsc::channel(instances.len());
    for address in &instances {
        let following = follow(address.clone(), current.subscribe(), sender.clone());
        tokio::spawn(async move {
            if let Err(error) = following.await {
                eprintln!("visible: {error}");
                std::process::exit(1);
            }
        });
    }
    for _ in &instances {
        timeout(LIMIT, seen.recv()).await?.ok_or("no instance")?;
    }
    let (mut acknowledged, mut reported, mut served) =
        (Histogram::default(), Histogram::default(), Histogram::default());
    let mut hits = 0;
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    for write in 1..=count {
        current.send_replace(write);
        let sent = Instant::now();
        sql.execute(&update, &[&name_of(write), &row_of(write).to_string()]).await?;
        acknowledged.record(nanos(sent.elapsed()));
        for _ in &instances {
            let one = timeout(LIMIT, seen.recv()).await?.ok_or("no instance")?;
            reported.record(nanos(one.event.duration_since(sent)));
            served.record(nanos(one.answer.duration_since(sent)));
            hits += u64::from(one.is_hit);
        }
    }
    for (name, times) in [("acknowledged", &acknowledged), ("reported", &reported), ("served", &served)] {
        let micros = |share| times.quantile(share) as f64 / 1000.0;
        println!("name={name} p50={:.1} p99={:.1} max={:.1}", micros(0.5), micros(0.99), times.max() as f64 / 1000.0);
    }
    println!("name=hits share={:.3}", hits as f64 / (count * instances.len() as u64) as f64);
    Ok(())
}
