use super::lifecycle;
use crate::core::Registered;
use crate::peer::Peer;
use crate::session::{Incoming, Session};
use crate::{Event, PeerId};
use bytes::BytesMut;
use std::io::IoSlice;
use std::pin::pin;
use std::time::{Duration, Instant};
use switchboard_driver::Deadline;
use switchboard_wire::zmtp;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{sleep, timeout_at};

/// Sizes of a read: as much as the last reads have brought, between these.
const SMALL: usize = 4 << 10;
const LARGE: usize = 64 << 10;
/// The same where messages are longer than a quarter of `LARGE`: fewer messages are cut by the end of a buffer, and moved to
/// the next.
const HUGE: usize = 256 << 10;
/// Maximum number of slices of a write.
const SLICES: usize = 64;
/// An alarm that is not set.
const LONG: Duration = Duration::from_secs(31_536_000);

/// The end of a connection.
pub(super) enum Ending {
    /// The socket, or its endpoint, was closed.
    Finished,
    Broken(String),
}

/// Serves a connection whose handshake has just succeeded.
pub(super) async fn begin<R, W>(
    peer: &mut Peer,
    of: &Registered,
    id: PeerId,
    other: zmtp::Peer,
    halves: (&mut R, &mut W),
    input: BytesMut,
) -> Ending
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let core = peer.core();
    let mut session = Session::new(core.kind, other.minor, &core.options, Instant::now());
    peer.begin();
    core.announce(&Event::HandshakeSucceeded {
        endpoint: of.endpoint.clone(),
        peer: id,
        socket_type: other.socket_type,
        minor: other.minor,
        identity: other.identity,
    });
    serve(peer, &mut session, halves, input, of).await
}

/// Moves messages both ways, to the end of the connection. `input` has arrived already.
async fn serve<R, W>(
    peer: &mut Peer,
    session: &mut Session,
    (reader, writer): (&mut R, &mut W),
    mut input: BytesMut,
    of: &Registered,
) -> Ending
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let core = peer.core();
    let notify = peer.wake.clone();
    let mut lifecycle = of.lifecycle.clone();
    let mut incoming = Incoming::default();
    let mut size = SMALL;
    let mut fresh = !input.is_empty();
    // The last write has filled the kernel's buffer.
    let mut blocked = false;
    let mut alarm = pin!(sleep(LONG));
    loop {
        if std::mem::take(&mut fresh) {
            let received = session.received(&mut input, &core.subscriptions, Instant::now(), &mut incoming);
            // Messages before a fault are good.
            let delivered = peer.deliver(&mut incoming);
            if let Err(fault) = received {
                return Ending::Broken(fault.to_string());
            }
            if let Err(error) = delivered {
                return Ending::Broken(error.to_string());
            }
        }
        let end = lifecycle::end(&lifecycle);
        if end.is_some() {
            peer.retire();
        }
        peer.fill(session);
        if let Some(end) = end
            && (peer.flight.is_empty() || end.has_passed(Instant::now()))
        {
            part(end, reader, writer, &mut input).await;
            return Ending::Finished;
        }
        let has_room = peer.lane.has_room() && !session.is_overdue();
        let until = session.deadline().earlier(end.unwrap_or(Deadline::NEVER));
        if let Some(until) = until.instant().map(tokio::time::Instant::from)
            && (until < alarm.deadline() || alarm.is_elapsed())
        {
            alarm.as_mut().reset(until);
        }
        reserve(&mut input, size, incoming.need);
        let mut slices = [IoSlice::new(&[]); SLICES];
        let count = peer.flight.slices(&mut slices);
        let offered: usize = slices[..count].iter().map(|slice| slice.len()).sum();
        tokio::select! {
            written = writer.write_vectored(&slices[..count]), if count > 0 => match written {
                Ok(0) => return Ending::Broken("the connection takes nothing more".into()),
                Ok(bytes) => {
                    peer.flight.advance(bytes);
                    session.wrote(Instant::now(), bytes, blocked, peer.flight.has_command());
                    blocked = bytes < offered;
                }
                Err(error) => return Ending::Broken(error.to_string()),
            },
            read = reader.read_buf(&mut input), if has_room => match read {
                Ok(0) if input.is_empty() => return Ending::Broken("the peer closed the connection".into()),
                Ok(0) => return Ending::Broken("the connection ended within a message".into()),
                Ok(bytes) => {
                    fresh = true;
                    let most = if incoming.need > LARGE / 4 { HUGE } else { LARGE };
                    size = (bytes * 2).clamp(size / 2, most.max(size / 2)).max(SMALL);
                }
                Err(error) => return Ending::Broken(error.to_string()),
            },
            () = notify.notified() => {}
            // An endpoint whose socket is gone is closed, too.
            _ = lifecycle.changed(), if end.is_none() => {}
            () = alarm.as_mut(), if !alarm.is_elapsed() => {
                if let Err(fault) = session.handle_timeout(Instant::now(), has_room) {
                    return Ending::Broken(fault.to_string());
                }
            }
        }
    }
}

/// Room for the next read. The buffer of a long message grows with what has arrived of it: a peer that only announces one gets none.
fn reserve(input: &mut BytesMut, size: usize, need: usize) {
    let missing = need.saturating_sub(input.len());
    let wanted = size.max(missing.min(2 * input.len()));
    let spare = input.capacity() - input.len();
    // A small rest is not worth a read.
    if spare < size / 4 || spare < missing.min(wanted) {
        input.reserve(wanted);
    }
}

/// Closes gracefully. Closing with something unread would reset the connection, and the peer might lose what it has not read
/// yet; so the connection is read to its end, for a while.
async fn part<R, W>(end: Deadline, reader: &mut R, writer: &mut W, input: &mut BytesMut)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let grace = Instant::now() + Duration::from_secs(1);
    let end = end.earlier(Deadline::at(grace)).instant().unwrap_or(grace);
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
