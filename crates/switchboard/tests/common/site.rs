//! A site on loopback, for what fetches.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

/// Answers every request by its path, with the text that was set last. `/robots.txt` is missing.
pub(crate) struct Site {
    /// `HOST:PORT`
    pub(crate) pair: String,
    text: Arc<Mutex<String>>,
}

impl Site {
    pub(crate) fn start(text: &str) -> Site {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let pair = listener.local_addr().expect("an address").to_string();
        let text = Arc::new(Mutex::new(text.to_owned()));
        let shown = text.clone();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let shown = shown.clone();
                std::thread::spawn(move || {
                    let mut lines = BufReader::new(stream.try_clone()?).lines().map_while(Result::ok);
                    let first = lines.next().unwrap_or_default();
                    lines.find(String::is_empty);
                    let body = shown.lock().expect("a lock").clone();
                    let (status, body) =
                        if first.contains("/robots.txt") { ("404 Not Found", String::new()) } else { ("200 OK", body) };
                    write!(
                        stream,
                        "HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                        body.len()
                    )
                });
            }
        });
        Site { pair, text }
    }

    pub(crate) fn set(&self, text: &str) {
        *self.text.lock().expect("a lock") = text.to_owned();
    }

    /// A site of the sites file, with further lines.
    pub(crate) fn table(&self, name: &str, lines: &str) -> String {
        format!("[[site]]\nname = \"{name}\"\nurl = \"http://{}/\"\n{lines}\n", self.pair)
    }
}
