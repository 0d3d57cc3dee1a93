//! The port where clients of STOMP look for a broker: another one may have it.

use crate::config::stomp_addresses;
use std::io::ErrorKind;
use std::net::TcpListener;

/// Leaves out those of nobody's choice that are taken, and returns them. STOMP is spoken at the native port as well, so that the
/// broker need not wait for them.
pub(crate) fn leave_out_taken(addresses: &mut Vec<String>) -> Vec<String> {
    if *addresses == stomp_addresses() { take_taken(addresses) } else { Vec::new() }
}

fn take_taken(addresses: &mut Vec<String>) -> Vec<String> {
    let is_taken =
        |address: &mut String| TcpListener::bind(&*address).is_err_and(|error| error.kind() == ErrorKind::AddrInUse);
    addresses.extract_if(.., is_taken).collect()
}

/// Says that they are left out. Not before the broker listens: if its own ports are taken, this is not the reason to name.
pub(crate) fn warn_of_taken(addresses: &[String]) {
    if !addresses.is_empty() {
        tracing::warn!(
            "in use, perhaps by another broker: {}. Clients of STOMP find this one at the native port, or choose another port \
             with --stomp HOST:PORT",
            addresses.join(", ")
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_another_has_is_left_out_and_no_other() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let name = taken.local_addr().unwrap().to_string();
        let mut addresses = vec![name.clone(), "127.0.0.1:0".to_owned()];
        assert_eq!(take_taken(&mut addresses), [name.as_str()]);
        assert_eq!(addresses, ["127.0.0.1:0"]);
        drop(taken);
        let mut addresses = vec![name.clone()];
        assert!(take_taken(&mut addresses).is_empty());
        assert_eq!(addresses, [name]);
    }
}
