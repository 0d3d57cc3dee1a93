//! A TCP proxy before PostgreSQL's socket that stalls, delays and cuts.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::Notify;
use tokio::time::sleep;

#[derive(Clone)]
pub(crate) struct Proxy(Arc<Shared>);

struct Shared {
    port: u16,
    target: Mutex<PathBuf>,
    /// Bytes are taken and go nowhere, without a FIN; for connections that exist and new ones.
    swallow: AtomicBool,
    /// Most milliseconds that what the server sends is kept back, each time another number of them.
    delay: AtomicU64,
    cut: Notify,
}

impl Proxy {
    pub(crate) async fn start(socket_directory: PathBuf) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let shared = Arc::new(Shared {
            port: listener.local_addr().expect("an address").port(),
            target: Mutex::new(socket_directory),
            swallow: AtomicBool::new(false),
            delay: AtomicU64::new(0),
            cut: Notify::new(),
        });
        let accepting = shared.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(accepting.clone(), client));
            }
        });
        Proxy(shared)
    }

    pub(crate) fn address(&self, user: &str, name: &str) -> String {
        format!("host=127.0.0.1 port={} user={user} dbname={name} sslmode=disable", self.0.port)
    }

    pub(crate) fn target(&self, socket_directory: PathBuf) {
        *self.0.target.lock().expect("no panic") = socket_directory;
    }

    pub(crate) fn swallow(&self, on: bool) {
        self.0.swallow.store(on, SeqCst);
    }

    pub(crate) fn delay(&self, most: Duration) {
        self.0.delay.store(u64::try_from(most.as_millis()).expect("few"), SeqCst);
    }

    /// Closes every connection.
    pub(crate) fn cut(&self) {
        self.0.cut.notify_waiters();
    }
}

async fn carry(shared: Arc<Shared>, client: TcpStream) {
    let _ = client.set_nodelay(true);
    let target = shared.target.lock().expect("no panic").join(".s.PGSQL.5432");
    let Ok(server) = UnixStream::connect(target).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = pump(&shared, from_client, to_server, false) => {}
        () = pump(&shared, from_server, to_client, true) => {}
        () = shared.cut.notified() => {}
    }
}

async fn pump(shared: &Shared, mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, is_reply: bool) {
    let mut buffer = vec![0; 64 * 1024];
    // What was swallowed once leaves a hole: nothing may follow it.
    let mut is_broken = false;
    loop {
        let Ok(count @ 1..) = from.read(&mut buffer).await else { return };
        let most = shared.delay.load(SeqCst);
        if is_reply && most > 0 {
            sleep(Duration::from_millis(fastrand::u64(0..=most))).await;
        }
        is_broken |= shared.swallow.load(SeqCst);
        if !is_broken && to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
