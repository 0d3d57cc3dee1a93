//! A broker and a service in one process: the service is an ordinary client, over an in-memory pipe.
//!
//! ```text
//! cargo run -p switchboard-client --example one_process
//! switchboard send /queue/greet Ada      # in a second terminal
//! ```

use switchboard_client::{Client, Error, Options};
use switchboard_server::{Connector, Server, Settings};

/// Answers each message of a queue on a topic.
async fn greeter(connector: Connector) -> Result<(), Error> {
    let client = Client::over(Options::default(), move || connector.connect()).await?;
    let mut names = client.subscribe("/queue/greet").await?;
    while let Some(name) = names.next().await {
        client.publish("/topic/greetings", [b"Hello, ", &name[..]].concat()).await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A free port, so that it runs beside another broker.
    let settings = Settings { listen: vec!["127.0.0.1:0".into()], http: Vec::new(), ..Settings::default() };
    let server = Server::bind(settings).await?;
    println!("native protocol on {:?}", server.native_addresses());
    let connector = server.connector("greeter");
    // As often as there are services, and before the broker runs if they like.
    let service = tokio::spawn(greeter(connector.clone()));
    let listening = Client::over(Options::default(), move || connector.connect());
    tokio::spawn(server.run(std::future::pending()));

    let client = listening.await?;
    let mut greetings = client.subscribe("/topic/greetings").await?;
    client.publish("/queue/greet", "world").await?;
    let first = greetings.next().await.expect("the broker runs");
    println!("{}", String::from_utf8_lossy(&first));
    client.close().await?;
    Ok(service.await??)
}
