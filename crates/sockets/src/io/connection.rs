use super::life;
use crate::core::Life;
use crate::peer::Peer;
use crate::session::{Brought, Session};
use crate::{Endpoint, Event};
use bytes::BytesMut;
use std::io::IoSlice;
use std::pin::pin;
use std::time::{Duration, Instant};
use switchboard_wire::zmtp;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{sleep, timeout_at};

/// What is read at a time: as much as the last reads have brought, between these.
const SMALL: usize = 4 << 10;
const LARGE: usize = 64 << 10;
/// The same where messages are longer than a quarter of `LARGE`: the less often one is cut by the end of a buffer, and moved to
/// the next, the better.
const HUGE: usize = 256 << 10;
/// How many pieces are written at a time.
const SLICES: usize = 64;
/// An alarm that is not set.
const LONG: Duration = Duration::from_secs(31_536_000);

/// How a connection has ended.
pub(super) enum Ending {
    /// The socket, or its endpoint, was closed.
    Finished,
    Broken(String),
}

/// Serves a connection whose handshake has just succeeded.
pub(super) async fn begin<R, W>(
    peer: &mut Peer,
    endpoint: &Endpoint,
    other: zmtp::Peer,
    halves: (&mut R, &mut W),
    input: BytesMut,
    life: watch::Receiver<Life>,
) -> Ending
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let core = peer.core();
    let mut session = Session::new(core.kind, other.minor, &core.options, Instant::now());
    peer.begin();
    core.tell(&Event::HandshakeSucceeded {
        endpoint: endpoint.clone(),
        peer: other.socket_type,
        minor: other.minor,
        identity: other.identity,
    });
    serve(peer, &mut session, halves, input, life).await
}

/// Moves messages both ways, to the end of the connection. `input` is what has come already.
async fn serve<R, W>(
    peer: &mut Peer,
    session: &mut Session,
    (reader, writer): (&mut R, &mut W),
    mut input: BytesMut,
    mut life: watch::Receiver<Life>,
) -> Ending
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let core = peer.core();
    let notify = peer.wake.clone();
    let mut brought = Brought::default();
    let mut size = SMALL;
    let mut fresh = !input.is_empty();
    let mut alarm = pin!(sleep(LONG));
    loop {
        if std::mem::take(&mut fresh) {
            if let Err(fault) = session.received(&mut input, &core.wants, Instant::now(), &mut brought) {
                // What came before the fault is good.
                let _ = peer.brought(&mut brought);
                return Ending::Broken(fault.to_string());
            }
            if let Err(error) = peer.brought(&mut brought) {
                return Ending::Broken(error.to_string());
            }
        }
        peer.fill(session);
        let end = life::end(&life);
        if let Some(end) = end
            && (peer.flight.is_empty() || end <= Instant::now())
        {
            part(end, reader, writer, &mut input).await;
            return Ending::Finished;
        }
        let has_room = peer.lane.has_room() && !session.is_overdue();
        let until = session.timeout().into_iter().chain(end).min();
        if let Some(until) = until.map(tokio::time::Instant::from)
            && (until < alarm.deadline() || alarm.is_elapsed())
        {
            alarm.as_mut().reset(until);
        }
        reserve(&mut input, size, brought.need);
        let mut slices = [IoSlice::new(&[]); SLICES];
        let count = peer.flight.slices(&mut slices);
        tokio::select! {
            written = writer.write_vectored(&slices[..count]), if count > 0 => match written {
                Ok(0) => return Ending::Broken("the connection takes nothing more".into()),
                Ok(bytes) => peer.flight.advance(bytes),
                Err(error) => return Ending::Broken(error.to_string()),
            },
            read = reader.read_buf(&mut input), if has_room => match read {
                Ok(0) if input.is_empty() => return Ending::Broken("the peer closed the connection".into()),
                Ok(0) => return Ending::Broken("the connection ended within a message".into()),
                Ok(bytes) => {
                    fresh = true;
                    let most = if brought.need > LARGE / 4 { HUGE } else { LARGE };
                    size = (bytes * 2).clamp(size / 2, most.max(size / 2)).max(SMALL);
                }
                Err(error) => return Ending::Broken(error.to_string()),
            },
            () = notify.notified() => {}
            // Whoever could close it may be gone; then it is closed.
            _ = life.changed(), if end.is_none() => {}
            () = alarm.as_mut(), if !alarm.is_elapsed() => {
                if let Err(fault) = session.handle_timeout(Instant::now(), has_room) {
                    return Ending::Broken(fault.to_string());
                }
            }
        }
    }
}

/// Room for what comes next. A long message's buffer grows with what has come of it, for who only announces it gets none.
fn reserve(input: &mut BytesMut, size: usize, need: usize) {
    let missing = need.saturating_sub(input.len());
    let wanted = size.max(missing.min(2 * input.len()));
    let spare = input.capacity() - input.len();
    // A small rest is not worth a read.
    if spare < size / 4 || spare < missing.min(wanted) {
        input.reserve(wanted);
    }
}

/// Says good-bye. Whoever closes with something unread resets the connection, and the peer may lose what it has not read
/// yet; so that is read to its end, for a while.
async fn part<R, W>(end: Instant, reader: &mut R, writer: &mut W, input: &mut BytesMut)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let end = end.min(Instant::now() + Duration::from_secs(1));
    let _ = timeout_at(end.into(), async {
        writer.shutdown().await?;
        loop {
            input.clear();
            if reader.read_buf(input).await? == 0 {
                return std::io::Result::Ok(());
            }
        }
    })
    .await;
}
