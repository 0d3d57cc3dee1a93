//! The table of the demonstration.

use super::state::Inner;
use crate::Error;
use crate::database::Session;

const NAME: &str = "patron";
const CREATE: &str = "CREATE TABLE patron (id serial PRIMARY KEY, name text, fav_dish text)";

/// Creates the table if it is served and missing. A role that may not is told by the missing table.
pub(super) async fn create_table(inner: &Inner, session: &mut Session) -> Result<(), Error> {
    let is_served = |spec: &crate::TableSpec| spec.name == NAME && spec.schema.is_none();
    if !inner.options.create_demo_table || !inner.tables.iter().any(|slot| is_served(&slot.spec)) {
        return Ok(());
    }
    let result = create(session).await;
    match result {
        Ok(true) => tracing::info!("rows: created the table {NAME}"),
        Ok(false) => {}
        Err(Error::Rejected(reply)) => tracing::warn!("rows: cannot create the table {NAME}: {reply}"),
        Err(other) => return Err(other),
    }
    Ok(())
}

async fn create(session: &mut Session) -> Result<bool, Error> {
    let transaction = session.client_mut().transaction().await?;
    // Several instances start at once, and IF NOT EXISTS fails in the midst of another creation.
    let lock = "SELECT pg_advisory_xact_lock(hashtext('switchboard rows'), hashtext($1))";
    transaction.execute(lock, &[&NAME]).await?;
    let row = transaction.query_one("SELECT to_regclass($1) IS NULL", &[&NAME]).await?;
    let is_missing: bool = row.try_get(0)?;
    if is_missing {
        transaction.batch_execute(CREATE).await?;
    }
    transaction.commit().await?;
    Ok(is_missing)
}
