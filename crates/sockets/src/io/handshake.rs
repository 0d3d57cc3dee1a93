use crate::core::Core;
use bytes::{Buf, BytesMut};
use switchboard_wire::zmtp::{Handshake, Local, Peer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// The handshake, within its time limit. What has arrived behind it is left in `input`.
pub(super) async fn shake<R, W>(
    core: &Core,
    reader: &mut R,
    writer: &mut W,
    input: &mut BytesMut,
) -> Result<Peer, String>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let options = &core.options;
    let local =
        Local { socket_type: core.kind, identity: options.identity.clone(), security: options.security.clone() };
    let mut handshake = Handshake::new(local, options.limits());
    let shaking = async {
        loop {
            writer.write_all(&handshake.take_output()).await.map_err(|error| error.to_string())?;
            let result = handshake.received(input);
            match result {
                Ok((done, None)) => input.advance(done),
                Ok((done, Some(peer))) => {
                    input.advance(done);
                    writer.write_all(&handshake.take_output()).await.map_err(|error| error.to_string())?;
                    return Ok(peer);
                }
                Err(error) => {
                    // The peer is told the reason, if it still reads.
                    let _ = writer.write_all(&handshake.take_output()).await;
                    return Err(error.to_string());
                }
            }
            writer.write_all(&handshake.take_output()).await.map_err(|error| error.to_string())?;
            match reader.read_buf(input).await {
                Ok(0) => return Err("the peer closed the connection; it may not like our type or mechanism".into()),
                Ok(_) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    };
    match timeout(options.handshake_timeout, shaking).await {
        Ok(result) => result,
        Err(_) => {
            let seconds = options.handshake_timeout.as_secs_f32();
            Err(format!("the peer has not finished it within {seconds} s (handshake_timeout)"))
        }
    }
}
