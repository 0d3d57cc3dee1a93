//! Stands between two peers and passes what comes for us one byte at a time.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;

pub(crate) struct Bytewise {
    pub(crate) endpoint: String,
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    fn connect(endpoint: &str) -> Stream {
        if let Some(address) = endpoint.strip_prefix("tcp://") {
            let stream = TcpStream::connect(address).unwrap();
            stream.set_nodelay(true).unwrap();
            return Stream::Tcp(stream);
        }
        Stream::Unix(UnixStream::connect(endpoint.strip_prefix("ipc://").unwrap()).unwrap())
    }

    fn clone(&self) -> Stream {
        match self {
            Stream::Tcp(stream) => Stream::Tcp(stream.try_clone().unwrap()),
            Stream::Unix(stream) => Stream::Unix(stream.try_clone().unwrap()),
        }
    }

    fn end(&self) {
        let _ = match self {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Both),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Both),
        };
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(buffer),
            Stream::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.write(bytes),
            Stream::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Bytewise {
    /// For one connection: listens at `entry`, and connects to `target`. `to_entry` is whether we are who connects.
    pub(crate) fn before(target: &str, entry: &str, to_entry: bool) -> Bytewise {
        let target = target.to_owned();
        let accept: Box<dyn FnOnce() -> Stream + Send>;
        let endpoint = if entry.starts_with("tcp://") {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
            accept = Box::new(move || {
                let stream = listener.accept().unwrap().0;
                stream.set_nodelay(true).unwrap();
                Stream::Tcp(stream)
            });
            endpoint
        } else {
            let listener = UnixListener::bind(entry.strip_prefix("ipc://").unwrap()).unwrap();
            accept = Box::new(move || Stream::Unix(listener.accept().unwrap().0));
            entry.into()
        };
        thread::spawn(move || {
            let outer = accept();
            let inner = Stream::connect(&target);
            let (us, them) = if to_entry { (outer, inner) } else { (inner, outer) };
            let (from_us, to_them) = (us.clone(), them.clone());
            thread::spawn(move || pass(from_us, to_them, usize::MAX));
            pass(them, us, 1);
        });
        Bytewise { endpoint }
    }
}

fn pass(mut from: Stream, mut to: Stream, piece: usize) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(bytes @ 1..) = from.read(&mut buffer) {
        if buffer[..bytes].chunks(piece).any(|piece| to.write_all(piece).is_err()) {
            break;
        }
    }
    to.end();
}
