//! A tokio task, a smol task, and a plain thread with callbacks share one client. Each ticks once a
//! second, five times; one more subscription shows all of their ticks.
//!
//! ```text
//! switchboard &
//! cargo run -p switchboard-client --example three_worlds [switchboard://HOST:PORT]
//! ```

use std::error::Error;
use std::thread;
use std::time::Duration;
use switchboard_client::Client;

type Done = Result<(), Box<dyn Error + Send + Sync>>;

const TICKS: u32 = 5;
const SECOND: Duration = Duration::from_secs(1);

fn main() -> Done {
    let url = std::env::args().nth(1).unwrap_or_else(|| "switchboard://localhost".into());
    // No executor is here, so the client's I/O has a thread of its own, and needs none of the worlds.
    let client = Client::connect(&url).wait()?;
    let mut all = client.subscribe("/topic/ticks/*").wait()?;
    let showing = thread::spawn(move || {
        for message in all.iter() {
            println!("{}", String::from_utf8_lossy(&message));
        }
    });

    let worlds = [
        thread::spawn({
            let client = client.clone();
            move || tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(tokio_task(client))
        }),
        thread::spawn({
            let client = client.clone();
            move || smol::block_on(smol_task(client))
        }),
        thread::spawn({
            let client = client.clone();
            move || with_callbacks(&client)
        }),
    ];
    for world in worlds {
        world.join().expect("a world that does not panic")?;
    }
    client.close().wait()?;
    showing.join().expect("it only prints");
    Ok(())
}

async fn tokio_task(client: Client) -> Done {
    for tick in 1..=TICKS {
        client.publish("/topic/ticks/tokio", format!("tokio  tick {tick}")).await?;
        tokio::time::sleep(SECOND).await;
    }
    Ok(())
}

async fn smol_task(client: Client) -> Done {
    for tick in 1..=TICKS {
        client.publish("/topic/ticks/smol", format!("smol   tick {tick}")).await?;
        smol::Timer::after(SECOND).await;
    }
    Ok(())
}

fn with_callbacks(client: &Client) -> Done {
    for tick in 1..=TICKS {
        client.publish("/topic/ticks/thread", format!("thread tick {tick}")).on_done(|accepted| {
            if let Err(error) = accepted {
                eprintln!("not published: {error}");
            }
        });
        client.flush().on_done(move |arrived| {
            if let Err(error) = arrived {
                eprintln!("tick {tick}: {error}");
            }
        });
        thread::sleep(SECOND);
    }
    Ok(())
}
