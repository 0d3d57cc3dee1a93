//! The triggers that tell of changes, as SQL. A table's owner can install them; nobody needs to be a superuser.
//!
//! | change | event |
//! |---|---|
//! | a row | `{"table","id","type","seq","data"}`; `data` is the row, the old row, or `{"old","new","diff"}` |
//! | a row whose event is over 7,500 bytes | the same without `data` |
//! | a row's key | the same with `old_id` |
//! | rows of a table with events of keys alone | `{"table","type","seq","ids"}`, of one statement, in parts of 7,500 bytes |
//! | more than 1,000 rows in one transaction, TRUNCATE, a row whose event cannot be made | `{"table","type":"FLUSH"}` |
//!
//! `seq` counts a table's rows within a transaction: PostgreSQL drops a notification that equals an earlier one of the
//! same transaction. A FLUSH of TRUNCATE has the count so far, every other one none.
//!
//! The writer's transaction does not fail because of an event. `PREPARE TRANSACTION` does: PostgreSQL refuses it
//! after a NOTIFY.

use super::parts::{COLUMNS_FIRST, counted, counter, id_of, json_of, utf_8_check};
use super::sql::bounded;
use super::{Events, Table, TableSpec, identifier, keys, literal};
use crate::{Database, Error};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio_postgres::Client;

/// Rows of one table that one transaction may change before its event says "flush".
pub(super) const ROWS: u32 = 1000;
/// Bytes of an event. PostgreSQL refuses 8,000, and the writer's transaction with it.
pub(super) const BYTES: u32 = 7500;
/// Time that the installation may wait for a table's lock, with the writers behind it.
const LOCK: Duration = Duration::from_secs(2);
const STATEMENT: Duration = Duration::from_secs(30);

/// Relations with data or partitions, and their triggers of ours.
const INSTALLED: &str = "SELECT n.nspname::text, c.relname::text, g.tgname::text, g.tgenabled::text, g.tgtype, \
    g.tgqual IS NULL AND g.tgattr::text = '', p.prosrc, g.tgparentid = 0 \
    FROM (SELECT relid FROM pg_partition_tree($1::text::regclass) UNION SELECT $1::text::regclass) s \
    JOIN pg_class c ON c.oid = s.relid JOIN pg_namespace n ON n.oid = c.relnamespace \
    LEFT JOIN (pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid) \
        ON g.tgrelid = c.oid AND g.tgname = ANY($2) AND NOT g.tgisinternal \
    ORDER BY c.relispartition, c.oid, g.tgname";

/// A table by its name, whatever it is.
const RELATION: &str = "SELECT n.nspname::text, c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relname = $1 AND CASE WHEN $2::text IS NULL THEN pg_table_is_visible(c.oid) ELSE n.nspname = $2 END";

/// The triggers of a table and its partitions, without copies of their parents', and the functions of ours that they call.
const TRIGGERS: &str = "SELECT format('%I ON %I.%I', g.tgname, n.nspname, c.relname), m.nspname::text, p.proname::text \
    FROM (SELECT relid FROM pg_partition_tree($1::oid::regclass) UNION SELECT $1::oid::regclass) s \
    JOIN pg_class c ON c.oid = s.relid JOIN pg_namespace n ON n.oid = c.relnamespace \
    JOIN pg_trigger g ON g.tgrelid = c.oid JOIN pg_proc p ON p.oid = g.tgfoid JOIN pg_namespace m ON m.oid = p.pronamespace \
    WHERE g.tgname = ANY($2) AND NOT g.tgisinternal AND g.tgparentid = 0 AND starts_with(p.proname::text, 'switchboard_rows_')";

const ROW: &str = "switchboard_rows";
const TRUNCATE: &str = "switchboard_rows_truncate";
pub(super) const INSERT: &str = "switchboard_rows_insert";
pub(super) const UPDATE: &str = "switchboard_rows_update";
pub(super) const DELETE: &str = "switchboard_rows_delete";
/// Every trigger of ours, and its type: AFTER and for each statement, unless 1 (for each row) is in it; INSERT 4,
/// DELETE 8, UPDATE 16, TRUNCATE 32.
const OURS: [(&str, i16); 5] = [(ROW, 1 | 4 | 8 | 16), (TRUNCATE, 32), (INSERT, 4), (UPDATE, 16), (DELETE, 8)];
const NAMES: [&str; 5] = [OURS[0].0, OURS[1].0, OURS[2].0, OURS[3].0, OURS[4].0];

