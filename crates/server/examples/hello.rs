//! The smallest web service on the backbone: it says hello, and publishes a message a request.
//!
//! ```text
//! cargo run -p switchboard-server --example hello
//! ```
//!
//! It prints the addresses, both of free ports:
//!
//! ```text
//! switchboard listen /topic/hello --server 127.0.0.1:PORT
//! curl http://127.0.0.1:PORT/Ada
//! ```

use axum::extract::{Path, State};
use axum::{Router, routing::get};
use std::process::ExitCode;
use std::sync::Arc;
use switchboard_server::{Server, Settings};
use switchboard_wire::native::encode;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

type Publisher = Arc<Mutex<TcpStream>>;

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

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let settings = Settings { listen: vec!["127.0.0.1:0".into()], http: Vec::new(), ..Settings::default() };
    let broker = Server::bind(settings).await?;
    let native = broker.native_addresses()[0];
    let mut publisher = TcpStream::connect(native).await?;
    publisher.write_all(&frames(&[b"/null"])).await?;
    let pages = Router::new().route("/{name}", get(hello)).with_state(Arc::new(Mutex::new(publisher)));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}/Ada says hello", listener.local_addr()?);
    println!("switchboard listen /topic/hello --server {native} shows who was greeted");
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
