use crate::database::{Session, settings};
use crate::table::identifier;
use crate::{Database, Error};
use std::time::Duration;

const PREFIX: &str = "switchboard_scratch_";
const TIME: Duration = Duration::from_secs(30);
/// The first number of the advisory locks.
const LOCKS: i32 = 0x5357_4253;

/// A database for an experiment or a test, which is dropped with this value, also on a panic.
///
/// A program that ends early leaves it behind, and the next one that makes a scratch database on this server sweeps
/// it: whoever keeps one holds an advisory lock of the database it was made from. The role needs CREATEDB.
#[derive(Debug)]
pub struct ScratchDatabase {
    name: String,
    maker: Database,
    database: Database,
    /// Holds the lock.
    _session: Session,
}

impl ScratchDatabase {
    /// Makes a database on the server of `maker`, after sweeping those that nobody keeps.
    ///
    /// # Errors
    /// If the database does not answer, or the role may not create databases.
    pub async fn create(maker: &Database) -> Result<ScratchDatabase, Error> {
        let mut session = maker.session(&settings("switchboard scratch", TIME, TIME)).await?;
        sweep(&mut session).await?;
        let name = format!("{PREFIX}{:016x}", fastrand::u64(..));
        // The lock comes before the database, so that nobody sweeps it in between.
        session.query("SELECT pg_advisory_lock($1, hashtext($2))", &[&LOCKS, &name], TIME).await?;
        session.client().batch_execute(&format!("CREATE DATABASE {}", identifier(&name))).await?;
        let database = maker.with_name(&name);
        Ok(ScratchDatabase { name, maker: maker.clone(), database, _session: session })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }
}

/// Drops what was left behind. Returns how many databases there were.
async fn sweep(session: &mut Session) -> Result<usize, Error> {
    let find = "SELECT datname::text FROM pg_database WHERE starts_with(datname::text, $1) \
        AND datdba = (SELECT oid FROM pg_roles WHERE rolname = current_user)";
    let mut swept = 0;
    for row in session.query(find, &[&PREFIX], TIME).await? {
        let name: String = row.try_get(0)?;
        let lock = "SELECT pg_try_advisory_lock($1, hashtext($2))";
        let rows = session.query(lock, &[&LOCKS, &name], TIME).await?;
        let is_free = rows.first().map_or(Ok(false), |row| row.try_get::<_, bool>(0))?;
        if is_free {
            session.client().batch_execute(&drop_sql(&name)).await?;
            session.query("SELECT pg_advisory_unlock($1, hashtext($2))", &[&LOCKS, &name], TIME).await?;
            swept += 1;
        }
    }
    Ok(swept)
}

fn drop_sql(name: &str) -> String {
    format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", identifier(name))
}

impl Drop for ScratchDatabase {
    fn drop(&mut self) {
        let (maker, sql) = (self.maker.clone(), drop_sql(&self.name));
        // A thread of its own: we may be within a runtime that is about to end.
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let Ok(runtime) = runtime else { return };
            runtime.block_on(async {
                let Ok(session) = maker.session(&settings("switchboard scratch", TIME, TIME)).await else { return };
                // What fails is swept later.
                let _ = session.client().batch_execute(&sql).await;
            });
        });
        let _ = thread.join();
    }
}
