//! A time-out names the step that was not done.
#![cfg(feature = "tls")]

use std::net::SocketAddr;
use std::time::Duration;
use switchboard_http_client::{Client, Dial, Error, Method, Options, Step, Steps, Trust, Url};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Long enough for what is before the step that hangs, on a busy machine.
const LIMIT: Duration = Duration::from_secs(5);

/// Answers each connection's first requests with these texts, one each, and is silent then.
async fn server(answers: &'static [&'static str]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, answers));
        }
    });
    address
}

async fn answer(mut stream: TcpStream, answers: &[&str]) {
    let (mut request, mut answers) = (Vec::new(), answers.iter());
    while let Ok(1..) = stream.read_buf(&mut request).await {
        if request.ends_with(b"\r\n\r\n")
            && let Some(answer) = answers.next()
        {
            request.clear();
            stream.write_all(answer.as_bytes()).await.expect("written");
        }
    }
}

fn client(dial: Dial) -> Client {
    let options = Options { timeout: LIMIT, trust: Trust::Nobody, dial, ..Options::default() };
    Client::new(&options).expect("a client")
}

async fn step(client: &Client, url: &str) -> Step {
    let url: Url = url.parse().expect("an address");
    match client.get(&url).await {
        Err(Error::Timeout { step, limit: LIMIT }) => step,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_time_out_names_the_step_that_was_not_done() {
    let silent = server(&[]).await;
    let half = server(&["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"]).await;
    let head = server(&["HTTP/1.1 200 OK\r\nContent-Le"]).await;
    let never = Dial::with(|_, _| Box::pin(std::future::pending()));
    let unnamed = Dial::with(|_, _| {
        Box::pin(async {
            Step::Resolve.enter();
            std::future::pending().await
        })
    });
    let direct = client(Dial::default());
    let (resolve, connect) = (client(unnamed), client(never));
    let urls = [format!("https://{silent}/"), format!("http://{silent}/"), format!("http://{head}/")];
    let found = tokio::join!(
        step(&resolve, "http://localhost:1/"),
        step(&connect, "https://localhost:1/"),
        step(&direct, &urls[0]),
        step(&direct, &urls[1]),
        step(&direct, &urls[2]),
        async { step(&direct, &format!("http://{half}/")).await },
    );
    assert_eq!(found, (Step::Resolve, Step::Connect, Step::Tls, Step::Headers, Step::Headers, Step::Body));
}

#[tokio::test]
async fn a_request_on_a_kept_connection_waits_for_headers() {
    let address = server(&["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"]).await;
    let client = client(Dial::default());
    let url: Url = format!("http://{address}/").parse().expect("an address");
    assert_eq!(client.get(&url).await.expect("an answer").body, "ok");
    assert_eq!(step(&client, &format!("http://{address}/")).await, Step::Headers);
}

#[tokio::test]
async fn a_caller_that_gives_up_earlier_reads_the_step() {
    let address = server(&["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"]).await;
    let (client, steps) = (client(Dial::default()), Steps::default());
    let url: Url = format!("http://{address}/").parse().expect("an address");
    let sending = client.send_in_steps(Method::GET, &url, &[], "", &steps);
    let body = async {
        while steps.current() != Step::Body {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        answer = sending => panic!("{answer:?}"),
        () = body => {}
    }
    assert_eq!(steps.current().to_string(), "body");
}
