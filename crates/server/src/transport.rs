//! Acknowledgments of the peer's machine.

use std::time::Duration;

/// The state of a TCP connection at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transport {
    /// Bytes that the peer's machine has acknowledged since the connection began. The end of the stream may count as
    /// one.
    pub(crate) acknowledged: u64,
    /// Whether the last retransmissions or window probes have had no answer yet.
    pub(crate) is_unanswered: bool,
    /// Since when the peer's machine has acknowledged nothing, probes included.
    pub(crate) silence: Duration,
}

/// Input from the peer that nobody has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unread {
    pub(crate) bytes: usize,
    /// Whether nothing more will come.
    pub(crate) is_all: bool,
}

#[cfg(target_os = "linux")]
mod linux {
    use super::{Transport, Unread};
    use std::io;
    use std::mem::{MaybeUninit, offset_of, size_of};
    use std::os::fd::{AsFd, AsRawFd};
    use std::time::Duration;

    /// Asks the kernel. It also answers after a reset.
    ///
    /// # Errors
    /// If this is no TCP socket, or the kernel is older than 4.1.
    pub(crate) fn transport(socket: &impl AsFd) -> io::Result<Transport> {
        let info = tcp_info(socket)?;
        Ok(Transport {
            acknowledged: info.tcpi_bytes_acked,
            // One may stay without an answer: Linux gives at most two a second. A peer that does not read answers
            // retransmissions, too, and is still sent more of them.
            is_unanswered: info.tcpi_probes > 1
                || info.tcpi_retransmits > 1 && info.tcpi_last_ack_recv > info.tcpi_last_data_sent,
            silence: Duration::from_millis(info.tcpi_last_ack_recv.into()),
        })
    }

    /// Bytes given to a socket since its connection began, as [`Transport::acknowledged`] counts them.
    ///
    /// # Errors
    /// As for [`transport`].
    pub(crate) fn given(socket: &impl AsFd) -> io::Result<u64> {
        let mut before = tcp_info(socket)?.tcpi_bytes_acked;
        loop {
            let waiting = bytes_in(socket, libc::TIOCOUTQ)?;
            // An acknowledgment in between would count its bytes twice, or not at all.
            let acknowledged = tcp_info(socket)?.tcpi_bytes_acked;
            if std::mem::replace(&mut before, acknowledged) == acknowledged {
                return Ok(acknowledged + waiting as u64);
            }
        }
    }

    /// Asks the kernel what waits to be read.
    ///
    /// # Errors
    /// As for [`transport`].
    pub(crate) fn unread(socket: &impl AsFd) -> io::Result<Unread> {
        let bytes = bytes_in(socket, libc::FIONREAD)?;
        let is_all = matches!(tcp_info(socket)?.tcpi_state, CLOSE | CLOSE_WAIT);
        Ok(Unread { bytes, is_all })
    }

