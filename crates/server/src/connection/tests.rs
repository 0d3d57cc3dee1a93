use super::*;
use crate::socket::{Origin, Socket};
use switchboard_broker::{ConnectionId, Limits};
use switchboard_wire::native::encode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

fn frames(bodies: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bodies.iter().for_each(|body| encode(body, &mut bytes));
    bytes
}

/// With each of its messages wholly written or not begun, a recall leaves nothing to write.
#[tokio::test]
async fn a_worker_that_stalled_between_two_messages_is_used_again_when_it_reads() {
    let limits = Limits { write_timeout: Duration::from_millis(1), ..Limits::default() };
    let hub = Arc::new(Hub::new(limits, Vec::new()));
    let timer = tokio::spawn(hub.clone().run_timer());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut worker = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (socket, address) = listener.accept().await.unwrap();
    // The earlier messages: more of them than the sockets hold.
    let mut written = 0;
    while let Ok(bytes) = socket.try_write(&[0; 64 << 10]) {
        written += bytes;
    }
    let peer = Arc::new(Peer::new(ConnectionId(1), Origin::Address(address), Socket::Tcp(socket)));
    let permit = Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
    let serving = tokio::spawn(run(hub.clone(), peer, Duration::from_secs(60), permit));
    worker.write_all(&frames(&[b"/queue/a", b"/queue/a", b"job"])).await.unwrap();
    while hub.totals().requeued == 0 {
        tokio::task::yield_now().await;
    }

    let mut earlier = vec![0; written];
    worker.read_exact(&mut earlier).await.unwrap();
    let mut job = [0; 7];
    let read = tokio::time::timeout(Duration::from_secs(20), worker.read_exact(&mut job)).await;
    read.expect("the job, once there is room for it").unwrap();
    assert_eq!(job[..], frames(&[b"job"]));
    drop(worker);
    serving.await.unwrap();
    timer.abort();
}

#[test]
fn reads_are_small_where_memory_is() {
    assert_eq!(read_size(512 << 20), READ);
    assert_eq!(read_size(1 << 20), 16 << 10);
    assert_eq!(read_size(0), READ_PRESSED);
}
