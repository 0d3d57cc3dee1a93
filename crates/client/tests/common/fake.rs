//! A STOMP server that does what a test tells it: silent, slow, wrong, or gone.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};

/// A frame's command, headers and body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) command: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Frame {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str())
    }
}

/// One connection of the client's.
pub(crate) struct Peer {
    reader: BufReader<TcpStream>,
    writer: TcpStream,
}

impl Peer {
    /// The next frame; none at the end.
    pub(crate) fn frame(&mut self) -> Option<Frame> {
        let mut line = Vec::new();
        loop {
            line.clear();
            self.reader.read_until(b'\n', &mut line).ok().filter(|bytes| *bytes > 0)?;
            if line != b"\n" {
                break;
            }
        }
        let command = text(&line);
        let mut headers = Vec::new();
        loop {
            line.clear();
            self.reader.read_until(b'\n', &mut line).ok().filter(|bytes| *bytes > 0)?;
            if line == b"\n" {
                break;
            }
            let (name, value): (String, String) =
                text(&line).split_once(':').map(|(name, value)| (name.into(), value.into()))?;
            headers.push((name, value));
        }
        let length = headers
            .iter()
            .find(|(name, _)| name == "content-length")
            .and_then(|(_, value)| value.parse::<usize>().ok());
        let mut body = Vec::new();
        match length {
            Some(length) => {
                body.resize(length + 1, 0);
                self.reader.read_exact(&mut body).ok()?;
            }
            None => drop(self.reader.read_until(0, &mut body).ok()?),
        }
        body.pop();
        Some(Frame { command, headers, body })
    }

    pub(crate) fn expect(&mut self, command: &str) -> Frame {
        let frame = self.frame().expect(command);
        assert_eq!(frame.command, command, "{frame:?}");
        frame
    }

    /// The next frame of the native protocol; empty once the client has gone.
    pub(crate) fn native(&mut self) -> Vec<u8> {
        let mut length = [0; 4];
        if self.reader.read_exact(&mut length).is_err() {
            return Vec::new();
        }
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        self.reader.read_exact(&mut frame).expect("a whole frame");
        frame
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        // A client that has left is its own affair.
        let _ = self.writer.write_all(bytes);
    }

    /// Answers CONNECT; the headers are lines.
    pub(crate) fn connected(&mut self, headers: &str) {
        self.expect("CONNECT");
        self.write(format!("CONNECTED\n{headers}\n\0").as_bytes());
    }

    /// Answers a frame that asks for a receipt.
    pub(crate) fn receipt(&mut self, frame: &Frame) {
        let id = frame.header("receipt").expect("a receipt is asked for");
        self.write(format!("RECEIPT\nreceipt-id:{id}\n\n\0").as_bytes());
    }

    /// Reads until the client has gone, and throws it away.
    pub(crate) fn swallow(&mut self) {
        let mut piece = [0; 4096];
        while matches!(self.reader.read(&mut piece), Ok(1..)) {}
    }

    pub(crate) fn hang_up(&mut self) {
        let _ = self.writer.shutdown(Shutdown::Both);
    }

    /// Takes and gives so many signs of life.
    pub(crate) fn beat(&mut self, count: usize) {
        let mut byte = [0];
        for _ in 0..count {
            self.write(b"\n");
            self.reader.read_exact(&mut byte).expect("a sign of life");
            assert_eq!(&byte, b"\n");
        }
    }
}

fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line).trim_end_matches('\n').to_owned()
}

/// Serves each connection of the client by `serve`, with its number, on a thread of its own.
pub(crate) fn fake(serve: impl Fn(usize, Peer) + Send + Sync + Clone + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let Ok(stream) = stream else { return };
            stream.set_read_timeout(Some(super::PATIENCE)).expect("a limit");
            let Ok(writer) = stream.try_clone() else { return };
            let serve = serve.clone();
            std::thread::spawn(move || serve(number, Peer { reader: BufReader::new(stream), writer }));
        }
    });
    address
}

/// Stands before a server, and passes bytes on: the client's by `change`, the server's in pieces of so many bytes.
pub(crate) fn between(
    server: SocketAddr,
    piece: usize,
    change: impl Fn(Vec<u8>) -> Vec<u8> + Send + Sync + Clone + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (Ok(client), Ok(server)) = (client, TcpStream::connect(server)) else { return };
            server.set_nodelay(true).expect("small packets");
            client.set_nodelay(true).expect("small packets");
            let streams = [client.try_clone(), server.try_clone()].map(|stream| stream.expect("a second handle"));
            let change = change.clone();
            std::thread::spawn(move || pass(client, server, 4096, change));
            let [to, from] = streams;
            std::thread::spawn(move || pass(from, to, piece, |bytes| bytes));
        }
    });
    address
}

fn pass(mut from: TcpStream, mut to: TcpStream, piece: usize, change: impl Fn(Vec<u8>) -> Vec<u8>) {
    let mut buffer = vec![0; piece];
    loop {
        match from.read(&mut buffer) {
            Ok(bytes @ 1..) => {
                if to.write_all(&change(buffer[..bytes].to_vec())).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            _ => {
                let _ = to.shutdown(Shutdown::Write);
                return;
            }
        }
    }
}