/// The type of a table's trigger of this name, if it is to have one.
fn type_of(events: Events, name: &str) -> Option<i16> {
    let is_wanted = name == TRUNCATE || (name == ROW) == (events == Events::Rows);
    OURS.iter().find(|(ours, _)| is_wanted && *ours == name).map(|(_, kind)| *kind)
}

/// The state of a table's triggers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Installed {
    Complete,
    /// No relation has one.
    None,
    /// Not all are as they should be.
    Partly {
        reason: String,
        /// They were, until the table was changed: a key column has another name, or there is a new partition.
        by_change: bool,
    },
}

/// The statements that install a table's triggers. They may be run again and again.
///
/// # Errors
/// If the table cannot be served, or the database does not answer.
pub async fn print(database: &Database, table: &TableSpec) -> Result<String, Error> {
    let session = session(database).await?;
    let table = super::load(session.client(), table).await?;
    let relations = relations(session.client(), &table).await?;
    Ok(install_sql(&table, &relations, false))
}

/// Installs a table's triggers, in one transaction.
///
/// # Errors
/// If the role owns neither the table nor may create functions in its schema, and as for [`print()`].
pub async fn install(database: &Database, table: &TableSpec) -> Result<(), Error> {
    let mut session = session(database).await?;
    let table = super::load(session.client(), table).await?;
    install_on(session.client_mut(), &table, false).await
}

/// Removes what [`install`] made. A table without triggers is left as it is; its key and its columns do not count.
///
/// # Errors
/// If there is no such table, the role does not own it, or the database does not answer.
pub async fn remove(database: &Database, table: &TableSpec) -> Result<(), Error> {
    let mut session = session(database).await?;
    let found = session.client().query_opt(RELATION, &[&table.name, &table.schema]).await?;
    let found = found.ok_or_else(|| Error::table(&table.name, "there is none of this name"))?;
    let (schema, oid): (String, u32) = (found.try_get(0)?, found.try_get(1)?);
    let own = function(&schema, &table.name);
    let (mut triggers, mut others) = (String::new(), BTreeSet::new());
    for row in session.client().query(TRIGGERS, &[&oid, &&NAMES[..]]).await? {
        let trigger: String = row.try_get(0)?;
        let function = format!("{}.{}", identifier(row.try_get(1)?), identifier(row.try_get(2)?));
        triggers += &format!("DROP TRIGGER IF EXISTS {trigger};\n");
        if function != own {
            others.insert(function);
        }
    }
    // A partition that was detached keeps its TRUNCATE trigger, which its function alone leads to.
    let mut sql = triggers + &format!("DROP FUNCTION IF EXISTS {own}() CASCADE;\n");
    for function in others {
        // The table had another name once, and another table may have that name now.
        let drop =
            format!("BEGIN DROP FUNCTION {function}(); EXCEPTION WHEN dependent_objects_still_exist THEN NULL; END");
        sql += &format!("DO {};\n", literal(&drop));
    }
    transact(session.client_mut(), &own, &sql).await
}

async fn session(database: &Database) -> Result<crate::database::Session, Error> {
    database.session(&crate::database::settings("switchboard rows triggers", STATEMENT, LOCK)).await
}

pub(crate) async fn install_on(client: &mut Client, table: &Table, without_truncate: bool) -> Result<(), Error> {
    let relations = relations(client, table).await?;
    let sql = install_sql(table, &relations, without_truncate);
    transact(client, &function(&table.schema, &table.name), &sql).await.map_err(|error| match error {
        Error::Rejected(reply) if reply.code == "42501" => Error::table(
            &table.name,
            format!(
                "its triggers are missing, and we may not install them ({}); let its owner run `triggers print`",
                reply.message
            ),
        ),
        other => other,
    })
}

async fn transact(client: &mut Client, function: &str, sql: &str) -> Result<(), Error> {
    let transaction = client.transaction().await?;
    // Several instances start at once; a function that two replace at once is an error.
    let lock = "SELECT pg_advisory_xact_lock(hashtext('switchboard rows'), hashtext($1))";
    transaction.execute(lock, &[&function]).await?;
    transaction.batch_execute(sql).await?;
    transaction.commit().await?;
    Ok(())
}

