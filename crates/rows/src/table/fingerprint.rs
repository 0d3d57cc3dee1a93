//! A text that differs after anything that changes rows, or how they are seen, without an event.

/// Parameters: schemas and names. Gives a text for each, empty for a table that is not there.
///
/// `xmin` is the transaction that wrote a catalogue entry: a trigger that was disabled and enabled again differs.
/// VACUUM and ANALYZE change no `xmin` here; TRUNCATE has a trigger of its own.
pub(crate) const FINGERPRINTS: &str = "\
    SELECT coalesce((SELECT concat_ws('/', c.oid, c.relkind, c.relpersistence, row_security_active(c.oid), \
        EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid), EXISTS (SELECT FROM pg_subscription_rel r WHERE r.srrelid = c.oid), \
        (SELECT string_agg(concat(a.attnum, ':', a.xmin), ',' ORDER BY a.attnum) \
            FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0), \
        (SELECT string_agg(concat(e.oid, ':', e.xmin), ',' ORDER BY e.oid) FROM pg_enum e \
            WHERE e.enumtypid IN (SELECT unnest(ARRAY[y.oid, y.typelem, y.typbasetype]) FROM pg_attribute a \
                JOIN pg_type y ON y.oid = a.atttypid WHERE a.attrelid = c.oid AND a.attnum > 0)), \
        (SELECT string_agg(concat(i.inhrelid, ':', i.xmin), ',' ORDER BY i.inhrelid) FROM pg_inherits i \
            WHERE i.inhparent IN (SELECT relid FROM pg_partition_tree(c.oid) UNION SELECT c.oid)), \
        (SELECT string_agg(concat(g.oid, ':', g.xmin, ':', p.xmin), ',' ORDER BY g.oid) \
            FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid \
            WHERE g.tgrelid IN (SELECT relid FROM pg_partition_tree(c.oid) UNION SELECT c.oid) \
            AND NOT g.tgisinternal AND g.tgname LIKE 'switchboard\\_rows%')) \
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
        WHERE n.nspname = w.schema AND c.relname = w.name), '') \
    FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS w(schema, name, n) ORDER BY w.n";
