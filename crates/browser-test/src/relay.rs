use crate::Browser;
use serde_json::json;
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Passes on what a browser and a server say to each other. It can go silent as a stopped process does, or a network that drops what
/// is sent: connections are accepted and stay open, and nothing comes.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    state: watch::Sender<State>,
    accepting: JoinHandle<()>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    is_silent: bool,
    /// Connections that were accepted so far.
    accepted: u64,
    /// Connections that are lost: the first ones.
    lost: u64,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Relay {
    /// Listens on a free port, in front of the server.
    ///
    /// # Panics
    ///
    /// If there is no free port.
    pub async fn start(server: SocketAddr) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (state, shared) = watch::channel(State::default());
        let accepts = state.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut number = 0;
                accepts.send_modify(|state| {
                    number = state.accepted;
                    state.accepted += 1;
                });
                tokio::spawn(relay(client, server, number, shared.clone()));
            }
        });
        Relay { address, state, accepting }
    }

    /// The address for the browser.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on nothing is passed on, until [`Relay::resume`].
    pub fn go_silent(&self) {
        self.state.send_modify(|state| state.is_silent = true);
    }

    /// Passes on what has waited, and what comes.
    pub fn resume(&self) {
        self.state.send_modify(|state| state.is_silent = false);
    }

    /// Passes on what comes over new connections. Those that are open stay silent, as after a network has forgotten them.
    pub fn resume_without_old_connections(&self) {
        self.state.send_modify(|state| *state = State { is_silent: false, lost: state.accepted, ..*state });
    }
}

/// Ends when either side does, or the [`Relay`] is dropped.
async fn relay(client: TcpStream, server: SocketAddr, number: u64, state: watch::Receiver<State>) -> io::Result<()> {
    let server = TcpStream::connect(server).await?;
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::select! {
        ended = pass(from_client, to_server, number, state.clone()) => ended,
        ended = pass(from_server, to_client, number, state) => ended,
    }
}

async fn pass(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    number: u64,
    mut state: watch::Receiver<State>,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 || state.wait_for(|state| !state.is_silent && number >= state.lost).await.is_err() {
            return Ok(());
        }
        to.write_all(&buffer[..count]).await?;
    }
}

impl Browser {
    /// Makes the server of the page go silent twice. The page says each time that there is no data, and goes on by itself: over its
    /// connections, and over new ones when those are lost.
    ///
    /// # Panics
    ///
    /// If the page does not.
    pub async fn notices_silence(&self, relay: &Relay) {
        const SILENT: &str = "return /^no data for [0-9]+ s/.test(document.querySelector('#link').textContent)";
        const FADED: &str = "return getComputedStyle(document.querySelector('main')).opacity < 1";
        const LIVE: &str = "return document.querySelector('#link').textContent === 'live'";
        for is_lost in [false, true] {
            self.until("the page is live", LIVE).await;
            assert_eq!(self.run(FADED).await, json!(false), "what is live is not faded");
            relay.go_silent();
            self.until("the page says that there is no data", SILENT).await;
            assert_eq!(self.run(FADED).await, json!(true), "what is stale is faded");
            if is_lost {
                relay.resume_without_old_connections();
            } else {
                relay.resume();
            }
        }
        self.until("the page is live again", LIVE).await;
    }
}
