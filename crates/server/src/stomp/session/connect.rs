//! The first frame.

use super::{Session, State, StompError};
use crate::stomp::Heartbeat;
use switchboard_wire::stomp::{Frame, FrameWriter, Version};

impl Session {
    /// Agrees on a version and on heart-beats. The answer is in [`Session::take_reply`]. Login and passcode are not checked.
    pub(super) fn connect(&mut self, frame: &Frame<'_>) -> Result<(), StompError> {
        if self.state != State::Connecting {
            return Err(StompError::new("the session is connected already"));
        }
        let version = match frame.header(b"accept-version") {
            // A client of 1.0 knows no versions.
            None => Version::V1_0,
            Some(asked) => {
                let known = asked.split(|&byte| byte == b',').filter_map(|name| {
                    std::str::from_utf8(name.trim_ascii()).ok().and_then(|name| name.parse::<Version>().ok())
                });
                let known = known.filter(|version| *version <= self.newest);
                known.max().ok_or_else(|| StompError::versions(&asked[..asked.len().min(100)], self.newest))?
            }
        };
        let mut reply = Vec::new();
        let session = format!("switchboard-{}", self.connection.0);
        let mut writer = FrameWriter::new(b"CONNECTED", version, &mut reply)
            .header(b"version", version.name().as_bytes())
            .header(b"session", session.as_bytes())
            .header(b"server", concat!("Switchboard/", env!("CARGO_PKG_VERSION")).as_bytes());
        if version >= Version::V1_1 {
            let asked = match frame.header(b"heart-beat") {
                None => (0, 0),
                Some(value) => intervals(&value).ok_or_else(|| {
                    StompError::new("heart-beat is not two numbers of milliseconds with a comma between them")
                })?,
            };
            let ((sends, expects), heartbeat) = Heartbeat::agree(asked.0, asked.1, std::time::Instant::now());
            writer = writer.header(b"heart-beat", format!("{sends},{expects}").as_bytes());
            self.heartbeat = heartbeat;
        }
        writer.end();
        if let Some(client) = frame.header(b"client-id").filter(|client| !client.is_empty()) {
            self.subscription_bytes += client.len();
            self.client = Some(client.into_owned().into());
        }
        self.names_login = [b"login" as &[u8], b"passcode"].iter().any(|name| frame.header(name).is_some());
        self.reply = Some((version, reply));
        self.version = version;
        self.decoder.set_version(version);
        self.state = State::Open;
        Ok(())
    }
}

fn intervals(value: &[u8]) -> Option<(u64, u64)> {
    let (can, wants) = std::str::from_utf8(value).ok()?.split_once(',')?;
    Some((can.trim().parse().ok()?, wants.trim().parse().ok()?))
}
