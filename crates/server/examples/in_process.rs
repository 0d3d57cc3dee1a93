//! A broker inside another program: `cargo run -p switchboard-server --example in_process`.

use std::error::Error;
use std::process::ExitCode;
use switchboard_server::{Server, Settings};

#[tokio::main]
async fn main() -> ExitCode {
    let done = run().await;
    done.map_or_else(
        |error| {
            eprintln!("{error}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

async fn run() -> Result<(), Box<dyn Error>> {
    // Free ports, so that it runs beside another broker.
    let settings =
        Settings { listen: vec!["127.0.0.1:0".into()], http: vec!["127.0.0.1:0".into()], ..Settings::default() };
    let server = Server::bind(settings).await?;
    println!("native protocol on {:?}, HTTP on {:?}", server.native_addresses(), server.http_addresses());
    let shutdown = server.run(async { _ = tokio::signal::ctrl_c().await }).await?;
    println!("{} messages were left in queues", shutdown.undelivered);
    Ok(())
}
