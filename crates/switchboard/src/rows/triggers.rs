//! `switchboard rows triggers`.

use super::args::Triggers;
use crate::output::{self, note};
use anyhow::{Context, Result};
use switchboard_rows::{Database, triggers};

pub(super) async fn run(action: &Triggers) -> Result<()> {
    let (Triggers::Print(tables) | Triggers::Install(tables) | Triggers::Remove(tables)) = action;
    let rows = tables.settings()?.rows_settings();
    let address = rows.database.context("which database? Give --database URL or DATABASE_URL")?;
    let database: Database = address.parse()?;
    for table in &rows.tables {
        match action {
            Triggers::Print(_) => output::write(triggers::print(&database, table).await?.as_bytes())?,
            Triggers::Install(_) => {
                triggers::install(&database, table).await?;
                note(format_args!("The triggers of {} are installed.", table.name));
            }
            Triggers::Remove(_) => {
                triggers::remove(&database, table).await?;
                note(format_args!("The triggers of {} are removed.", table.name));
            }
        }
    }
    Ok(())
}
