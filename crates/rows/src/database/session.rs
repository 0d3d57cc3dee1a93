//! One session of the database, checked before it is used.

use super::{Database, Identity};
use crate::Error;
use std::collections::HashMap;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Connection, Row, Socket, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Time for a server to accept, to log us in, and to say who it is.
const BEGIN: Duration = Duration::from_secs(10);
/// Prepared statements of one session; more of them are forgotten together.
const STATEMENTS: usize = 128;

/// Row JSON must not depend on a role's or a database's settings.
const FORMATS: &str = "SET timezone = 'UTC'; SET datestyle = 'ISO'; SET intervalstyle = 'iso_8601'; \
    SET bytea_output = 'hex'; SET extra_float_digits = 1; SET client_min_messages = warning; \
    SET quote_all_identifiers = off; SET lc_monetary = 'C';";

/// A role's search path may name `pg_catalog` behind schemas in which others create types and functions. Unnamed, it is
/// the first.
const PATH: &str = "SELECT pg_catalog.set_config('search_path', coalesce(pg_catalog.string_agg(pg_catalog.quote_ident(s::pg_catalog.text), ', '), ''), false) \
    FROM pg_catalog.unnest(pg_catalog.current_schemas(false)) s WHERE s OPERATOR(pg_catalog.<>) 'pg_catalog' \
    HAVING 'pg_catalog' OPERATOR(pg_catalog.=) ANY (pg_catalog.current_schemas(false));";

const IDENTITY: &str = "SELECT pg_is_in_recovery(), (SELECT system_identifier::text FROM pg_control_system()), \
    CASE WHEN pg_is_in_recovery() THEN NULL ELSE substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) END, \
    (SELECT oid FROM pg_database WHERE datname = current_database()), pg_backend_pid()";

/// The part that does the I/O.
pub(crate) type Link = Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

/// Statements that begin a session: formats, and the time that it may wait for a lock and work on a statement.
pub(crate) fn settings(name: &str, statement: Duration, lock: Duration) -> String {
    // Zero would mean no limit.
    let [statement, lock] = [statement, lock].map(|time| time.as_millis().clamp(1, 1 << 30));
    format!(
        "{PATH} {FORMATS} SET application_name = '{name}'; SET statement_timeout = {statement}; SET lock_timeout = {lock};"
    )
}

/// Runs a future of a connection's beginning within its time. What the server rejects is a refusal.
pub(crate) async fn checked<T>(begin: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let result = timeout(BEGIN, begin).await;
    let result = result.unwrap_or_else(|_| Err(Error::unavailable("it accepts connections and does not answer")));
    result.map_err(|error| match error {
        // A wrong password or a missing database is no fault of a request.
        Error::Rejected(reply) => {
            let remedy = match reply.code.as_str() {
                "28P01" => "; the database's address needs the right user and password",
                "28000" => "; the server's pg_hba.conf must let this user in",
                "3D000" => "; create it, or name another in the database's address",
                "42501" => "; this role needs the privilege",
                _ => "",
            };
            Error::refused(format!("the database refuses connections: {reply}{remedy}"))
        }
        other => other,
    })
}

impl Database {
    pub(crate) async fn dial(&self) -> Result<(Client, Link), Error> {
        self.config.connect(self.tls.clone()).await.map_err(|error| self.not_connected(error))
    }

    /// Waits until the server answers a query, whatever it is.
    pub(crate) async fn answer(&self) -> Result<(), Error> {
        checked(async {
            let (client, link) = self.dial().await?;
            let driver = tokio::spawn(async move {
                let _ = link.await;
            });
            let answer = client.batch_execute("SELECT 1").await;
            driver.abort();
            Ok(answer?)
        })
        .await
    }

    pub(crate) async fn session(&self, settings: &str) -> Result<Session, Error> {
        checked(async {
            let (client, link) = self.dial().await?;
            let driver = tokio::spawn(async move {
                // Its error is what the statements under way get.
                let _ = link.await;
            });
            let mut session = Session {
                client,
                driver,
                identity: Identity { system: 0, timeline: 0, database: 0 },
                process: 0,
                statements: HashMap::new(),
                busy: false,
            };
            session.client.batch_execute(settings).await?;
            (session.identity, session.process) = identify(&session.client).await?;
            Ok(session)
        })
        .await
    }
}