/// The table and its partitions, quoted.
async fn relations(client: &Client, table: &Table) -> Result<Vec<String>, Error> {
    let mut relations: Vec<String> = Vec::new();
    for row in client.query(INSTALLED, &[&table.quoted(), &&NAMES[..]]).await? {
        let (schema, name): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let relation = format!("{}.{}", identifier(&schema), identifier(&name));
        if relations.last() != Some(&relation) {
            relations.push(relation);
        }
    }
    Ok(relations)
}

/// Compares what is installed with what should be, and with what should have been by the description `before`.
pub(crate) async fn check(
    client: &Client,
    table: &Table,
    before: Option<&Table>,
    without_truncate: bool,
) -> Result<Installed, Error> {
    let (source, before) = (source(table), before.map(source));
    let (mut problem, mut by_change) = (None, true);
    let (mut any, mut wanted, mut right) = (false, 0, 0);
    let mut last = None;
    for row in client.query(INSTALLED, &[&table.quoted(), &&NAMES[..]]).await? {
        let (schema, name): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let relation = format!("{schema}.{name}");
        if last.as_ref() != Some(&relation) {
            last = Some(relation.clone());
            let tables = if table.events == Events::Rows { 1 } else { 3 };
            wanted += if without_truncate { tables } else { tables + 1 };
        }
        let Some(trigger) = row.try_get::<_, Option<String>>(2)? else { continue };
        any = true;
        let found: String = row.try_get(6)?;
        let Some(kind) = type_of(table.events, &trigger) else {
            (problem, by_change) =
                (Some(format!("the trigger {trigger} of {relation} is for the other kind of events")), false);
            continue;
        };
        if row.try_get::<_, String>(3)? != "A" {
            (problem, by_change) = (Some(format!("the trigger {trigger} of {relation} is not ENABLE ALWAYS")), false);
        } else if row.try_get::<_, i16>(4)? != kind || !row.try_get::<_, bool>(5)? {
            (problem, by_change) = (Some(format!("the trigger {trigger} of {relation} is not ours")), false);
        } else if found != source {
            problem =
                Some(format!("the trigger {trigger} of {relation} is of another version, or hides other columns"));
            by_change &= before.as_ref() == Some(&found);
        } else {
            right += 1;
        }
    }
    let missing = || format!("{} of {wanted} triggers are missing", wanted - right);
    Ok(match problem {
        None if right >= wanted => Installed::Complete,
        None if !any => Installed::None,
        problem => Installed::Partly { reason: problem.unwrap_or_else(missing), by_change },
    })
}

fn function(schema: &str, table: &str) -> String {
    format!("{}.{}", identifier(schema), identifier(&bounded("switchboard_rows_", table)))
}

fn install_sql(table: &Table, relations: &[String], without_truncate: bool) -> String {
    let (source, function) = (source(table), function(&table.schema, &table.name));
    let mut tag = "$switchboard$".to_owned();
    while source.contains(&tag) {
        tag.insert(1, '_');
    }
    // The formats of rows and the meaning of names must not depend on the writer's session.
    let mut sql = format!(
        "CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql\n\
         SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO' SET intervalstyle = 'iso_8601'\n\
         SET bytea_output = 'hex' SET extra_float_digits = 1 SET lc_monetary = 'C' SET quote_all_identifiers = off AS {tag}{source}{tag};\n"
    );
    let quoted = table.quoted();
    for (name, _) in OURS.iter().filter(|(name, _)| *name != TRUNCATE) {
        sql += &format!("DROP TRIGGER IF EXISTS {name} ON {quoted};\n");
    }
    sql += &match table.events {
        Events::Keys => keys::install_sql(&quoted, &function),
        Events::Rows => format!(
            "CREATE TRIGGER {ROW} AFTER INSERT OR UPDATE OR DELETE ON {quoted}\n    FOR EACH ROW EXECUTE FUNCTION {function}();\n"
        ),
    };
    for relation in relations {
        if table.events == Events::Rows {
            sql += &format!("ALTER TABLE ONLY {relation} ENABLE ALWAYS TRIGGER {ROW};\n");
        }
        sql += &format!("DROP TRIGGER IF EXISTS {TRUNCATE} ON {relation};\n");
        if !without_truncate {
            sql += &format!(
                "CREATE TRIGGER {TRUNCATE} AFTER TRUNCATE ON {relation}\n    FOR EACH STATEMENT EXECUTE FUNCTION {function}();\n\
                 ALTER TABLE {relation} ENABLE ALWAYS TRIGGER {TRUNCATE};\n"
            );
        }
    }
    sql
}

