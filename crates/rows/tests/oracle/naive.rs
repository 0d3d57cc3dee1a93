//! A cache as one writes it first: events put their rows into a map, a miss queries and puts its row there.

use super::history::Version;
use crate::common::connect;
use serde_json::Value;
use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use switchboard_rows::Error;
use tokio_postgres::{AsyncMessage, Client, NoTls, Statement};

pub(crate) struct Naive {
    rows: parking_lot::Mutex<HashMap<i64, Version>>,
    sql: Client,
    select: Statement,
}

impl Naive {
    pub(crate) async fn connect(address: &str) -> Arc<Naive> {
        let sql = connect(address).await;
        sql.batch_execute("SET application_name = 'switchboard rows'").await.expect("set");
        let select = sql.prepare("SELECT version FROM item WHERE id = $1::text::int8").await.expect("prepared");
        let naive = Arc::new(Naive { rows: parking_lot::Mutex::default(), sql, select });
        // Its triggers are the real ones.
        let spec = switchboard_rows::TableSpec::from("item");
        switchboard_rows::triggers::install(&address.parse().expect("an address"), &spec).await.expect("installed");
        let (client, mut connection) = tokio_postgres::connect(address, NoTls).await.expect("PostgreSQL accepts");
        let listening = naive.clone();
        tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
                let AsyncMessage::Notification(notification) = message else { continue };
                let Ok(event) = serde_json::from_str::<Value>(notification.payload()) else { continue };
                let Some(key) = event["id"].as_i64() else { continue };
                let data = if event["type"] == "UPDATE" { &event["data"]["new"] } else { &event["data"] };
                let row = data["version"].as_u64().filter(|_| event["type"] != "DELETE");
                listening.rows.lock().insert(key, row);
            }
        });
        client.batch_execute("LISTEN chan_item").await.expect("it listens");
        // The session ends with its client.
        std::mem::forget(client);
        naive
    }

    pub(crate) async fn read(&self, key: i64) -> Result<Version, Error> {
        if let Some(row) = self.rows.lock().get(&key) {
            return Ok(*row);
        }
        let row = self.sql.query_opt(&self.select, &[&key.to_string()]).await.map_err(Error::from)?;
        let row = row.map(|row| row.get::<_, i64>(0).cast_unsigned());
        self.rows.lock().insert(key, row);
        Ok(row)
    }

    pub(crate) async fn write(&self, key: i64, content: Version) -> Result<(), Error> {
        let sql = match content {
            None => format!("DELETE FROM item WHERE id = {key}"),
            Some(version) => format!(
                "INSERT INTO item VALUES ({key}, {version}) ON CONFLICT (id) DO UPDATE SET version = excluded.version"
            ),
        };
        self.sql.batch_execute(&sql).await.map_err(Error::from)
    }

    pub(crate) fn forget(&self) {
        self.rows.lock().clear();
    }

    pub(crate) fn snapshot(&self) -> Vec<(i64, Version)> {
        self.rows.lock().iter().map(|(key, version)| (*key, *version)).collect()
    }
}
