//! A broker inside another program: `cargo run -p switchboard-server --example embedded`.

use std::error::Error;
use switchboard_server::{Server, Settings};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::bind(Settings::default()).await?;
    println!("native protocol on {:?}, HTTP on {:?}", server.native_addresses(), server.http_addresses());
    let shutdown = server.run(async { _ = tokio::signal::ctrl_c().await }).await?;
    println!("{} messages were left in queues", shutdown.undelivered);
    Ok(())
}
