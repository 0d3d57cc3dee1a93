//! `switchboard rows triggers`.

use super::args::Triggers;
use super::server::given;
use crate::output::{self, note};
use anyhow::Result;
use switchboard_rows::triggers;

pub(super) async fn run(action: &Triggers) -> Result<()> {
    let (Triggers::Print(tables) | Triggers::Install(tables) | Triggers::Remove(tables)) = action;
    let rows = tables.settings()?.rows_settings();
    let database = given(rows.database.as_deref())?;
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
