//! Listings of the broker over HTTP, page by page.

use crate::http::HttpServer;
use anyhow::Result;
use serde_json::Value;

/// Pages of a whole listing, at most: a broker has at most some millions of rows.
const PAGES: usize = 100_000;
/// Rows of a page, at most.
pub(crate) const ROWS: usize = 1000;

/// A listing, in whose answers each of `tables` is an array of rows.
pub(crate) struct Listing<'a> {
    pub(crate) server: &'a HttpServer,
    pub(crate) path: &'static str,
    pub(crate) tables: &'static [&'static str],
    /// Returns true for an answer of the broker, and not of another service.
    pub(crate) is_brokers: fn(&Value) -> bool,
}

impl Listing<'_> {
    /// Asks once, with these parameters behind the path.
    pub(crate) async fn ask(&self, parameters: &str) -> Result<Value> {
        match serde_json::from_str::<Value>(&self.server.get(&format!("{}{parameters}", self.path)).await?) {
            Ok(answer) if (self.is_brokers)(&answer) => Ok(answer),
            _ => Err(self.server.wrong_door().await),
        }
    }

    /// Asks for all rows. The answer is the first page's, with the rows of all pages, and with the last one's `next`.
    pub(crate) async fn ask_for_all(&self) -> Result<Value> {
        let mut whole = self.ask(&format!("?limit={ROWS}&after=0")).await?;
        for _ in 0..PAGES {
            let Some(next) = whole["next"].as_str().map(str::to_owned) else { break };
            let mut page = self.ask(&format!("?limit={ROWS}&after={next}")).await?;
            whole["next"] = page["next"].take();
            for table in self.tables {
                if let (Some(rows), Some(more)) = (whole[*table].as_array_mut(), page[*table].as_array_mut()) {
                    rows.append(more);
                }
            }
        }
        Ok(whole)
    }
}
