//! A worker: takes jobs of a queue, ten at a time at most, and acks each when it is done. What it has not acked when it
//! fails, or is killed, goes to another worker.
//!
//! ```text
//! cargo run -p switchboard-client --example worker [stomp://HOST:PORT]
//! switchboard send /queue/jobs 'hello'      # in a second terminal
//! ```

use switchboard_client::{Client, Error, Message, Subscribe};

fn work(job: &Message) -> Result<(), std::str::Utf8Error> {
    println!("{}", std::str::from_utf8(job)?);
    Ok(())
}

fn main() -> Result<(), Error> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "stomp://localhost".into());
    let client = Client::connect(&url).wait()?;
    let mut jobs = client.subscribe_with("/queue/jobs", Subscribe::manual().prefetch(10)).wait()?;
    for job in jobs.iter() {
        let settled = if work(&job).is_ok() { job.ack() } else { job.reject() };
        // Over a connection that has broken since: the job comes again.
        settled.or_else(|error| if matches!(error, Error::Stale) { Ok(()) } else { Err(error) })?;
    }
    Ok(())
}
