use crate::resolve::resolve;
use socket2::SockRef;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Maximum number of addresses of a name that are dialed; the others are left out.
pub const MAX_ADDRESSES: usize = 16;

/// Connects to `host`, which is a name or an address without brackets. Every address of a name is dialed in turn, each for at most
/// `limit`; the lookup has the same limit for itself. `TCP_NODELAY` is set: the callers batch their writes.
///
/// # Errors
///
/// The error of the only address, or one of the kind of the last with the text of all. `ConnectionRefused` where the kernel connected
/// the socket to itself. Else as [`resolve`].
pub async fn connect(host: &str, port: u16, limit: Duration) -> io::Result<TcpStream> {
    let addresses = resolve(host, port, limit).await?;
    first_of(&addresses, |address| connect_one(address, limit)).await
}

/// As [`connect`], to `HOST:PORT`; an IPv6 address stands in brackets.
///
/// # Errors
///
/// `InvalidInput` if it has another form; else as [`connect`].
pub async fn connect_to(address: &str, limit: Duration) -> io::Result<TcpStream> {
    let (host, port) = split(address).ok_or_else(|| {
        io::Error::new(
            ErrorKind::InvalidInput,
            format!("{address:?} is not HOST:PORT; an IPv6 address stands in brackets"),
        )
    })?;
    connect(host, port, limit).await
}

fn split(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let bare = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    (!bare.is_empty()).then_some(())?;
    Some((bare, port.parse().ok()?))
}

/// The first success, in turn.
async fn first_of<T, F>(addresses: &[SocketAddr], mut dial: impl FnMut(SocketAddr) -> F) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    let mut errors = Vec::new();
    for address in addresses.iter().take(MAX_ADDRESSES) {
        match dial(*address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => errors.push((address, error)),
        }
    }
    match errors.pop() {
        None => Err(io::Error::new(ErrorKind::NotFound, "there is no address to connect to")),
        Some((_, error)) if errors.is_empty() => Err(error),
        Some(last) => {
            let kind = last.1.kind();
            errors.push(last);
            let texts: Vec<_> = errors.iter().map(|(address, error)| format!("{address}: {error}")).collect();
            Err(io::Error::new(kind, texts.join("; ")))
        }
    }
}

async fn connect_one(address: SocketAddr, limit: Duration) -> io::Result<TcpStream> {
    let Ok(stream) = timeout(limit, TcpStream::connect(address)).await else {
        let text = format!("no answer within {} s", limit.as_secs_f32());
        return Err(io::Error::new(ErrorKind::TimedOut, text));
    };
    let stream = stream?;
    refuse_self_connect(&stream)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A socket that connects to a free port of this machine from that same port, by chance, is connected to itself (TCP's
/// simultaneous open), and reads what it writes.
fn refuse_self_connect(stream: &TcpStream) -> io::Result<()> {
    if stream.local_addr()? != stream.peer_addr()? {
        return Ok(());
    }
    // A reset, or the port would stay in TIME_WAIT and be taken from its server.
    SockRef::from(stream).set_linger(Some(Duration::ZERO))?;
    Err(io::Error::new(
        ErrorKind::ConnectionRefused,
        "nobody listens there (the kernel connected the socket to itself)",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::{Domain, Socket, Type};
    use std::net::{Ipv4Addr, TcpListener};

    /// Generous; only what must come to its end waits so long.
    const LIMIT: Duration = Duration::from_secs(30);

    /// An address that swallows packets: a listener whose queue is full answers no SYN. It lasts as long as what is returned.
    fn swallows() -> (SocketAddr, Vec<Socket>) {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let mut sockets = vec![listener];
        for _ in 0..3 {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            let _ = socket.connect(&address.into());
            sockets.push(socket);
        }
        (address, sockets)
    }

    #[tokio::test]
    async fn an_address_that_swallows_packets_does_not_hide_the_next() {
        let (silent, _full) = swallows();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let good = listener.local_addr().unwrap();
        let limit = Duration::from_millis(100);
        let stream = first_of(&[silent, good], |address| connect_one(address, limit)).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        assert!(stream.nodelay().unwrap());
        let error = connect_one(silent, limit).await.unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::TimedOut, "no answer within 0.1 s".into()));
    }

    #[tokio::test]
    async fn addresses_are_dialed_in_turn_up_to_the_limit_and_all_errors_are_told() {
        let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        for (count, dialed) in [(1, 1), (MAX_ADDRESSES - 1, 15), (MAX_ADDRESSES, 16), (MAX_ADDRESSES + 1, 16)] {
            let addresses: Vec<_> = (1..).take(count).map(address).collect();
            let mut seen = Vec::new();
            let error = first_of::<(), _>(&addresses, |address| {
                seen.push(address);
                async move { Err(io::Error::new(ErrorKind::ConnectionRefused, format!("no {}", address.port()))) }
            })
            .await
            .unwrap_err();
            assert_eq!(seen, addresses[..dialed]);
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            let last = format!("no {dialed}");
            assert!(error.to_string().ends_with(&last) && error.to_string().contains("no 1"), "{error}");
        }
        let none = first_of::<(), _>(&[], |_| async { unreachable!() }).await.unwrap_err();
        assert_eq!(none.kind(), ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn a_socket_that_is_connected_to_itself_is_refused_and_its_port_is_free() {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        let address = socket.local_addr().unwrap();
        socket.connect(&address).unwrap();
        socket.set_nonblocking(true).unwrap();
        let stream = TcpStream::from_std(socket.into()).unwrap();
        let error = refuse_self_connect(&stream).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        drop(stream);
        // Without SO_REUSEADDR, so that a port in TIME_WAIT would be in the way.
        Socket::new(Domain::IPV4, Type::STREAM, None).unwrap().bind(&address).unwrap();

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        refuse_self_connect(&connect("127.0.0.1", port, LIMIT).await.unwrap()).unwrap();
    }

    #[tokio::test]
    async fn a_host_and_a_port_are_told_apart() {
        for (text, expected) in [
            ("a:1", Some(("a", 1))),
            ("[::1]:65535", Some(("::1", 65535))),
            ("::1:1", None),
            ("[::1:1", None),
            ("a", None),
            (":1", None),
            ("[]:1", None),
            ("a:65536", None),
            ("a:", None),
        ] {
            assert_eq!(split(text), expected, "{text}");
        }
        assert_eq!(connect_to("a", LIMIT).await.unwrap_err().kind(), ErrorKind::InvalidInput);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        connect_to(&listener.local_addr().unwrap().to_string(), LIMIT).await.unwrap();
    }
}
