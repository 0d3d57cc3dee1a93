//! The broker's answer to `/status`, page by page.

use crate::http::HttpServer;
use crate::listing::Listing;
use anyhow::Result;
use serde::Deserialize;
use serde_json::Value;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Report {
    pub(super) totals: Totals,
    pub(super) services: Vec<Service>,
    pub(super) channels: Vec<Channel>,
    pub(super) connections: Vec<Connection>,
    /// The last topics whose messages nobody got.
    pub(super) unheard: Vec<Unheard>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Totals {
    pub(super) channels: usize,
    pub(super) connections: usize,
    pub(super) paused: u64,
    pub(super) gone: usize,
    pub(super) memory: f64,
    pub(super) memory_budget: f64,
    pub(super) published: f64,
    pub(super) delivered: f64,
    pub(super) dropped_slow: f64,
    pub(super) dropped_no_subscribers: f64,
    pub(super) dropped_publisher_gone: f64,
    pub(super) dropped_overflow: f64,
    pub(super) dropped_ended: f64,
    pub(super) dropped_dead: f64,
    pub(super) expired: f64,
    pub(super) dead_lettered: f64,
    pub(super) rejected: f64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Service {
    pub(super) name: String,
    pub(super) running: bool,
    /// The missing part of one that runs, yet cannot do its work.
    pub(super) lacks: Option<String>,
    pub(super) reason: String,
    /// Addresses that it cannot listen on now.
    pub(super) missing: Vec<Missing>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Missing {
    pub(super) address: String,
    pub(super) protocol: String,
    pub(super) reason: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Channel {
    pub(super) name: String,
    /// The name's bytes, if they are no UTF-8.
    pub(super) name_hex: Option<String>,
    pub(super) kind: String,
    pub(super) depth: f64,
    pub(super) subscribers: f64,
    pub(super) published: f64,
    pub(super) published_per_s: f64,
    pub(super) delivered_per_s: f64,
    pub(super) dropped: f64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Unheard {
    pub(super) name: String,
    /// The name's bytes, if they are no UTF-8.
    pub(super) name_hex: Option<String>,
    pub(super) dropped: f64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Connection {
    pub(super) id: u64,
    pub(super) address: Option<String>,
    /// The service of the broker's own program that it belongs to.
    pub(super) service: Option<String>,
    pub(super) subscriptions: Vec<String>,
    pub(super) outbox: f64,
    pub(super) unacked: f64,
    pub(super) published: f64,
    pub(super) dropped: f64,
    pub(super) waits_for: String,
    pub(super) paused: Option<String>,
    pub(super) slow: bool,
    /// It has left, and its last messages wait for room.
    pub(super) gone: bool,
    pub(super) stalled: bool,
}

impl Channel {
    /// The name's bytes.
    pub(super) fn bytes(&self) -> Vec<u8> {
        bytes_of(&self.name, self.name_hex.as_deref())
    }
}

impl Unheard {
    /// The name's bytes.
    pub(super) fn bytes(&self) -> Vec<u8> {
        bytes_of(&self.name, self.name_hex.as_deref())
    }
}

fn bytes_of(name: &str, hex: Option<&str>) -> Vec<u8> {
    hex.and_then(from_hex).unwrap_or_else(|| name.as_bytes().to_vec())
}

pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some((digit(pair.first()?)? * 16 + digit(pair.get(1)?)?) as u8)).collect()
}

/// Asks for the rows that matter most, or for all, page by page.
pub(super) async fn ask(server: &HttpServer, all: bool) -> Result<Value> {
    let listing = Listing { server, path: "/status", tables: &["channels", "connections"], is_brokers };
    if !all {
        return listing.ask("").await;
    }
    let mut whole = listing.ask_for_all().await?;
    if let Some(fields) = whole.as_object_mut() {
        fields.remove("next");
    }
    Ok(whole)
}

/// Other services have a `/status` as well.
fn is_brokers(status: &Value) -> bool {
    ["totals", "channels", "connections"].iter().all(|key| status.get(key).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_no_text_is_read_from_its_digits() {
        let channel = |hex: &str| Channel { name: "?".into(), name_hex: Some(hex.into()), ..Channel::default() };
        assert_eq!(channel("2fff00").bytes(), b"/\xff\0");
        assert_eq!(channel("2ff").bytes(), b"?");
        assert_eq!(channel("zz").bytes(), b"?");
    }
}