/// The function's body. Nothing in it can end the writer's transaction: what may fail is caught.
fn source(table: &Table) -> String {
    match table.events {
        Events::Rows => rows_source(table),
        Events::Keys => keys::source(table),
    }
}

fn rows_source(table: &Table) -> String {
    let hidden: Vec<String> = table.hidden.iter().map(|name| format!(" - {}::text", literal(name))).collect();
    let hidden = hidden.concat();
    let (channel, name, schema) = (literal(&table.channel()), table.name_literal(), literal(&table.schema));
    let (counter, new, old) = (counter(table), id_of(table, "NEW"), id_of(table, "OLD"));
    let counted = counted(&counter);
    let (new_json, old_json) = (json_of(table, "NEW"), json_of(table, "OLD"));
    let check = utf_8_check(table, "whole");
    // In a block of its own: the event's keys stand, and so does the count.
    let check_data = match &*check {
        "" => String::new(),
        check => format!(" BEGIN{check} EXCEPTION WHEN OTHERS THEN whole := NULL; END;"),
    };
    let names = if table.columns.iter().any(|column| column.expression.is_some()) { COLUMNS_FIRST } else { "" };
    format!(
        "{names}
DECLARE
    flush constant text := json_build_object('table', {name}, 'type', 'FLUSH')::text;
    event text;
    id json;
    old_id json;
    count integer;
    old_row jsonb;
    new_row jsonb;
    data jsonb;
    whole text;
BEGIN
    -- A table that was renamed keeps its triggers, and is not the one that has the name now.
    IF NOT (TG_TABLE_NAME = {name} AND TG_TABLE_SCHEMA = {schema})
        AND pg_partition_root(TG_RELID)::text IS DISTINCT FROM quote_ident({schema}) || '.' || quote_ident({name}) THEN
        RETURN NULL;
    END IF;
    BEGIN
        -- A flush that is queued already is not queued again; a wrong count costs flushes, never an event.
        count := {counted} + (TG_OP <> 'TRUNCATE')::integer;
        PERFORM set_config({counter}, least(count, {ROWS} + 1)::text, true);
        IF TG_OP = 'TRUNCATE' THEN
            event := json_build_object('table', {name}, 'type', 'FLUSH', 'seq', count)::text;
        ELSIF count <= {ROWS} THEN
            IF TG_OP = 'DELETE' THEN
                id := {old};
            ELSE
                id := {new};
            END IF;
            IF TG_OP = 'UPDATE' THEN
                old_id := {old};
                IF old_id::text = id::text THEN
                    old_id := NULL;
                END IF;
            END IF;
            IF id IS NOT NULL THEN
                whole := json_strip_nulls(json_build_object('table', {name}, 'id', id, 'old_id', old_id, 'type', TG_OP, 'seq', count))::text;{check}
                event := whole;
            END IF;
            -- Without `seq` PostgreSQL would drop the second of two equal events of a transaction.
            IF octet_length(event) <= {BYTES} THEN
                -- The event's keys stand if its data cannot be made.
                IF TG_OP <> 'DELETE' AND pg_column_size(NEW) <= {BYTES} THEN
                    new_row := {new_json}{hidden};
                END IF;
                IF TG_OP <> 'INSERT' AND pg_column_size(OLD) <= {BYTES} THEN
                    old_row := {old_json}{hidden};
                END IF;
                data := CASE TG_OP WHEN 'INSERT' THEN new_row WHEN 'DELETE' THEN old_row
                    ELSE jsonb_build_object('old', old_row, 'new', new_row, 'diff',
                        coalesce((SELECT jsonb_object_agg(n.key, n.value) FROM jsonb_each(new_row) n
                            WHERE n.value IS DISTINCT FROM old_row -> n.key), '{{}}')) END;
                IF TG_OP = 'UPDATE' AND (new_row IS NULL OR old_row IS NULL) THEN
                    data := NULL;
                END IF;
                whole := left(event, -1) || ',\"data\":' || data::text || '}}';{check_data}
                IF octet_length(whole) <= {BYTES} THEN
                    event := whole;
                END IF;
            END IF;
        END IF;
    EXCEPTION WHEN OTHERS THEN
        NULL;
    END;
    IF event IS NULL OR octet_length(event) > {BYTES} THEN
        event := flush;
    END IF;
    PERFORM pg_notify({channel}, event);
    RETURN NULL;
END
"
    )
}
