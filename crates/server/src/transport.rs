//! What the peer's machine has acknowledged.

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

#[cfg(target_os = "linux")]
mod linux {
    use super::Transport;
    use std::io;
    use std::mem::{MaybeUninit, offset_of, size_of};
    use std::os::fd::{AsFd, AsRawFd};
    use std::time::Duration;

    /// Asks the kernel. It also answers after a reset.
    ///
    /// # Errors
    /// If this is no TCP socket, or the kernel is older than 4.1.
    #[allow(unsafe_code, reason = "no maintained crate reads TCP_INFO; the tests below would catch a wrong layout")]
    pub(crate) fn transport(socket: &impl AsFd) -> io::Result<Transport> {
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
        let info = unsafe { info.assume_init() };
        Ok(Transport {
            acknowledged: info.tcpi_bytes_acked,
            // One may stay without an answer: Linux gives at most two a second. A peer that does not read answers
            // retransmissions, too, and is still sent more of them.
            is_unanswered: info.tcpi_probes > 1
                || info.tcpi_retransmits > 1 && info.tcpi_last_ack_recv > info.tcpi_last_data_sent,
            silence: Duration::from_millis(info.tcpi_last_ack_recv.into()),
        })
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

        #[test]
        fn a_pipe_has_no_such_state() {
            assert!(transport(&UnixStream::pair().unwrap().0).is_err());
        }
    }
}

#[cfg(target_os = "linux")]
pub(crate) use linux::transport;

/// Only Linux says what was acknowledged.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub(crate) fn transport<S>(_: &S) -> std::io::Result<Transport> {
    Err(std::io::ErrorKind::Unsupported.into())
}
