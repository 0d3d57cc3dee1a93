//! The limit: a plain hyper server that answers every request with one constant: the bytes of a file, or what has the size of
//! a cached row. Its headers are those of a cached row. `constant HOST:PORT [FILE]`.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use tokio::net::TcpListener;

const ROW: &[u8] =
    br#"{"id":50,"name":"name 50","fav_dish":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}"#;

async fn answer(_: Request<hyper::body::Incoming>, body: Bytes) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::new(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    headers.insert(ETAG, HeaderValue::from_static("\"00112233445566778899aabbccddeeff\""));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert("x-cache", HeaderValue::from_static("hit"));
    headers.insert("x-cache-max-age-ms", HeaderValue::from_static("250"));
    Ok(response)
}

#[tokio::main]
async fn main() {
    let address = std::env::args().nth(1).expect("HOST:PORT");
    let body = match std::env::args().nth(2) {
        Some(file) => std::fs::read(file).expect("the file").into(),
        None => Bytes::from_static(ROW),
    };
    let listener = TcpListener::bind(address).await.expect("it listens");
    println!("{}", listener.local_addr().expect("an address"));
    loop {
        let Ok((socket, _)) = listener.accept().await else { continue };
        let _ = socket.set_nodelay(true);
        let body = body.clone();
        tokio::spawn(async move {
            let answer = service_fn(move |request| answer(request, body.clone()));
            // An error is a client that went away.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), answer).await;
        });
    }
}
