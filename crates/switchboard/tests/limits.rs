//! Every limit, just below it, at it and just above it, on real sockets. Whoever is refused finds
//! the limit's name in the log.

mod common;

use common::{Broker, Client};

#[test]
fn an_address_where_nobody_comes_takes_no_handshake_from_the_others() {
    let broker = Broker::start(&["--listen", "127.0.0.1:0", "--set", "handshakes=1"]);
    for address in [0, 0, 1, 1, 0] {
        let mut client = Client::at(&broker.native[address]);
        client.send(b"/topic/foo");
        client.settle();
    }
}
