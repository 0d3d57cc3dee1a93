//! A text that differs after anything that changes rows, how they are seen, or whether we may, without an event.

/// Parameters: schemas and names. Gives a text for each, empty for a table that is not there.
///
/// `xmin` is the transaction that wrote a catalogue entry: a trigger that was disabled and enabled again differs, and so
/// does a table that was renamed and has its old name again, by its row type. VACUUM and ANALYZE change no `xmin` here;
/// TRUNCATE, which writes `pg_class`, has a trigger of its own. A row's JSON depends on the types within its columns'
/// types, on their casts to JSON and on their output functions. Those of PostgreSQL itself do not change.
pub(crate) const FINGERPRINTS: &str = "\
    SELECT coalesce((SELECT concat_ws('/', c.oid, c.relkind, c.relpersistence, c.relispartition, row_security_active(c.oid), \
        EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid), EXISTS (SELECT FROM pg_subscription_rel r WHERE r.srrelid = c.oid), \
        n.xmin, has_schema_privilege(n.oid, 'USAGE'), (SELECT y.xmin FROM pg_type y WHERE y.oid = c.reltype), \
        CASE WHEN c.relkind = 'p' THEN c.xmin END, \
        (SELECT string_agg(concat(a.attnum, ':', a.xmin, ':', has_column_privilege(c.oid, a.attnum, 'SELECT')), ',' \
            ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0), \
        (SELECT string_agg(concat(d.adnum, ':', d.xmin), ',' ORDER BY d.adnum) FROM pg_attrdef d WHERE d.adrelid = c.oid), \
        (SELECT string_agg(concat_ws(':', i.indexrelid, i.indisvalid, i.indisprimary, i.indimmediate), ',' \
            ORDER BY i.indexrelid) FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique), \
        (WITH RECURSIVE used(oid) AS ( \
            SELECT a.atttypid FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND a.atttypid >= 16384 \
            UNION SELECT inner_type.oid FROM used JOIN pg_type y ON y.oid = used.oid, LATERAL ( \
                SELECT y.typelem UNION ALL SELECT y.typbasetype \
                UNION ALL SELECT a.atttypid FROM pg_attribute a WHERE a.attrelid = y.typrelid AND a.attnum > 0 \
                UNION ALL SELECT pg_catalog.unnest(ARRAY[r.rngtypid, r.rngsubtype]) FROM pg_range r \
                    WHERE r.rngtypid = y.oid OR r.rngmultitypid = y.oid) inner_type(oid) \
            WHERE inner_type.oid >= 16384) \
        SELECT string_agg(concat_ws(':', y.oid, y.xmin, m.xmin, o.xmin, \
            (SELECT string_agg(concat(a.attnum, ':', a.xmin), ',' ORDER BY a.attnum) \
                FROM pg_attribute a WHERE a.attrelid = y.typrelid AND a.attnum > 0), \
            (SELECT string_agg(concat(e.oid, ':', e.xmin), ',' ORDER BY e.oid) FROM pg_enum e WHERE e.enumtypid = y.oid), \
            (SELECT string_agg(concat(k.oid, ':', k.xmin, ':', p.xmin), ',' ORDER BY k.oid) \
                FROM pg_cast k LEFT JOIN pg_proc p ON p.oid = k.castfunc WHERE k.castsource = y.oid)), ';' ORDER BY y.oid) \
            FROM used JOIN pg_type y ON y.oid = used.oid JOIN pg_namespace m ON m.oid = y.typnamespace \
            LEFT JOIN pg_proc o ON o.oid = y.typoutput), \
        (SELECT string_agg(concat(i.inhrelid, ':', i.xmin), ',' ORDER BY i.inhrelid) FROM pg_inherits i \
            WHERE i.inhparent IN (SELECT relid FROM pg_partition_tree(c.oid) UNION SELECT c.oid)), \
        (SELECT string_agg(concat(g.oid, ':', g.xmin, ':', p.xmin), ',' ORDER BY g.oid) \
            FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid \
            WHERE g.tgrelid IN (SELECT relid FROM pg_partition_tree(c.oid) UNION SELECT c.oid) \
            AND NOT g.tgisinternal AND g.tgname LIKE 'switchboard\\_rows%')) \
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
        WHERE n.nspname = w.schema AND c.relname = w.name), '') \
    FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) WITH ORDINALITY AS w(schema, name, n) ORDER BY w.n";
