use crate::ensure_files;
use crate::start_thread;
use parking_lot::Mutex;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::mpsc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Maximum number of concurrent lookups in the process. One that hangs counts until the system's resolver returns.
pub const MAX_LOOKUPS: usize = 32;

static RUNNING: Mutex<usize> = Mutex::new(0);

/// A lookup that is counted until its thread ends.
struct Running;

impl Running {
    fn start() -> io::Result<Running> {
        let mut running = RUNNING.lock();
        if *running == MAX_LOOKUPS {
            let text = format!("{MAX_LOOKUPS} lookups of names are running already, which is the limit");
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, text));
        }
        *running += 1;
        Ok(Running)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        *RUNNING.lock() -= 1;
    }
}

/// The addresses of `host`: a name, or an address without brackets. An address needs no lookup.
///
/// The lookup runs in a thread of its own, which is left alone when the limit is over. tokio's own lookup would delay the end
/// of its runtime until the resolver returns.
///
/// # Errors
///
/// `TimedOut` after `limit`, `ResourceBusy` beyond [`MAX_LOOKUPS`], `NotFound` for a name without addresses, and the resolver's
/// own errors.
pub async fn resolve(host: &str, port: u16, limit: Duration) -> io::Result<Vec<SocketAddr>> {
    if let Some(address) = literal(host, port) {
        return Ok(vec![address]);
    }
    let (sender, receiver) = oneshot::channel();
    look_up(host, port, move |result| drop(sender.send(result)))?;
    answer(host, limit, receiver).await
}

type Answer = io::Result<Vec<SocketAddr>>;

async fn answer(host: &str, limit: Duration, receiver: oneshot::Receiver<Answer>) -> Answer {
    match timeout(limit, receiver).await {
        Ok(result) => result.unwrap_or_else(|_| Err(no_address(host))),
        Err(_) => Err(too_slow(host, limit)),
    }
}

/// As [`resolve`], for a plain thread, which it blocks.
///
/// # Errors
///
/// As [`resolve`].
pub fn resolve_blocking(host: &str, port: u16, limit: Duration) -> io::Result<Vec<SocketAddr>> {
    if let Some(address) = literal(host, port) {
        return Ok(vec![address]);
    }
    let (sender, receiver) = mpsc::channel();
    look_up(host, port, move |result| drop(sender.send(result)))?;
    receiver.recv_timeout(limit).unwrap_or_else(|_| Err(too_slow(host, limit)))
}

fn literal(host: &str, port: u16) -> Option<SocketAddr> {
    host.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, port))
}

fn look_up(host: &str, port: u16, done: impl FnOnce(Answer) + Send + 'static) -> io::Result<()> {
    let running = Running::start()?;
    let host = host.to_owned();
    start_thread("switchboard-dns", move || {
        let result = (host.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
        let result = result.map_err(|error| if is_unknown(&error) { unknown(&host) } else { error });
        drop(running);
        done(result.and_then(|addresses| if addresses.is_empty() { Err(no_address(&host)) } else { Ok(addresses) }));
    })?;
    Ok(())
}

/// Returns true if the resolver knows that there is no such name; it may also say that it is to be asked again. The standard
/// library has its answer as text only: that of glibc, musl and macOS.
fn is_unknown(error: &io::Error) -> bool {
    let text = error.to_string();
    let answers =
        ["Name or service not known", "No address associated", "Name does not resolve", "nodename nor servname"];
    answers.iter().any(|answer| text.contains(answer))
}

/// Files that a lookup opens at a time, at most: it knows no name if it cannot.
const LOOKUP: usize = 4;

fn unknown(host: &str) -> io::Error {
    ensure_files(LOOKUP).err().unwrap_or_else(|| no_address(host))
}

fn no_address(host: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("the name {host} has no address"))
}

fn too_slow(host: &str, limit: Duration) -> io::Error {
    let seconds = limit.as_secs_f32();
    io::Error::new(io::ErrorKind::TimedOut, format!("the address of {host} was not found within {seconds} s"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The count of lookups belongs to the process, and so to one test at a time.
    static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

    #[tokio::test]
    async fn an_address_is_its_own_and_a_name_is_looked_up() {
        let _turn = TURN.lock().await;
        let second = Duration::from_secs(30);
        assert_eq!(resolve("::1", 7, Duration::ZERO).await.unwrap(), ["[::1]:7".parse().unwrap()]);
        assert_eq!(resolve_blocking("127.0.0.9", 7, Duration::ZERO).unwrap(), ["127.0.0.9:7".parse().unwrap()]);
        let addresses = resolve("localhost", 7, second).await.unwrap();
        assert!(addresses.iter().all(|address| address.ip().is_loopback() && address.port() == 7));
        assert_eq!(resolve_blocking("localhost", 7, second).unwrap(), addresses);
        // No label is so long, so nobody is asked.
        assert!(resolve(&"x".repeat(300), 7, second).await.is_err());
        let (_hangs, receiver) = oneshot::channel();
        let error = answer("slow.example", Duration::from_millis(1), receiver).await.unwrap_err();
        assert_eq!(error.to_string(), "the address of slow.example was not found within 0.001 s");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_name_that_does_not_exist_is_told_from_a_resolver_that_is_to_be_asked_again() {
        let answer = |text: &str| io::Error::other(format!("failed to lookup address information: {text}"));
        for unknown in ["Name or service not known", "No address associated with hostname", "Name does not resolve"] {
            assert!(is_unknown(&answer(unknown)), "{unknown}");
        }
        for other in ["Temporary failure in name resolution", "System error"] {
            assert!(!is_unknown(&answer(other)), "{other}");
        }
        let error = no_address("nosuchhost.invalid");
        assert_eq!(
            (error.kind(), error.to_string()),
            (io::ErrorKind::NotFound, "the name nosuchhost.invalid has no address".into())
        );
    }

    #[test]
    fn lookups_are_counted_until_they_end() {
        let _turn = TURN.blocking_lock();
        let running: Vec<_> = std::iter::from_fn(|| Running::start().ok()).collect();
        assert!(running.len() <= MAX_LOOKUPS && !running.is_empty());
        let error = resolve_blocking("localhost", 7, Duration::MAX).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
        drop(running);
        assert!(Running::start().is_ok());
    }
}
