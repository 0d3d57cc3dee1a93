use crate::database::{Session, settings};
use crate::table::{identifier, literal};
use crate::{Database, Error};
use std::time::Duration;
use switchboard_driver::{build_runtime, start_thread};

const PREFIX: &str = "switchboard_scratch_";
const MARK: &str = "switchboard scratch database";
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

    /// Makes a database that stays until [`ScratchDatabase::remove`].
    ///
    /// # Errors
    /// If there is one of this name, the name is not of 1 to 63 bytes, and as for [`ScratchDatabase::create`].
    pub async fn keep(maker: &Database, name: &str) -> Result<Database, Error> {
        ScratchDatabase::check_name(name)?;
        let session = maker.session(&settings("switchboard scratch", TIME, TIME)).await?;
        let name_in_sql = identifier(name);
        session.client().batch_execute(&format!("CREATE DATABASE {name_in_sql}")).await?;
        // By it, and by nothing else, it is known to be one that may be dropped.
        let mark = format!("COMMENT ON DATABASE {name_in_sql} IS {}", literal(MARK));
        session.client().batch_execute(&mark).await?;
        Ok(maker.with_name(name))
    }

    /// Checks a name for [`ScratchDatabase::keep`] and [`ScratchDatabase::remove`], without a database.
    ///
    /// # Errors
    /// It is not of 1 to 63 bytes, has a zero byte, or begins like those that are dropped by themselves.
    pub fn check_name(name: &str) -> Result<(), Error> {
        if (1..=63).contains(&name.len()) && !name.contains('\0') && !name.starts_with(PREFIX) {
            return Ok(());
        }
        let reason =
            format!("a database's name has 1 to 63 bytes, none of them zero, and does not begin with {PREFIX}");
        Err(Error::refused(reason))
    }

    /// Drops a database that [`ScratchDatabase::keep`] made, with whoever is connected to it.
    ///
    /// # Errors
    /// If there is none of this name, it was made in another way, or the role does not own it.
    pub async fn remove(maker: &Database, name: &str) -> Result<(), Error> {
        let mut session = maker.session(&settings("switchboard scratch", TIME, TIME)).await?;
        let find = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = $1";
        let rows = session.query(find, &[&name], TIME).await?;
        let comment: Option<String> = match rows.first() {
            Some(row) => row.try_get(0)?,
            None => return Err(Error::refused(format!("there is no database {name}"))),
        };
        if comment.as_deref() != Some(MARK) {
            return Err(Error::refused(format!("database {name} was not made as a scratch database; it stays")));
        }
        session.client().batch_execute(&drop_sql(name)).await?;
        Ok(())
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
    // An advisory lock is one of its database: those who keep one may hold theirs in another than this session is in.
    let find = "SELECT datname::text FROM pg_database WHERE starts_with(datname::text, $1) \
        AND datdba = (SELECT oid FROM pg_roles WHERE rolname = current_user) \
        AND NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = $2::int4::oid \
            AND objid = hashtext(datname::text)::oid AND objsubid = 2)";
    let mut swept = 0;
    for row in session.query(find, &[&PREFIX, &LOCKS], TIME).await? {
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
        let thread = start_thread("scratch", move || {
            let runtime = build_runtime(&mut tokio::runtime::Builder::new_current_thread());
            let Ok(runtime) = runtime else { return };
            runtime.block_on(async {
                let Ok(session) = maker.session(&settings("switchboard scratch", TIME, TIME)).await else { return };
                // A failed drop is repeated by the sweep.
                let _ = session.client().batch_execute(&sql).await;
            });
        });
        // Without a thread the sweep drops it.
        let _ = thread.map(std::thread::JoinHandle::join);
    }
}
