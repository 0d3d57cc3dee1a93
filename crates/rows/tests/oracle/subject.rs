//! An instance that is tried: the cache, or a naive one.

use super::history::{Mode, Version};
use super::naive::Naive;
use super::world::values;
use crate::common::until;
use serde_json::Value;
use std::sync::Arc;
use switchboard_rows::{Error, Events, Options, RowCache, TableSpec, Token};

#[derive(Clone)]
pub(crate) enum Subject {
    Real(RowCache),
    Naive(Arc<Naive>),
}

impl Subject {
    pub(crate) async fn real(address: &str, options: &Options, events: Events) -> Subject {
        let database = address.parse().expect("an address");
        let item = TableSpec { events, ..TableSpec::from("item") };
        Subject::Real(RowCache::connect_with(&database, [item], options.clone()).await.expect("it connects"))
    }

    pub(crate) async fn naive(address: &str) -> Subject {
        Subject::Naive(Naive::connect(address).await)
    }

    pub(crate) async fn read(&self, key: i64, mode: Mode, token: Option<Token>) -> Result<Version, Error> {
        match self {
            Subject::Real(cache) => {
                let row = match (mode, token) {
                    (Mode::Strong, _) => cache.get_strong("item", key).await,
                    (_, Some(token)) => cache.get_after("item", key, token).await,
                    _ => cache.get("item", key).await,
                };
                Ok(version(row?.as_deref()))
            }
            Subject::Naive(naive) => naive.read(key).await,
        }
    }

    pub(crate) async fn write(&self, key: i64, content: Version, is_there: bool) -> Result<Option<Token>, Error> {
        match self {
            Subject::Real(cache) => {
                let written = match content {
                    None => cache.delete("item", key).await?,
                    Some(version) if is_there => cache.update("item", key, &values(key, version)).await?,
                    Some(version) => Some(cache.insert("item", &values(key, version)).await?),
                };
                Ok(written.expect("nobody else writes the key").token)
            }
            Subject::Naive(naive) => naive.write(key, content).await.map(|()| None),
        }
    }

    /// Waits until the feed is up, and what it brought was read again.
    pub(crate) async fn settled(&self) {
        let Subject::Real(cache) = self else { return };
        until("the cache is live", async || cache.status().age.map(|_| ())).await;
        until("nothing is being read again", async || (cache.status().usage.leases == 0).then_some(())).await;
        until("a marker comes back", async || cache.read_strong("item", -1).await.ok().map(|_| ())).await;
    }

    pub(crate) fn snapshot(&self) -> Vec<(i64, Version)> {
        match self {
            Subject::Real(cache) => {
                let rows = cache.snapshot().into_iter();
                rows.map(|(_, key, row)| (key.parts()[0].parse().expect("a number"), version(row.as_deref()))).collect()
            }
            Subject::Naive(naive) => naive.snapshot(),
        }
    }
}

pub(crate) fn version(row: Option<&[u8]>) -> Version {
    let row: Value = serde_json::from_slice(row?).expect("JSON");
    // A rolled-back one is negative, and nobody has written its number.
    Some(row["version"].as_i64().expect("a version").cast_unsigned())
}
