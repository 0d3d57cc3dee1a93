//! Sites that the tests serve on loopback, one thread a connection.
#![allow(dead_code)] // Each test program uses a part.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use url::Url;

/// The answer of a site.
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Body,
}

enum Body {
    Whole(Vec<u8>),
    Chunked(Vec<u8>),
    Raw(Vec<u8>),
    /// A length in the head, and less than that.
    Claims(u64),
    Endless,
    Drip,
    Hang,
    /// After this time.
    Late(Duration, Vec<u8>),
}

impl Reply {
    fn new(status: u16, body: Body) -> Reply {
        Reply { status, headers: Vec::new(), body }
    }

    pub(crate) fn status(status: u16) -> Reply {
        Reply::new(status, Body::Whole(Vec::new()))
    }

    pub(crate) fn bytes(bytes: Vec<u8>) -> Reply {
        Reply::new(200, Body::Whole(bytes))
    }

    pub(crate) fn html(text: &str) -> Reply {
        Reply::new(200, Body::Whole(text.as_bytes().to_vec())).header("Content-Type", "text/html")
    }

    pub(crate) fn text(text: &str) -> Reply {
        Reply::new(200, Body::Whole(text.as_bytes().to_vec())).header("Content-Type", "text/plain")
    }

    pub(crate) fn new_script(text: &str) -> Reply {
        Reply::new(200, Body::Whole(text.as_bytes().to_vec())).header("Content-Type", "text/javascript")
    }

    pub(crate) fn late(after: Duration, text: &str) -> Reply {
        Reply::new(200, Body::Late(after, text.as_bytes().to_vec()))
    }

    pub(crate) fn redirect(location: &str) -> Reply {
        Reply::status(302).header("Location", location)
    }

    pub(crate) fn raw(text: &str) -> Reply {
        Reply::new(200, Body::Raw(text.as_bytes().to_vec()))
    }

    pub(crate) fn claims(length: u64) -> Reply {
        Reply::new(200, Body::Claims(length))
    }

    pub(crate) fn endless() -> Reply {
        Reply::new(200, Body::Endless)
    }

    pub(crate) fn drip() -> Reply {
        Reply::new(200, Body::Drip)
    }

    pub(crate) fn hang() -> Reply {
        Reply::new(200, Body::Hang)
    }

    pub(crate) fn bomb(length: u64) -> Reply {
        let mut bytes = Vec::new();
        let zeros = std::io::repeat(0).take(length);
        flate2::read::GzEncoder::new(zeros, flate2::Compression::best()).read_to_end(&mut bytes).expect("compressed");
        Reply::new(200, Body::Whole(bytes)).header("Content-Encoding", "gzip")
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Reply {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn chunked(mut self) -> Reply {
        if let Body::Whole(bytes) = self.body {
            self.body = Body::Chunked(bytes);
        }
        self
    }

    fn send(self, mut stream: &TcpStream, request: &str) -> std::io::Result<()> {
        if let Body::Raw(bytes) = &self.body {
            return stream.write_all(bytes);
        }
        let etag = self.headers.iter().find(|(name, _)| name == "ETag").map(|(_, value)| value.clone());
        let is_known = etag.is_some_and(|etag| request.to_lowercase().contains(&format!("if-none-match: {etag}")));
        let status = if is_known { 304 } else { self.status };
        let mut head = format!("HTTP/1.1 {status} X\r\nConnection: close\r\n");
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        match &self.body {
            Body::Whole(bytes) | Body::Late(_, bytes) if !is_known => {
                let _ = write!(head, "Content-Length: {}\r\n", bytes.len());
            }
            Body::Claims(length) => {
                let _ = write!(head, "Content-Length: {length}\r\n");
            }
            Body::Chunked(_) => head.push_str("Transfer-Encoding: chunked\r\n"),
            _ => {}
        }
        head.push_str("\r\n");
        match self.body {
            Body::Hang => {
                // Until the client gives up.
                let _ = stream.read(&mut [0; 1]);
                return Ok(());
            }
            Body::Late(after, _) => thread::sleep(after),
            _ => {}
        }
        stream.write_all(head.as_bytes())?;
        if is_known {
            return Ok(());
        }
        match self.body {
            Body::Whole(bytes) | Body::Late(_, bytes) => stream.write_all(&bytes),
            Body::Chunked(bytes) => {
                write!(stream, "{:x}\r\n", bytes.len())?;
                stream.write_all(&bytes)?;
                stream.write_all(b"\r\n0\r\n\r\n")
            }
            Body::Claims(_) => stream.write_all(b"less"),
            Body::Endless => loop {
                stream.write_all(&[b'x'; 16 << 10])?;
            },
            Body::Drip => loop {
                stream.write_all(b"x")?;
                thread::sleep(Duration::from_millis(50));
            },
            Body::Raw(_) | Body::Hang => Ok(()),
        }
    }
}

#[derive(Default)]
struct Log {
    heads: Mutex<Vec<String>>,
    now: AtomicUsize,
    most: AtomicUsize,
}

/// A site on a free port of 127.0.0.1.
pub(crate) struct Site {
    port: u16,
    log: Arc<Log>,
}

impl Site {
    pub(crate) fn start(answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Site {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (log, answer) = (Arc::<Log>::default(), Arc::new(answer));
        let shared = log.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, answer) = (shared.clone(), answer.clone());
                thread::spawn(move || serve(&stream, &log, &*answer));
            }
        });
        Site { port, log }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// For an allow-list.
    pub(crate) fn pair(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn url(&self, path: &str) -> Url {
        format!("http://127.0.0.1:{}{path}", self.port).parse().expect("a URL")
    }

    pub(crate) fn heads(&self) -> Vec<String> {
        self.log.heads.lock().expect("no panic").clone()
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        self.heads().iter().map(|head| head.split(' ').nth(1).unwrap_or_default().to_owned()).collect()
    }

    /// The most requests that were being answered at a time.
    pub(crate) fn most_at_once(&self) -> usize {
        self.log.most.load(Ordering::SeqCst)
    }
}

fn serve(stream: &TcpStream, log: &Log, answer: &dyn Fn(&str) -> Reply) {
    let mut head = String::new();
    let mut reader = BufReader::new(stream);
    while !head.ends_with("\r\n\r\n") {
        if !matches!(reader.read_line(&mut head), Ok(count) if count > 0) {
            return;
        }
    }
    let now = log.now.fetch_add(1, Ordering::SeqCst) + 1;
    log.most.fetch_max(now, Ordering::SeqCst);
    log.heads.lock().expect("no panic").push(head.clone());
    let path = head.split(' ').nth(1).unwrap_or("/").to_owned();
    let _ = answer(&path).send(stream, &head);
    log.now.fetch_sub(1, Ordering::SeqCst);
}
