use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

/// Treatment of bytes. A connection that has begun to be swallowed stays so until it is cut, for
/// the stream has lost its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Pass,
    /// Each piece waits so long.
    Delay(Duration),
    /// Reads everything and passes nothing, as a machine that is gone behind a firewall seems to.
    Swallow,
    /// Connections are accepted and ended at once.
    Refuse,
}

/// Stands between a client and a broker.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    way: watch::Sender<Way>,
    cuts: watch::Sender<u32>,
    /// Bytes that each new connection passes to the broker before it is cut.
    quota: watch::Sender<usize>,
    opened: watch::Sender<u32>,
    /// Bytes that were swallowed.
    swallowed: watch::Sender<usize>,
    runtime: Runtime,
}

struct Control {
    way: watch::Receiver<Way>,
    cuts: watch::Receiver<u32>,
}

impl Proxy {
    pub(crate) fn before(target: SocketAddr) -> Proxy {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("an address");
        let (way, cuts, opened) = (watch::Sender::new(Way::Pass), watch::Sender::new(0), watch::Sender::new(0));
        let (quota, swallowed) = (watch::Sender::new(usize::MAX), watch::Sender::new(0));
        let eaten = swallowed.clone();
        let (new_way, new_cuts, new_quota, count) =
            (way.subscribe(), cuts.subscribe(), quota.subscribe(), opened.clone());
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                count.send_modify(|count| *count += 1);
                if *new_way.borrow() == Way::Refuse {
                    continue;
                }
                let control = Arc::new(Control { way: new_way.clone(), cuts: new_cuts.clone() });
                let (quota, eaten) = (*new_quota.borrow(), eaten.clone());
                tokio::spawn(async move {
                    let Ok(broker) = TcpStream::connect(target).await else { return };
                    let (from_client, to_client) = client.into_split();
                    let (from_broker, to_broker) = broker.into_split();
                    let mut cuts = control.cuts.clone();
                    cuts.mark_unchanged();
                    tokio::select! {
                        () = pass(from_client, to_broker, control.way.clone(), quota, eaten.clone()) => {}
                        () = pass(from_broker, to_client, control.way.clone(), usize::MAX, eaten.clone()) => {}
                        _ = cuts.changed() => {}
                    }
                });
            }
        });
        Proxy { address, way, cuts, quota, opened, swallowed, runtime }
    }

    pub(crate) fn set(&self, way: Way) {
        self.way.send_replace(way);
    }

    /// Ends all connections that there are.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// New connections are cut after so many bytes to the broker.
    pub(crate) fn cut_after(&self, bytes: usize) {
        self.quota.send_replace(bytes);
    }

    /// Waits until so many bytes were swallowed.
    pub(crate) fn await_bytes(&self, bytes: usize) {
        let mut swallowed = self.swallowed.subscribe();
        self.runtime
            .block_on(async {
                let enough = swallowed.wait_for(|swallowed| *swallowed >= bytes);
                tokio::time::timeout(super::PATIENCE, enough).await.map(drop)
            })
            .expect("bytes to swallow");
    }

    /// Connections made so far.
    pub(crate) fn opened(&self) -> u32 {
        *self.opened.borrow()
    }
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    way: watch::Receiver<Way>,
    mut quota: usize,
    swallowed: watch::Sender<usize>,
) {
    let mut buffer = vec![0; 16 << 10];
    let mut lost = false;
    while let Ok(bytes @ 1..) = from.read(&mut buffer).await {
        let now = *way.borrow();
        lost |= now == Way::Swallow;
        if lost {
            swallowed.send_modify(|swallowed| *swallowed += bytes);
            continue;
        }
        if let Way::Delay(time) = now {
            tokio::time::sleep(time).await;
        }
        let some = bytes.min(quota);
        if to.write_all(&buffer[..some]).await.is_err() {
            return;
        }
        quota -= some;
        if quota == 0 {
            return;
        }
    }
    let _ = to.shutdown().await;
    // The other direction may have more.
    std::future::pending::<()>().await;
}
