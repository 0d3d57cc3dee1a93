//! A TCP proxy before PostgreSQL's socket that stalls, delays, holds back and cuts.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

#[derive(Clone)]
pub(crate) struct Proxy(Arc<Shared>);

/// Replies of sessions of this name, to requests that contain this text.
#[derive(Clone, Copy)]
struct Hold {
    name: &'static str,
    text: &'static str,
}

struct Shared {
    port: u16,
    target: Mutex<PathBuf>,
    /// New connections are closed.
    refuse: AtomicBool,
    /// Bytes are taken and go nowhere, without a FIN; for connections that exist and new ones.
    swallow: AtomicBool,
    /// Most milliseconds that what the server sends is kept back, each time another number of them.
    delay: AtomicU64,
    /// Replies that are kept back.
    hold: watch::Sender<Option<Hold>>,
    /// Sessions whose replies are.
    held: AtomicUsize,
    cut: Notify,
}

impl Proxy {
    pub(crate) async fn start(socket_directory: PathBuf) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let shared = Arc::new(Shared {
            port: listener.local_addr().expect("an address").port(),
            target: Mutex::new(socket_directory),
            refuse: AtomicBool::new(false),
            swallow: AtomicBool::new(false),
            delay: AtomicU64::new(0),
            hold: watch::Sender::new(None),
            held: AtomicUsize::new(0),
            cut: Notify::new(),
        });
        let accepting = shared.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if !accepting.refuse.load(SeqCst) {
                    tokio::spawn(carry(accepting.clone(), client));
                }
            }
        });
        Proxy(shared)
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.port
    }

    pub(crate) fn address(&self, user: &str, name: &str) -> String {
        format!("host=127.0.0.1 port={} user={user} dbname={name} sslmode=disable", self.0.port)
    }

    pub(crate) fn target(&self, socket_directory: PathBuf) {
        *self.0.target.lock().expect("no panic") = socket_directory;
    }

    pub(crate) fn refuse(&self, on: bool) {
        self.0.refuse.store(on, SeqCst);
    }

    pub(crate) fn swallow(&self, on: bool) {
        self.0.swallow.store(on, SeqCst);
    }

    pub(crate) fn delay(&self, most: Duration) {
        self.0.delay.store(u64::try_from(most.as_millis()).expect("few"), SeqCst);
    }

    /// Keeps back the replies of sessions of this name, until [`Proxy::release`].
    pub(crate) fn hold(&self, name: &'static str) {
        self.hold_replies_to(name, "");
    }

    /// Keeps back the replies of sessions of this name to requests that contain the text, until [`Proxy::release`].
    pub(crate) fn hold_replies_to(&self, name: &'static str, text: &'static str) {
        self.0.hold.send_replace(Some(Hold { name, text }));
    }

    pub(crate) fn release(&self) {
        self.0.hold.send_replace(None);
    }

    /// Sessions whose replies are kept back.
    pub(crate) fn held(&self) -> usize {
        self.0.held.load(SeqCst)
    }

    /// Closes every connection.
    pub(crate) fn cut(&self) {
        self.0.cut.notify_waiters();
    }
}

/// Knowledge of a session from its requests.
#[derive(Default)]
struct Session {
    /// The name that it gives itself.
    name: OnceLock<String>,
    /// Its newest request.
    request: Mutex<Vec<u8>>,
}

impl Session {
    fn is_held(&self, hold: Option<Hold>) -> bool {
        let Some(Hold { name, text }) = hold else { return false };
        let request = self.request.lock().expect("no panic");
        let contains = text.is_empty() || request.windows(text.len()).any(|part| part == text.as_bytes());
        contains && self.name.get().is_some_and(|given| given == name)
    }
}

async fn carry(shared: Arc<Shared>, client: TcpStream) {
    let _ = client.set_nodelay(true);
    let target = shared.target.lock().expect("no panic").join(".s.PGSQL.5432");
    let Ok(server) = UnixStream::connect(target).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let session = Session::default();
    tokio::select! {
        () = pump(&shared, from_client, to_server, &session, false) => {}
        () = pump(&shared, from_server, to_client, &session, true) => {}
        () = shared.cut.notified() => {}
    }
}

async fn pump(
    shared: &Shared,
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    session: &Session,
    is_reply: bool,
) {
    let mut buffer = vec![0; 64 * 1024];
    // A swallowed part leaves a hole: nothing may follow it.
    let mut is_broken = false;
    loop {
        let Ok(count @ 1..) = from.read(&mut buffer).await else { return };
        if is_reply {
            let most = shared.delay.load(SeqCst);
            if most > 0 {
                sleep(Duration::from_millis(fastrand::u64(0..=most))).await;
            }
            keep_back(shared, session).await;
        } else {
            if let Some(given) = name_given(&buffer[..count]) {
                let _ = session.name.set(given);
            }
            // Before it is passed on: its reply comes later.
            *session.request.lock().expect("no panic") = buffer[..count].to_vec();
        }
        is_broken |= shared.swallow.load(SeqCst);
        if !is_broken && to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

async fn keep_back(shared: &Shared, session: &Session) {
    let mut hold = shared.hold.subscribe();
    let is_held = session.is_held(*hold.borrow_and_update());
    if is_held {
        let _held = Held::new(&shared.held);
        let _ = hold.wait_for(|hold| !session.is_held(*hold)).await;
    }
}

struct Held<'a>(&'a AtomicUsize);

impl<'a> Held<'a> {
    fn new(held: &'a AtomicUsize) -> Held<'a> {
        held.fetch_add(1, SeqCst);
        Held(held)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

fn name_given(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let (_, rest) = text.split_once("application_name = '")?;
    Some(rest.split_once('\'')?.0.to_owned())
}
