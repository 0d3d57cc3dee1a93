use crate::endpoint::{ANY_PATH, abstract_name};
use crate::endpoints::Guard;
use crate::{Endpoint, Error};
use parking_lot::Mutex;
use socket2::{Domain, SockAddr, Socket, Type};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use switchboard_driver::resolve_blocking;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// The sockets that listen for one endpoint.
#[derive(Debug)]
pub(crate) enum Listener {
    /// One for each address of the name.
    Tcp(Vec<TcpListener>),
    Unix(UnixListener, #[expect(dead_code, reason = "for its drop")] Files),
}

/// The files of a Unix socket, removed with its listener.
#[derive(Debug, Default)]
pub(crate) struct Files {
    socket: Option<PathBuf>,
    folder: Option<PathBuf>,
}

impl Drop for Files {
    fn drop(&mut self) {
        if let Some(path) = &self.socket {
            let _ = std::fs::remove_file(path);
        }
        if let Some(path) = &self.folder {
            let _ = std::fs::remove_dir(path);
        }
    }
}

pub(super) enum Accepted {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

/// A listener of a task, which somebody else may close.
#[derive(Clone, Debug)]
pub(crate) struct SharedListener(Arc<Mutex<Option<Listener>>>);

impl Drop for CloseListener {
    fn drop(&mut self) {
        let listener = self.0.0.lock().take();
        drop(listener);
    }
}

struct CloseListener(SharedListener);

impl SharedListener {
    /// The next connection. Pending for ever once the listener is closed.
    pub(super) fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        match &mut *self.0.lock() {
            None => Poll::Pending,
            Some(Listener::Unix(listener, _)) => {
                listener.poll_accept(context).map_ok(|(stream, _)| Accepted::Unix(stream))
            }
            Some(Listener::Tcp(listeners)) => {
                for at in 0..listeners.len() {
                    if let Poll::Ready(result) = listeners[at].poll_accept(context) {
                        // The others have their turn first.
                        listeners.rotate_left(at + 1);
                        return Poll::Ready(result.map(|(stream, address)| Accepted::Tcp(stream, address)));
                    }
                }
                Poll::Pending
            }
        }
    }
}

/// Maximum number of connections that wait to be accepted.
const BACKLOG: i32 = 1024;
/// Attempts to find a port that is free at all addresses of a name.
const ATTEMPTS: usize = 16;

impl Listener {
    /// Listens, and returns the endpoint with what was left open. Must be called where the socket's I/O runs.
    pub(crate) fn bind(endpoint: &Endpoint, limit: Duration) -> Result<(Listener, Endpoint), Error> {
        let bound = match endpoint {
            Endpoint::Tcp { host, port } => bind_tcp(host, *port, limit),
            Endpoint::Ipc(path) => bind_unix(path),
            Endpoint::Inproc(_) => unreachable!("needs no listener"),
        };
        bound.map_err(|error| Error::Bind { endpoint: endpoint.to_string(), source: Arc::new(error) })
    }

    /// For the task that accepts, and a guard that closes the listener at once.
    pub(crate) fn share(self) -> (SharedListener, Guard) {
        let shared = SharedListener(Arc::new(Mutex::new(Some(self))));
        (shared.clone(), Guard::new(CloseListener(shared)))
    }
}

fn bind_tcp(host: &str, port: u16, limit: Duration) -> io::Result<(Listener, Endpoint)> {
    let host = if host == "*" { "0.0.0.0" } else { host };
    let listeners = listen_on_all(&resolve_blocking(host, port, limit)?)?;
    let port = listeners[0].local_addr()?.port();
    Ok((Listener::Tcp(listeners), Endpoint::Tcp { host: host.into(), port }))
}

/// Listens on all addresses, on one port.
fn listen_on_all(addresses: &[SocketAddr]) -> io::Result<Vec<TcpListener>> {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        match listen_on_each(addresses) {
            // The free port of the first address was not free at another one.
            Err(error) if error.kind() == ErrorKind::AddrInUse && addresses[0].port() == 0 => last = Some(error),
            result => return result,
        }
    }
    Err(last.expect("there was an attempt"))
}

fn listen_on_each(addresses: &[SocketAddr]) -> io::Result<Vec<TcpListener>> {
    let mut listeners: Vec<TcpListener> = Vec::new();
    let mut missing = None;
    for address in addresses {
        let mut address = *address;
        if let Some(first) = listeners.first() {
            address.set_port(first.local_addr()?.port());
        }
        match listen_on(address) {
            Ok(listener) => listeners.push(listener),
            // The name has an address that this machine lacks, as ::1 where IPv6 is off.
            Err(error) if is_missing(&error) => missing = Some(error),
            Err(error) => return Err(error),
        }
    }
    match missing {
        Some(error) if listeners.is_empty() => Err(error),
        _ => Ok(listeners),
    }
}

fn is_missing(error: &io::Error) -> bool {
    const EAFNOSUPPORT: i32 = 97;
    matches!(error.kind(), ErrorKind::AddrNotAvailable | ErrorKind::Unsupported)
        || error.raw_os_error() == Some(EAFNOSUPPORT)
}

fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // So that a program that starts again finds its port.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn bind_unix(path: &Path) -> io::Result<(Listener, Endpoint)> {
    let endpoint = |path: &Path| Endpoint::Ipc(path.into());
    if let Some(name) = abstract_name(path) {
        let listener = UnixListener::bind(abstract_path(name))?;
        return Ok((Listener::Unix(listener, Files::default()), endpoint(path)));
    }
    if path == Path::new(ANY_PATH) {
        // Only this user can connect, and nobody else can have made it.
        let folder = std::env::temp_dir().join(format!("switchboard-{:016x}", fastrand::u64(..)));
        std::fs::DirBuilder::new().mode(0o700).create(&folder)?;
        let path = folder.join("socket");
        let files = Files { socket: Some(path.clone()), folder: Some(folder) };
        return Ok((Listener::Unix(UnixListener::bind(&path)?, files), endpoint(&path)));
    }
    let listener = bind_path(path)?;
    Ok((Listener::Unix(listener, Files { socket: Some(path.into()), folder: None }), endpoint(path)))
}

/// tokio takes a path that begins with a zero byte for a name in the abstract namespace.
pub(super) fn abstract_path(name: &[u8]) -> PathBuf {
    std::ffi::OsStr::from_bytes(&[b"\0", name].concat()).into()
}

/// Replaces a path that a dead process has left behind, but not one that a process listens on. Never waits: a connection that
/// blocks would do so for as long as the other's backlog is full.
fn bind_path(path: &Path) -> io::Result<UnixListener> {
    use std::os::unix::fs::FileTypeExt;
    let probe = |path: &Path| {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.connect(&SockAddr::unix(path)?)
    };
    let stale = |path: &Path| {
        std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
            && probe(path).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    };
    match UnixListener::bind(path) {
        Err(error) if error.kind() == ErrorKind::AddrInUse && stale(path) => {
            std::fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::net::Ipv4Addr;

    fn address(last: u8, port: u16) -> SocketAddr {
        (Ipv4Addr::new(127, 0, 0, last), port).into()
    }

    #[tokio::test]
    async fn every_address_of_a_name_is_listened_on_on_one_port_and_accepted_from() {
        let listeners = listen_on_all(&[address(1, 0), address(2, 0), address(3, 0)]).unwrap();
        let addresses: Vec<_> = listeners.iter().map(|listener| listener.local_addr().unwrap()).collect();
        let port = addresses[0].port();
        assert_eq!(addresses, [address(1, port), address(2, port), address(3, port)]);
        let (shared, guard) = Listener::Tcp(listeners).share();
        for address in addresses.iter().rev() {
            let stream = TcpStream::connect(address).await.unwrap();
            let Accepted::Tcp(_, from) = poll_fn(|context| shared.poll_accept(context)).await.unwrap() else {
                panic!("of another kind")
            };
            assert_eq!(from, stream.local_addr().unwrap());
        }
        drop(guard);
        for address in addresses {
            assert_eq!(TcpStream::connect(address).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        }
    }

    #[tokio::test]
    async fn an_address_that_the_machine_lacks_is_left_out_and_one_in_use_is_not() {
        // A documentation address is nobody's.
        let missing = SocketAddr::from(([192, 0, 2, 77], 0));
        assert_eq!(listen_on_all(&[missing, address(1, 0)]).unwrap().len(), 1);
        assert_eq!(listen_on_all(&[missing]).unwrap_err().kind(), ErrorKind::AddrNotAvailable);
        let taken = std::net::TcpListener::bind(address(2, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = listen_on_all(&[address(1, port), address(2, port)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        std::net::TcpListener::bind(address(1, port)).expect("nothing is left behind");
    }

    #[tokio::test]
    async fn an_abstract_name_and_a_fresh_path_are_listened_on_and_leave_nothing_behind() {
        let name = format!("@switchboard-test-{:x}", fastrand::u64(..));
        let (listener, endpoint) = bind_unix(Path::new(&name)).unwrap();
        assert_eq!(endpoint.to_string(), format!("ipc://{name}"));
        assert_eq!(bind_unix(Path::new(&name)).unwrap_err().kind(), ErrorKind::AddrInUse);
        assert!(!Path::new(&name).exists());
        drop(listener);
        bind_unix(Path::new(&name)).expect("the name is free again");
        let (listener, endpoint) = bind_unix(Path::new(ANY_PATH)).unwrap();
        let Endpoint::Ipc(path) = endpoint else { panic!("of another kind") };
        assert!(path.exists());
        drop(listener);
        assert!(!path.parent().unwrap().exists());
    }
    #[tokio::test]
    async fn a_path_whose_listener_has_a_full_backlog_is_in_use_and_a_stale_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let connect = || {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket.connect(&SockAddr::unix(&path).unwrap()).map(|()| socket)
        };
        let busy = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        busy.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        busy.listen(1).unwrap();
        let mut waiting = Vec::new();
        let full = loop {
            match connect() {
                Ok(socket) => waiting.push(socket),
                Err(error) => break error,
            }
        };
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
        // A thread of its own, so that one that hangs fails the test.
        let (sender, receiver) = std::sync::mpsc::channel();
        let taken = path.clone();
        let runtime = tokio::runtime::Handle::current();
        std::thread::spawn(move || {
            let _entered = runtime.enter();
            let _ = sender.send(bind_path(&taken).map(drop).map_err(|error| error.kind()));
        });
        let bound = receiver.recv_timeout(Duration::from_secs(25)).expect("it does not wait");
        assert_eq!(bound, Err(ErrorKind::AddrInUse));
        assert!(path.exists());
        drop(busy);
        bind_path(&path).expect("nobody listens there any more");
    }
}
