//! `switchboard rows demo`: several instances over one database, step by step.

use super::args::DemoArgs;
use super::server::Server;
use crate::output;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use switchboard_rows::{Consistency, Key, Options, RowCache, ScratchDatabase, Source};
use tokio::time::{sleep, timeout};

const TABLE: &str = "patron";
/// Time for everything that will happen.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(1);
/// Writes and reads while a listener is away.
const ROUNDS: usize = 200;

const KILL: &str = "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity \
    WHERE application_name = 'switchboard rows feed' AND datname = current_database() ORDER BY pid LIMIT 1";

pub(super) async fn run(args: &DemoArgs) -> Result<()> {
    let server = Server::start(&args.at).await?;
    if server.is_private() {
        say("A private PostgreSQL runs; it ends with this demonstration.")?;
    }
    let scratch = ScratchDatabase::create(&server.database).await?;
    let result = show(&scratch, usize::from(args.instances)).await;
    tokio::task::spawn_blocking(move || drop(scratch)).await?;
    server.stop().await;
    result
}

fn say(text: &str) -> Result<()> {
    output::write(format!("{text}\n").as_bytes())
}

async fn show(scratch: &ScratchDatabase, count: usize) -> Result<()> {
    let mut instances = Vec::new();
    for _ in 0..count {
        let options = Options { create_demo_table: true, ..Options::default() };
        instances.push(RowCache::connect_with(scratch.database(), [TABLE], options).await?);
    }
    let (first, others) = instances.split_first().context("at least two instances")?;
    say(&format!("1. {count} instances of the cache are connected to one database, with the table {TABLE}."))?;

    let written = first.insert(TABLE, &json!({ "name": "Ann", "fav_dish": "Chili" })).await?;
    let (key, begun) = (written.key, Instant::now());
    say("2. Instance 1 inserts Ann. Nobody asks for the row, and every instance caches it:")?;
    for (at, cache) in instances.iter().enumerate() {
        held(cache, &key, "Ann").await?;
        say(&format!(
            "   instance {} holds {} after {} ms",
            at + 1,
            name_of(cache, &key).await?,
            begun.elapsed().as_millis()
        ))?;
    }

    first.update(TABLE, &key, &json!({ "name": "Bob" })).await?;
    let begun = Instant::now();
    say("3. Instance 1 changes the name to Bob:")?;
    for (at, cache) in others.iter().enumerate() {
        held(cache, &key, "Bob").await?;
        let read = cache.read(TABLE, &key).await?;
        let (source, age) = (source(read.source), read.max_age.as_millis());
        say(&format!(
            "   instance {} reads Bob after {} ms ({source}, at most {age} ms old)",
            at + 2,
            begun.elapsed().as_millis()
        ))?;
    }

    let killed = first.query(KILL, Vec::new()).await?;
    if killed.is_empty() {
        bail!("there is no listener to kill");
    }
    say(
        "4. The connection on which an instance listens is killed, and rows are written and read on at all instances:",
    )?;
    let (reads, hits) = rounds(&instances, &key).await?;
    say(&format!("   {reads} reads after {ROUNDS} writes, {hits} of them from the cache: none was stale"))?;

    for cache in &instances {
        timeout(PATIENCE, cache.live()).await.context("an instance does not listen again")?;
    }
    let last = format!("round {}", ROUNDS - 1);
    for cache in &instances {
        held(cache, &key, &last).await?;
    }
    say("5. Every instance listens again, and holds the last row.")?;
    let connects: u64 = instances.iter().map(|cache| cache.metrics().connects).sum();
    let inconsistent: u64 = instances.iter().map(|cache| cache.metrics().rows_inconsistent).sum();
    say(&format!(
        "   {connects} connections were made by {count} listeners; {inconsistent} cached rows were found inconsistent"
    ))
}

/// Writes by one instance, reads by all: with the write's token, each must see it.
async fn rounds(instances: &[RowCache], key: &Key) -> Result<(usize, usize)> {
    let (mut reads, mut hits) = (0, 0);
    for round in 0..ROUNDS {
        let writer = &instances[round % instances.len()];
        let name = format!("round {round}");
        let written = writer.update(TABLE, key, &json!({ "name": name })).await?.context("the row is there")?;
        let consistency = written.token.map_or(Consistency::Strong, Consistency::After);
        for cache in instances {
            let read = cache.read_with(TABLE, key, consistency).await?;
            let seen = read.row.as_deref().map(serde_json::from_slice::<Value>).transpose()?;
            if seen.is_none_or(|row| row["name"] != name) {
                bail!("a stale row was served: {name} had been written");
            }
            reads += 1;
            hits += usize::from(read.source == Source::Hit);
        }
    }
    Ok((reads, hits))
}

/// Waits until an instance caches the row with this name.
async fn held(cache: &RowCache, key: &Key, name: &str) -> Result<()> {
    let begun = Instant::now();
    loop {
        let read = cache.read(TABLE, key).await?;
        let row = read.row.as_deref().map(serde_json::from_slice::<Value>).transpose()?;
        if read.source == Source::Hit && row.is_some_and(|row| row["name"] == name) {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            bail!("an instance did not get {name} within {PATIENCE:?}");
        }
        sleep(LOOK).await;
    }
}

async fn name_of(cache: &RowCache, key: &Key) -> Result<String> {
    let row = cache.get(TABLE, key).await?.context("the row is there")?;
    let row: Value = serde_json::from_slice(&row)?;
    Ok(row["name"].as_str().unwrap_or_default().to_owned())
}

fn source(source: Source) -> &'static str {
    match source {
        Source::Hit => "a hit",
        Source::Miss => "a miss",
        Source::Bypass => "past the cache",
    }
}
