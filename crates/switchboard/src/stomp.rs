//! The port where clients of STOMP look for a broker: another one may have it.

use crate::config::stomp_addresses;
use std::io::ErrorKind;
use std::net::TcpListener;

/// Leaves out those of nobody's choice that are taken, and says so. STOMP is spoken at the native port as well, so that the
/// broker need not wait for them.
pub(crate) fn leave_out_taken(addresses: &mut Vec<String>) {
    if *addresses == stomp_addresses() {
        retain_free(addresses);
    }
}

fn retain_free(addresses: &mut Vec<String>) {
    addresses.retain(|address| {
        let is_taken = TcpListener::bind(address).is_err_and(|error| error.kind() == ErrorKind::AddrInUse);
        if is_taken {
            tracing::warn!(
                "{address} is in use, perhaps by another broker: clients of STOMP find this one at the native port, or \
                 choose another port with --stomp HOST:PORT"
            );
        }
        !is_taken
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_another_has_is_left_out_and_no_other() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let name = taken.local_addr().unwrap().to_string();
        let mut addresses = vec![name.clone(), "127.0.0.1:0".to_owned()];
        retain_free(&mut addresses);
        assert_eq!(addresses, ["127.0.0.1:0"]);
        drop(taken);
        let mut addresses = vec![name.clone()];
        retain_free(&mut addresses);
        assert_eq!(addresses, [name]);
    }
}
