use super::{Broker, PATIENCE};
use socket2::{Domain, SockRef, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

const ECHO: &str = "/switchboard/echo";

/// A client that knows the protocol only, and may break it.
pub(crate) struct Client(pub(crate) TcpStream);

impl Client {
    /// Connected; it has said nothing yet.
    pub(crate) fn silent(broker: &Broker) -> Client {
        Client::at(&broker.native[0])
    }

    pub(crate) fn at(address: &str) -> Client {
        // Small, and fixed: so a client that reads nothing soon makes the server wait.
        const BUFFER: usize = 64 << 10;
        let address: SocketAddr = address.parse().expect("an address");
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
        socket.set_recv_buffer_size(BUFFER).expect("a buffer");
        socket.connect(&address.into()).expect("a connection");
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true).expect("an option");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        Client(stream)
    }

    /// Its subscription is in force.
    pub(crate) fn listening(broker: &Broker, pattern: impl AsRef<[u8]>) -> Client {
        let mut client = Client::silent(broker);
        client.send(pattern.as_ref());
        client.settle();
        client
    }

    /// It has asked for a subscription and for an echo. What waits in the channel comes before that.
    pub(crate) fn listening_late(broker: &Broker, pattern: &str) -> Client {
        let mut client = Client::silent(broker);
        client.send(pattern.as_bytes());
        client.ask_echo();
        client
    }

    pub(crate) fn publisher(broker: &Broker) -> Client {
        Client::listening(broker, "/null")
    }

    /// As the log names it.
    pub(crate) fn name(&self) -> String {
        format!("peer={}", self.0.local_addr().expect("an address"))
    }

    /// One that writes while this one waits.
    pub(crate) fn twin(&self) -> Client {
        Client(self.0.try_clone().expect("a socket"))
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("written");
    }

    pub(crate) fn send(&mut self, body: &[u8]) {
        self.write(&frame(body));
    }

    pub(crate) fn publish(&mut self, channel: &str, data: &[u8]) {
        self.publish_bytes(channel.as_bytes(), data);
    }

    pub(crate) fn publish_bytes(&mut self, channel: &[u8], data: &[u8]) {
        self.write(&[frame(channel), frame(data)].concat());
    }

    /// `None` at the end, which is a clean one.
    pub(crate) fn receive(&mut self) -> Option<Vec<u8>> {
        let mut length = [0; 4];
        match self.0.read(&mut length).expect("no reset") {
            0 => return None,
            some => self.0.read_exact(&mut length[some..]).expect("a whole length"),
        }
        let mut body = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut body).expect("a whole frame");
        Some(body)
    }

    pub(crate) fn receive_some(&mut self, count: usize) -> Vec<Vec<u8>> {
        (0..count).map(|_| self.receive().expect("a message")).collect()
    }

    pub(crate) fn ask_echo(&mut self) {
        self.publish(ECHO, b"the echo");
    }

    /// Returns the messages before the echo that was asked for.
    pub(crate) fn until_echo(&mut self) -> Vec<Vec<u8>> {
        let mut received = Vec::new();
        loop {
            match self.receive().expect("an echo") {
                echo if echo == b"the echo" => return received,
                message => received.push(message),
            }
        }
    }

    /// Returns the messages received up to now.
    pub(crate) fn received(&mut self) -> Vec<Vec<u8>> {
        self.ask_echo();
        self.until_echo()
    }

    /// Everything up to now is dealt with, and nothing has come.
    pub(crate) fn settle(&mut self) {
        assert_eq!(self.received(), Vec::<Vec<u8>>::new());
    }

    /// Returns the messages that come until the server ends the connection.
    pub(crate) fn rest(&mut self) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.receive()).collect()
    }

    pub(crate) fn half_close(&mut self) {
        self.0.shutdown(Shutdown::Write).expect("a connection");
    }

    /// Makes the kernel send a reset instead of an end.
    pub(crate) fn reset(self) {
        SockRef::from(&self.0).set_linger(Some(Duration::ZERO)).expect("an option");
    }

    /// Waits for a server that ends the connection in whatever way.
    pub(crate) fn is_closed(&mut self) {
        let mut buffer = [0; 4096];
        loop {
            match self.0.read(&mut buffer) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

pub(crate) fn frame(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    switchboard_wire::native::encode(body, &mut bytes);
    bytes
}