/// Says which database this is, and the server process's number.
pub(crate) async fn identify(client: &Client) -> Result<(Identity, i32), Error> {
    let row = client.query_one(IDENTITY, &[]).await.map_err(|error| match Error::from(error) {
        // The statement was prepared just before, in another session then.
        Error::Rejected(reply) if matches!(reply.code.as_str(), "26000" | "42P05") => pooled(),
        other => other,
    })?;
    if row.try_get::<_, bool>(0)? {
        return Err(Error::refused("this is a standby; give the address of the primary"));
    }
    let system: String = row.try_get(1)?;
    let timeline: String = row.try_get(2)?;
    let unclear = || Error::refused("the server does not say which database it is");
    let system = system.parse().map_err(|_| unclear())?;
    let timeline = u32::from_str_radix(&timeline, 16).map_err(|_| unclear())?;
    Ok((Identity { system, timeline, database: row.try_get(3)? }, row.try_get(4)?))
}

/// A session, and the task that drives it. Dropped, it is closed at once.
#[derive(Debug)]
pub(crate) struct Session {
    client: Client,
    driver: JoinHandle<()>,
    pub(crate) identity: Identity,
    pub(crate) process: i32,
    statements: HashMap<Box<str>, Statement>,
    /// A statement was sent whose answer has not come: nobody else may use the session.
    busy: bool,
}

pub(crate) type Parameter<'a> = &'a (dyn tokio_postgres::types::ToSql + Sync);

impl Session {
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn client_mut(&mut self) -> &mut Client {
        &mut self.client
    }

    pub(crate) fn is_usable(&self) -> bool {
        !self.busy && !self.client.is_closed()
    }

    /// Runs a statement that is prepared once, within `time`.
    pub(crate) async fn query(
        &mut self,
        sql: &str,
        parameters: &[Parameter<'_>],
        time: Duration,
    ) -> Result<Vec<Row>, Error> {
        self.busy = true;
        let result = timeout(time, self.run(sql, parameters)).await;
        self.answered(time, result)
    }

    /// Runs a statement that does not return, within `time`. Every parameter is text.
    pub(crate) async fn query_once(
        &mut self,
        sql: &str,
        parameters: &[Parameter<'_>],
        time: Duration,
    ) -> Result<Vec<Row>, Error> {
        self.busy = true;
        let typed: Vec<_> = parameters.iter().map(|parameter| (*parameter, Type::TEXT)).collect();
        let result = timeout(time, self.client.query_typed(sql, &typed)).await;
        self.answered(time, result)
    }

    /// Without an answer the session stays busy: it may still come, and the session is closed instead.
    fn answered<E: Into<Error>>(
        &mut self,
        time: Duration,
        result: Result<Result<Vec<Row>, E>, Elapsed>,
    ) -> Result<Vec<Row>, Error> {
        let result = result.map_err(|_| no_answer(time))?;
        self.busy = false;
        result.map_err(Into::into)
    }

    async fn run(&mut self, sql: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Row>, Error> {
        if let Some(statement) = self.statements.get(sql) {
            return self.client.query(statement, parameters).await.map_err(Error::from);
        }
        let statement = self.client.prepare(sql).await?;
        if self.statements.len() >= STATEMENTS {
            self.statements.clear();
        }
        self.statements.insert(sql.into(), statement.clone());
        self.client.query(&statement, parameters).await.map_err(Error::from)
    }
}

/// The refusal of a pooler.
pub(crate) fn pooled() -> Error {
    Error::refused(
        "a pooler shares database sessions between clients (transaction pooling), which loses notifications; \
         give the address of PostgreSQL itself",
    )
}

fn no_answer(time: Duration) -> Error {
    Error::unavailable(format!("no answer within {} ms", time.as_millis()))
}

impl Drop for Session {
    fn drop(&mut self) {
        // A peer that takes nothing would keep it for ever.
        self.driver.abort();
    }
}
