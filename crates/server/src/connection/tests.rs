use super::*;
use crate::files::OpenConnections;
use crate::socket::scripted::Scripted;
use crate::socket::{Origin, Socket};
use switchboard_broker::{ConnectionId, Limits};
use switchboard_wire::native::encode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

mod scripts;
mod silent;

fn frames(bodies: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bodies.iter().for_each(|body| encode(body, &mut bytes));
    bytes
}

pub(super) fn context(limits: Limits) -> Arc<Context> {
    Arc::new(Context {
        hub: Arc::new(Hub::new(limits, Vec::new())),
        handshake: Duration::from_secs(60),
        read_timeout: Duration::from_secs(10),
        send_buffer: 0,
        http: Some("http://127.0.0.1:25080/".into()),
        refused: Semaphore::new(REFUSED),
    })
}

/// A connection whose socket's every call the test decides.
pub(super) fn scripted(id: u64) -> (Scripted, Arc<ConnectionHandle>) {
    let script = Scripted::default();
    let socket = Socket::Scripted(script.clone());
    (script, Arc::new(ConnectionHandle::new(ConnectionId(id), Origin::Service("test"), socket)))
}

/// With each of its messages wholly written or not begun, a recall leaves nothing to write.
#[tokio::test]
async fn a_consumer_that_stalled_between_two_messages_is_used_again_when_it_reads() {
    let limits = Limits { write_timeout: Duration::from_millis(1), ..Limits::default() };
    let context = context(limits);
    let hub = context.hub.clone();
    let timer = tokio::spawn(hub.clone().run_timer());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut consumer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (socket, address) = listener.accept().await.unwrap();
    // The earlier messages: more of them than the sockets hold.
    let mut written = 0;
    while let Ok(bytes) = socket.try_write(&[0; 64 << 10]) {
        written += bytes;
    }
    let socket = Socket::Tcp(socket, OpenConnections::new(1).add().0);
    let handle = Arc::new(ConnectionHandle::new(ConnectionId(1), Origin::Address(address), socket));
    let serving = tokio::spawn(run(context, handle, ()));
    consumer.write_all(&frames(&[b"/queue/a", b"/queue/a", b"job"])).await.unwrap();
    while hub.totals().requeued == 0 {
        yield_now().await;
    }

    let mut earlier = vec![0; written];
    consumer.read_exact(&mut earlier).await.unwrap();
    let mut job = [0; 7];
    let read = tokio::time::timeout(Duration::from_secs(20), consumer.read_exact(&mut job)).await;
    read.expect("the job, once there is room for it").unwrap();
    assert_eq!(job[..], frames(&[b"job"]));
    drop(consumer);
    serving.await.unwrap();
    timer.abort();
}
