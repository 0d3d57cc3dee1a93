//! The client against async-nats, in one run: how fast messages get through, and how long one takes
//! there and back. `crates/client/compare/run` builds and starts everything.

mod nats;
mod ours;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// One measured way to use a client.
pub(crate) struct Face {
    pub(crate) name: &'static str,
    /// Publishes so many messages of so many bytes, receives them all, and says how long that took.
    pub(crate) through: Box<dyn Fn(u64, usize) -> Duration>,
    /// The times of so many round trips.
    pub(crate) trips: Box<dyn Fn(usize) -> Vec<Duration>>,
}

struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(command: &mut Command, address: SocketAddr) -> Peer {
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let peer = Peer(child.unwrap_or_else(|error| panic!("{:?}: {error}", command.get_program())));
    let began = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(began.elapsed() < Duration::from_secs(10), "{:?} does not listen", command.get_program());
        std::thread::sleep(Duration::from_millis(10));
    }
    peer
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}

fn median<T: Copy + PartialOrd>(mut values: Vec<T>) -> T {
    values.sort_by(|one, two| one.partial_cmp(two).expect("a number"));
    values[values.len() / 2]
}

fn main() {
    let rounds: usize = std::env::args().nth(1).map_or(5, |rounds| rounds.parse().expect("how many rounds"));
    let switchboard = std::env::var("SWITCHBOARD").expect("SWITCHBOARD: the path of the broker's program");
    let nats = std::env::var("NATS_SERVER").unwrap_or_else(|_| "nats-server".into());
    let (ours, theirs) = (free(), free());
    let native = ours.to_string();
    let _switchboard =
        start(Command::new(switchboard).args(["broker", "--listen", &native, "--http", "127.0.0.1:0"]), ours);
    let _nats = start(Command::new(nats).args(["-a", "127.0.0.1", "-p", &theirs.port().to_string()]), theirs);
    // Options of the client that is measured, such as buffer=1MiB.
    let url = format!("switchboard://{ours}?{}", std::env::var("OPTIONS").unwrap_or_default());
    let faces =
        [nats::awaited(theirs), ours::awaited(&url), ours::foreign(&url), ours::blocking(&url), ours::callbacks(&url)];

    let sizes = std::env::var("SIZES").unwrap_or_else(|_| "16,128,1024".into());
    for size in sizes.split(',').map(|size| size.parse().expect("a size")) {
        let count = if size > 500 { 300_000 } else { 1_000_000 };
        // By turns, so that a noisy neighbour disturbs all alike.
        let mut rates = vec![Vec::new(); faces.len()];
        for _ in 0..rounds {
            for (face, rates) in faces.iter().zip(&mut rates) {
                rates.push(count as f64 / (face.through)(count, size).as_secs_f64());
            }
        }
        let rates: Vec<f64> = rates.into_iter().map(median).collect();
        for (face, rate) in faces.iter().zip(&rates) {
            println!("{size:5} bytes  {:28} {:8.0} k messages/s  {:5.2} x", face.name, rate / 1e3, rate / rates[0]);
        }
    }
    let mut halves = vec![Vec::new(); faces.len()];
    for _ in 0..rounds {
        for (face, halves) in faces.iter().zip(&mut halves) {
            halves.push(median((face.trips)(5000)).as_secs_f64() * 1e6);
        }
    }
    let halves: Vec<f64> = halves.into_iter().map(median).collect();
    for (face, half) in faces.iter().zip(&halves) {
        println!("round trip   {:28} {half:8.1} us p50          {:5.2} x", face.name, half / halves[0]);
    }
}
