//! A broker inside another program: `cargo run -p switchboard-server --example embedded`.

use switchboard_server::{BindError, Server, Settings};

#[tokio::main]
async fn main() -> Result<(), BindError> {
    let server = Server::bind(Settings::default()).await?;
    println!("native protocol on {:?}, HTTP on {:?}", server.native_addresses(), server.http_addresses());
    let report = server.run(async { _ = tokio::signal::ctrl_c().await }).await;
    println!("{} messages were left in queues", report.left);
    Ok(())
}
