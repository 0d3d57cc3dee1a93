//! The smallest web service on the backbone: it says hello, and publishes a message a request.
//!
//! ```text
//! cargo run -p switchboard-server --example hello
//! switchboard listen /topic/hello
//! curl http://127.0.0.1:8000/Ada
//! ```

use axum::extract::{Path, State};
use axum::{Router, routing::get};
use std::sync::Arc;
use switchboard_server::{Server, Settings};
use switchboard_wire::native::encode;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

type Publisher = Arc<Mutex<TcpStream>>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let broker = Server::bind(Settings::default()).await?;
    let mut publisher = TcpStream::connect(broker.native_addresses()[0]).await?;
    publisher.write_all(&frames(&[b"/null"])).await?;
    let pages = Router::new().route("/{name}", get(hello)).with_state(Arc::new(Mutex::new(publisher)));
    let listener = TcpListener::bind("127.0.0.1:8000").await?;
    println!("http://127.0.0.1:8000/Ada says hello; switchboard listen /topic/hello shows who was greeted");
    tokio::select! {
        _ = broker.run(std::future::pending()) => {}
        ended = axum::serve(listener, pages) => ended?,
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    Ok(())
}

async fn hello(State(publisher): State<Publisher>, Path(name): Path<String>) -> Result<String, String> {
    let message = frames(&[b"/topic/hello", name.as_bytes()]);
    let sent = publisher.lock().await.write_all(&message).await;
    sent.map_err(|error| format!("cannot publish: {error}\n"))?;
    Ok(format!("Hello, {name}!\n"))
}

fn frames(bodies: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bodies.iter().for_each(|body| encode(body, &mut bytes));
    bytes
}
