//! Events of keys alone (`events = "keys"`): one trigger a statement, whose transition tables have every row of it.

use super::parts::{counted, counter, id_of, utf_8_check};
use super::triggers::{BYTES, DELETE, INSERT, ROWS, UPDATE};
use super::{Table, literal};
use std::fmt::Write as _;

/// Triggers, and what each sees. A trigger with transition tables is of one kind of statement.
const TRIGGERS: [(&str, &str, &str); 3] = [
    (INSERT, "INSERT", "NEW TABLE AS switchboard_new"),
    (UPDATE, "UPDATE", "OLD TABLE AS switchboard_old NEW TABLE AS switchboard_new"),
    (DELETE, "DELETE", "OLD TABLE AS switchboard_old"),
];

/// The statements that make the triggers of `function`.
pub(super) fn install_sql(quoted: &str, function: &str) -> String {
    let mut sql = String::new();
    for (name, kind, tables) in TRIGGERS {
        let _ = write!(
            sql,
            "CREATE TRIGGER {name} AFTER {kind} ON {quoted} REFERENCING {tables}\n    \
             FOR EACH STATEMENT EXECUTE FUNCTION {function}();\nALTER TABLE {quoted} ENABLE ALWAYS TRIGGER {name};\n"
        );
    }
    sql
}

/// The function's body. As of the other one, nothing in it can end the writer's transaction.
pub(super) fn source(table: &Table) -> String {
    let (channel, name, schema) = (literal(&table.channel()), table.name_literal(), literal(&table.schema));
    let counter = counter(table);
    let counted = counted(&counter);
    let id = id_of(table, "r");
    let check = utf_8_check(table, "id");
    format!(
        "
DECLARE
    flush constant text := json_build_object('table', {name}, 'type', 'FLUSH')::text;
    head text;
    events text[];
    ids text[];
    id text;
    part text;
    count integer;
BEGIN
    -- A table that was renamed keeps its triggers, and is not the one that has the name now.
    IF NOT (TG_TABLE_NAME = {name} AND TG_TABLE_SCHEMA = {schema}) THEN
        RETURN NULL;
    END IF;
    BEGIN
        IF TG_OP = 'TRUNCATE' THEN
            count := {counted};
            PERFORM pg_notify({channel}, json_build_object('table', {name}, 'type', 'FLUSH', 'seq', count)::text);
            RETURN NULL;
        ELSIF TG_OP = 'DELETE' THEN
            count := (SELECT count(*) FROM (SELECT FROM switchboard_old LIMIT {ROWS} + 1) r);
        ELSE
            count := (SELECT count(*) FROM (SELECT FROM switchboard_new LIMIT {ROWS} + 1) r);
        END IF;
        IF count = 0 THEN
            RETURN NULL;
        END IF;
        -- A flush that is queued already is not queued again; a wrong count costs flushes, never an event.
        count := {counted} + count;
        PERFORM set_config({counter}, least(count, {ROWS} + 1)::text, true);
        IF count <= {ROWS} THEN
            -- Without `seq` PostgreSQL would drop the second of two equal events of a transaction.
            head := left(json_build_object('table', {name}, 'type', TG_OP, 'seq', count)::text, -1) || ',\"ids\":[';
            IF TG_OP = 'INSERT' THEN
                ids := ARRAY(SELECT {id}::text FROM switchboard_new r);
            ELSIF TG_OP = 'DELETE' THEN
                ids := ARRAY(SELECT {id}::text FROM switchboard_old r);
            ELSE
                ids := ARRAY(SELECT {id}::text FROM switchboard_old r UNION SELECT {id}::text FROM switchboard_new r);
            END IF;
            FOREACH id IN ARRAY ids LOOP{check}
                IF octet_length(head || part || id) + 3 > {BYTES} THEN
                    events := events || (head || part || ']}}');
                    part := NULL;
                END IF;
                part := coalesce(part || ',', '') || id;
                IF part IS NULL OR octet_length(head || part) + 2 > {BYTES} THEN
                    events := ARRAY[flush];
                    part := NULL;
                    EXIT;
                END IF;
            END LOOP;
            IF part IS NOT NULL THEN
                events := events || (head || part || ']}}');
            END IF;
        END IF;
    EXCEPTION WHEN OTHERS THEN
        events := NULL;
    END;
    FOREACH part IN ARRAY coalesce(events, ARRAY[flush]) LOOP
        PERFORM pg_notify({channel}, part);
    END LOOP;
    RETURN NULL;
END
"
    )
}