    /// Asks the kernel how many bytes are in a buffer of a socket: `FIONREAD` or `TIOCOUTQ`.
    #[allow(unsafe_code, reason = "nothing that is linked here asks for it; the tests below would catch a mistake")]
    fn bytes_in(socket: &impl AsFd, request: libc::Ioctl) -> io::Result<usize> {
        let mut bytes: libc::c_int = 0;
        // SAFETY: the kernel writes one `c_int` to the address of `bytes`.
        let failed = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), request, &raw mut bytes) };
        if failed != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(usize::try_from(bytes).unwrap_or(0))
    }

    /// States of a connection whose peer sends nothing more (`TCP_CLOSE`, `TCP_CLOSE_WAIT`).
    const CLOSE: u8 = 7;
    const CLOSE_WAIT: u8 = 8;

    #[allow(unsafe_code, reason = "no maintained crate reads TCP_INFO; the tests below would catch a wrong layout")]
    fn tcp_info(socket: &impl AsFd) -> io::Result<libc::tcp_info> {
        let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
        let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
        // SAFETY: the kernel writes at most `length` bytes, which `info` has room for.
        let failed = unsafe {
            let descriptor = socket.as_fd().as_raw_fd();
            libc::getsockopt(descriptor, libc::IPPROTO_TCP, libc::TCP_INFO, info.as_mut_ptr().cast(), &raw mut length)
        };
        if failed != 0 {
            return Err(io::Error::last_os_error());
        }
        if (length as usize) < offset_of!(libc::tcp_info, tcpi_bytes_acked) + size_of::<u64>() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        // SAFETY: it was zeroed, and consists of integers.
        Ok(unsafe { info.assume_init() })
    }

    /// `TCP_RTO_MAX_MS`, since Linux 6.15: in milliseconds, for retransmissions and window probes.
    const RTO_MAX: libc::c_int = 44;
    const RTO_MAX_BOUNDS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(120));

    /// Lets the kernel ask the peers of a listener's connections at least four times within `limit`, as far as it can:
    /// every second at most, every two minutes at least. By itself it asks a peer that does not read ever more rarely, so
    /// that one which vanishes after a minute would be found minutes later.
    ///
    /// # Errors
    /// If the kernel is older than 6.15.
    #[allow(unsafe_code, reason = "no maintained crate sets this option; the tests below would catch a wrong number")]
    pub(crate) fn ask_within(listener: &impl AsFd, limit: Duration) -> io::Result<()> {
        let (min, max) = RTO_MAX_BOUNDS;
        let gap = (limit / 4).clamp(min, max).as_millis() as libc::c_int;
        // SAFETY: the kernel reads `size_of::<c_int>()` bytes at the address of `gap`.
        let failed = unsafe {
            let descriptor = listener.as_fd().as_raw_fd();
            let length = size_of::<libc::c_int>() as libc::socklen_t;
            libc::setsockopt(descriptor, libc::IPPROTO_TCP, RTO_MAX, (&raw const gap).cast(), length)
        };
        if failed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use std::io::{Read, Write};
        use std::net::{TcpListener, TcpStream};
        use std::os::unix::net::UnixStream;

        fn pair() -> (TcpStream, TcpStream) {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            (listener.accept().unwrap().0, client)
        }

        fn acknowledged(socket: &TcpStream) -> u64 {
            let transport = transport(socket).unwrap();
            assert!(!transport.is_unanswered);
            transport.acknowledged
        }

        #[test]
        fn what_the_peer_s_machine_took_is_acknowledged_whether_its_program_reads_or_not() {
            let (mut server, mut client) = pair();
            let before = acknowledged(&server);
            server.write_all(&[7; 5000]).unwrap();
            while acknowledged(&server) < before + 5000 {
                std::thread::yield_now();
            }
            assert_eq!(acknowledged(&server), before + 5000);
            client.read_exact(&mut [0; 5000]).unwrap();
            assert_eq!(acknowledged(&server), before + 5000);
            assert!(before <= 1);
        }

        #[test]
        fn what_no_longer_fits_into_the_peer_s_machine_is_not_acknowledged_and_known_after_a_reset() {
            let (mut server, client) = pair();
            server.set_nonblocking(true).unwrap();
            let mut written = 0;
            while let Ok(bytes) = server.write(&[7; 64 << 10]) {
                written += bytes as u64;
            }
            let taken = transport(&server).unwrap().acknowledged;
            assert!(taken < written, "{taken} of {written}");
            // With unread bytes in it, this resets the connection.
            drop(client);
            while server.take_error().unwrap().is_none() {
                std::thread::yield_now();
            }
            let acknowledged = transport(&server).unwrap().acknowledged;
            assert!((taken..written).contains(&acknowledged), "{acknowledged} of {written}");
        }

        /// The kernel's `RTO_MAX`, in milliseconds; `None` if it is too old for that.
        #[allow(unsafe_code, reason = "as where it is set")]
        fn longest_gap(socket: &impl AsFd) -> Option<libc::c_int> {
            let mut gap = 0;
            let mut length = size_of::<libc::c_int>() as libc::socklen_t;
            // SAFETY: the kernel writes at most `length` bytes, which `gap` has room for.
            let failed = unsafe {
                let descriptor = socket.as_fd().as_raw_fd();
                let place = (&raw mut gap).cast();
                libc::getsockopt(descriptor, libc::IPPROTO_TCP, RTO_MAX, place, &raw mut length)
            };
            (failed == 0).then_some(gap)
        }

        #[test]
        fn a_peer_that_does_not_read_is_asked_four_times_within_the_limit() {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            for (limit, gap) in [(1, 1000), (4000, 1000), (8000, 2000), (10_000, 2500), (480_000, 120_000)] {
                let set = ask_within(&listener, Duration::from_millis(limit));
                let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
                let (server, _) = listener.accept().unwrap();
                match longest_gap(&server) {
                    Some(noted) => assert_eq!(noted, gap, "{limit} ms: {set:?}"),
                    None => assert!(set.is_err()),
                }
            }
            let _ = ask_within(&listener, Duration::MAX);
            assert!(longest_gap(&listener).is_none_or(|gap| gap == 120_000));
        }

        #[test]
        fn what_nobody_has_read_is_known_and_whether_more_may_come() {
            let (mut server, mut client) = pair();
            assert_eq!(unread(&server).unwrap(), Unread { bytes: 0, is_all: false });
            client.write_all(&[7; 5]).unwrap();
            while unread(&server).unwrap().bytes < 5 {
                std::thread::yield_now();
            }
            server.read_exact(&mut [0; 2]).unwrap();
            assert_eq!(unread(&server).unwrap(), Unread { bytes: 3, is_all: false });
            client.shutdown(std::net::Shutdown::Write).unwrap();
            while !unread(&server).unwrap().is_all {
                std::thread::yield_now();
            }
            assert!(unread(&server).unwrap().bytes >= 3);
        }

        #[test]
        fn what_was_given_before_counts_whether_it_is_acknowledged_or_not() {
            let (mut server, client) = pair();
            assert_eq!(given(&server).unwrap(), acknowledged(&server));
            let begin = given(&server).unwrap();
            server.write_all(&[7; 5000]).unwrap();
            assert_eq!(given(&server).unwrap(), begin + 5000);
            while acknowledged(&server) < begin + 5000 {
                std::thread::yield_now();
            }
            assert_eq!(given(&server).unwrap(), begin + 5000);
            // The client reads nothing, and its window is full in the end.
            server.set_nonblocking(true).unwrap();
            let mut written = 5000;
            while let Ok(bytes) = server.write(&[7; 64 << 10]) {
                written += bytes as u64;
                assert_eq!(given(&server).unwrap(), begin + written);
            }
            assert!(transport(&server).unwrap().acknowledged < begin + written);
            drop(client);
        }

        #[test]
        fn a_pipe_has_no_such_state() {
            assert!(transport(&UnixStream::pair().unwrap().0).is_err());
            assert!(given(&UnixStream::pair().unwrap().0).is_err());
        }
    }
}

#[cfg(target_os = "linux")]
pub(crate) use linux::{ask_within, given, transport, unread};

/// Only Linux can be told.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub(crate) fn ask_within<S>(_: &S, _: std::time::Duration) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// Only Linux is asked.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub(crate) fn unread<S>(_: &S) -> std::io::Result<Unread> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// Only Linux says what was acknowledged.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub(crate) fn given<S>(_: &S) -> std::io::Result<u64> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// Only Linux says what was acknowledged.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub(crate) fn transport<S>(_: &S) -> std::io::Result<Transport> {
    Err(std::io::ErrorKind::Unsupported.into())
}
