//! The limit of a served page: a plain hyper server that answers every request with the bytes of a file.
//!
//! usage: `constant HOST:PORT FILE`

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use tokio::net::TcpListener;

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (address, file) = (arguments.next().expect("HOST:PORT"), arguments.next().expect("FILE"));
    let body = Bytes::from(std::fs::read(file)?);
    tokio::runtime::Runtime::new()?.block_on(serve(&address, body))
}

async fn serve(address: &str, body: Bytes) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    println!("{}", listener.local_addr()?);
    loop {
        let Ok((socket, _)) = listener.accept().await else { continue };
        let _ = socket.set_nodelay(true);
        let body = body.clone();
        let answer = service_fn(move |_: Request<hyper::body::Incoming>| {
            let mut response = Response::new(Full::new(body.clone()));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
            std::future::ready(Ok::<_, Infallible>(response))
        });
        tokio::spawn(async move {
            // An error is a client that went away.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), answer).await;
        });
    }
}
