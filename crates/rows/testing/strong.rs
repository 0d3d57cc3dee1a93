//! Strong reads by many tasks, beside a prepared SELECT for each over as many connections:
//! `switchboard-rows-strong SECONDS ROUNDS`, with the database in `DATABASE_URL`.
//!
//! Prints a line of reads a second for each round: with shared markers; a SELECT each on a connection that is taken for it,
//! as from a pool; and a SELECT each that its connection's other ones do not wait for (pipelining).

#[cfg(not(loom))]
mod measure {
    use std::error::Error;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    use std::time::{Duration, Instant};
    use switchboard_rows::{Database, Options, RowCache};
    use tokio::sync::{Mutex, mpsc};
    use tokio_postgres::{Client, NoTls, Statement};

    const TASKS: usize = 256;
    const ROWS: usize = 100;
    const TABLE: &str = "DROP TABLE IF EXISTS strong; CREATE TABLE strong (id int PRIMARY KEY, name text, fav_dish text); \
        INSERT INTO strong SELECT n, 'name ' || n, repeat('x', 60) FROM generate_series(1, 100) n; ANALYZE strong";
    const SELECT: &str = "SELECT to_json(strong)::text FROM strong WHERE id = $1";

    type Connection = (Client, Statement);

    async fn connect(url: &str) -> Result<Connection, Box<dyn Error>> {
        let (client, link) = tokio_postgres::connect(url, NoTls).await?;
        tokio::spawn(link);
        let statement = client.prepare(SELECT).await?;
        Ok((client, statement))
    }

    /// Reads a second of all tasks together, each of which reads one row after the other.
    async fn rate<F>(seconds: u64, read: impl Fn(usize) -> F + Clone + Send + 'static) -> Result<f64, Box<dyn Error>>
    where
        F: Future<Output = ()> + Send,
    {
        let (begun, count) = (Instant::now(), Arc::new(AtomicU64::new(0)));
        let end = begun + Duration::from_secs(seconds);
        let tasks: Vec<_> = (0..TASKS)
            .map(|task| {
                let (read, count) = (read.clone(), count.clone());
                tokio::spawn(async move {
                    let mut number = task;
                    while Instant::now() < end {
                        read(number).await;
                        number += 1;
                        count.fetch_add(1, Relaxed);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await?;
        }
        Ok(count.load(Relaxed) as f64 / begun.elapsed().as_secs_f64())
    }

    fn key(number: usize) -> i32 {
        i32::try_from(number % ROWS + 1).expect("a hundred rows")
    }

    async fn select((client, statement): &Connection, number: usize) {
        let row = client.query_one(statement, &[&key(number)]).await.expect("a row");
        assert!(row.get::<_, &str>(0).contains("name"));
    }

    pub(super) async fn run() -> Result<(), Box<dyn Error>> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let [seconds, rounds] = &arguments[..] else {
            return Err("usage: switchboard-rows-strong SECONDS ROUNDS".into());
        };
        let (seconds, rounds): (u64, u64) = (seconds.parse()?, rounds.parse()?);
        let url = std::env::var("DATABASE_URL")?;
        let (client, link) = tokio_postgres::connect(&url, NoTls).await?;
        tokio::spawn(link);
        client.batch_execute(TABLE).await?;
        let rows = RowCache::connect(&url.parse::<Database>()?, ["strong"]).await?;
        let mut connections = Vec::new();
        for _ in 0..Options::default().connections {
            connections.push(connect(&url).await?);
        }
        let connections = Arc::new(connections);
        let (idle, taken) = mpsc::unbounded_channel();
        for number in 0..connections.len() {
            idle.send(number)?;
        }
        let taken = Arc::new(Mutex::new(taken));
        for _ in 0..rounds {
            let cache = rows.clone();
            let shared = rate(seconds, move |number| {
                let cache = cache.clone();
                async move {
                    assert!(cache.get_strong("strong", key(number)).await.expect("an answer").is_some());
                }
            });
            let shared = shared.await?;
            let (all, idle, taken) = (connections.clone(), idle.clone(), taken.clone());
            let pooled = rate(seconds, move |number| {
                let (all, idle, taken) = (all.clone(), idle.clone(), taken.clone());
                async move {
                    let connection = taken.lock().await.recv().await.expect("the sender is ours");
                    select(&all[connection], number).await;
                    idle.send(connection).expect("the receiver is ours");
                }
            });
            let pooled = pooled.await?;
            let all = connections.clone();
            let pipelined = rate(seconds, move |number| {
                let all = all.clone();
                async move { select(&all[number % all.len()], number).await }
            });
            println!("shared={shared:.0} pooled={pooled:.0} pipelined={:.0}", pipelined.await?);
        }
        Ok(())
    }
}

#[cfg(not(loom))]
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    measure::run().await
}

#[cfg(loom)]
fn main() {}
