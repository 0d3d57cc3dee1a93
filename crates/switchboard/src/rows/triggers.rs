//! `switchboard rows triggers`.

use super::args::{Changed, Triggered, Triggers};
use super::server::given;
use crate::output::{self, note};
use anyhow::Result;
use serde_json::json;
use switchboard_rows::{Database, TableSpec, triggers};

pub(super) async fn run(action: &Triggers) -> Result<()> {
    match action {
        Triggers::Print(tables) => {
            let (database, tables) = named(tables)?;
            for table in &tables {
                output::write(triggers::print(&database, table).await?.as_bytes())?;
            }
            Ok(())
        }
        Triggers::Install(changed) => change(changed, true).await,
        Triggers::Remove(changed) => change(changed, false).await,
    }
}

fn named(tables: &Triggered) -> Result<(Database, Vec<TableSpec>)> {
    let rows = tables.settings()?.rows_settings();
    Ok((given(rows.database.as_deref())?, rows.tables))
}

async fn change(changed: &Changed, is_install: bool) -> Result<()> {
    let (database, tables) = named(&changed.tables)?;
    let word = if is_install { "installed" } else { "removed" };
    for table in &tables {
        if is_install {
            triggers::install(&database, table).await?;
        } else {
            triggers::remove(&database, table).await?;
        }
        if !changed.json {
            note(format_args!("The triggers of {} are {word}.", table.name));
        }
    }
    if changed.json {
        let names: Vec<String> = tables.iter().map(|table| table.name.to_string()).collect();
        output::write(format!("{}\n", json!({ word: names })).as_bytes())?;
    }
    Ok(())
}
