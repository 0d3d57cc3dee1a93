//! Reads a table's description.

use super::key::KeyType;
use super::sql::Statements;
use super::{Events, Key, TableSpec, identifier};
use crate::Error;
use serde_json::Value;
use tokio_postgres::Client;

const TABLE: &str = "SELECT c.oid, n.nspname::text, c.relkind::text, c.relpersistence::text, row_security_active(c.oid), \
    EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid) AND c.relkind <> 'p', c.relispartition, \
    has_schema_privilege(n.oid, 'USAGE'), EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid), \
    EXISTS (SELECT FROM pg_subscription_rel r WHERE r.srrelid = c.oid), getdatabaseencoding() = 'SQL_ASCII' \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relname = $1 AND CASE WHEN $2::text IS NULL THEN pg_table_is_visible(c.oid) ELSE n.nspname = $2 END";

/// A default names no column: with its table PostgreSQL would look at all columns for each of them.
const COLUMNS: &str = "SELECT a.attname::text, CASE WHEN t.typnamespace = 'pg_catalog'::regnamespace THEN t.typname::text END, \
    format_type(a.atttypid, a.atttypmod), format('%I.%I', y.nspname, t.typname), a.attnotnull, coalesce(l.collisdeterministic, true), \
    a.attgenerated <> '' OR a.attidentity = 'a', a.attnum, a.atthasdef OR a.attidentity <> '', \
    has_column_privilege($1::oid, a.attnum, 'SELECT'), \
    CASE WHEN a.attgenerated = 'v' THEN (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d \
        WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum) END, \
    CASE a.attidentity WHEN 'd' THEN format('pg_catalog.nextval(%L::pg_catalog.regclass)', \
        pg_get_serial_sequence($1::oid::regclass::text, a.attname)) \
    WHEN '' THEN CASE WHEN a.attgenerated = '' THEN coalesce( \
        (SELECT pg_get_expr(d.adbin, 0) FROM pg_attrdef d WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum), \
        pg_get_expr(t.typdefaultbin, 0), quote_literal(t.typdefault)) END END \
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid JOIN pg_namespace y ON y.oid = t.typnamespace \
    LEFT JOIN pg_collation l ON l.oid = a.attcollation \
    WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";

/// Unique indexes that hold for every row at every moment, the primary key first.
const KEYS: &str = "SELECT i.indkey::int2[], i.indnkeyatts FROM pg_index i \
    WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indimmediate \
    AND i.indpred IS NULL AND i.indexprs IS NULL ORDER BY i.indisprimary DESC, i.indexrelid";

const PRIMARY: &str = "SELECT EXISTS (SELECT FROM pg_index WHERE indrelid = $1 AND indisprimary)";

#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    key_type: Option<KeyType>,
    /// The type, in words.
    pub(crate) shown_type: String,
    /// The type as SQL, with its schema, and without a length: a cast to it cuts nothing off.
    pub(crate) cast: String,
    pub(crate) not_null: bool,
    deterministic: bool,
    /// Computed by the database alone.
    pub(crate) computed: bool,
    pub(crate) has_default: bool,
    /// The expression of the value where none is given. A domain may have it, or a sequence.
    pub(crate) default: Option<String>,
    is_readable: bool,
    /// The expression of a column that is not stored. PostgreSQL takes functions and types of its own alone there.
    pub(crate) expression: Option<String>,
    number: i16,
}

/// A table, as it was when its catalogue entries were read.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) hidden: Vec<String>,
    pub(crate) events: Events,
    /// The database takes text of any bytes (SQL_ASCII).
    pub(crate) is_unchecked: bool,
    pub(crate) key: Vec<String>,
    types: Vec<KeyType>,
    /// Why our role may not read its rows.
    pub(crate) forbidden: Option<String>,
    pub(crate) statements: Statements,
}

pub(crate) async fn load(client: &Client, spec: &TableSpec) -> Result<Table, Error> {
    let wrong = |reason: &str| Error::table(&spec.name, reason);
    let found = client.query_opt(TABLE, &[&spec.name, &spec.schema]).await?;
    let row = found.ok_or_else(|| wrong("there is none of this name; create it, or name another"))?;
    let (oid, schema): (u32, String) = (row.try_get(0)?, row.try_get(1)?);
    let (kind, persistence): (String, String) = (row.try_get(2)?, row.try_get(3)?);
    if kind != "r" && kind != "p" {
        return Err(wrong("it is a view, a foreign table or an index, whose changes cannot be seen"));
    }
    if persistence == "t" {
        return Err(wrong("it is a temporary table"));
    }
    if row.try_get(4)? {
        return Err(wrong(
            "row security applies to our role, so rows may vanish without a change; use a role with BYPASSRLS",
        ));
    }
    if row.try_get(5)? {
        return Err(wrong("other tables inherit from it, whose changes its triggers do not see"));
    }
    if row.try_get(6)? {
        return Err(wrong("it is a partition; give its parent instead"));
    }
    if spec.events == Events::Keys {
        // A trigger of each statement sees those that name its table.
        if kind == "p" || row.try_get(8)? {
            return Err(wrong(
                "it is partitioned or inherits, so events of keys alone would miss writes; give it events of rows",
            ));
        }
        if row.try_get(9)? {
            return Err(wrong(
                "a subscription fills it, whose writes have no events of keys alone; give it events of rows",
            ));
        }
    }
    let columns = columns(client, oid).await?;
    let numbers = key_numbers(client, oid, &columns, spec).await?;
    let is_hidden = |column: &Column| spec.hidden.contains(&column.name);
    if let Some(name) = spec.hidden.iter().find(|name| columns.iter().all(|column| column.name != **name)) {
        return Err(wrong(&format!("it has no column {name} to hide")));
    }
    let (mut key, mut types) = (Vec::new(), Vec::new());
    for number in numbers {
        let column =
            columns.iter().find(|column| column.number == number).ok_or_else(|| wrong("its key has no column"))?;
        let kind = column.key_type.filter(|_| column.deterministic);
        types.push(kind.ok_or_else(|| {
            wrong(&format!(
                "equal values of its key's column {} ({}) can be written in several ways; keys may be integers, text, \
                 uuid, bool and date",
                column.name, column.shown_type
            ))
        })?);
        if is_hidden(column) {
            return Err(wrong(&format!("its key's column {} cannot be hidden", column.name)));
        }
        key.push(column.name.clone());
    }
    let columns: Vec<Column> = columns.into_iter().filter(|column| !is_hidden(column)).collect();
    let forbidden = if row.try_get(7)? {
        let column = columns.iter().find(|column| !column.is_readable);
        column.map(|column| format!("our role may not read its column {}; GRANT SELECT to it", column.name))
    } else {
        Some(format!("our role may not use the schema {schema}; GRANT USAGE to it"))
    };
    let is_unchecked = row.try_get(10)?;
    let statements = Statements::new(&schema, &spec.name, &columns, &key, &types);
    let (name, hidden, events) = (spec.name.clone(), spec.hidden.clone(), spec.events);
    Ok(Table { schema, name, columns, hidden, events, is_unchecked, key, types, forbidden, statements })
}

async fn columns(client: &Client, oid: u32) -> Result<Vec<Column>, Error> {
    let rows = client.query(COLUMNS, &[&oid]).await?;
    let column = |row: &tokio_postgres::Row| {
        let type_name: Option<String> = row.try_get(1)?;
        Ok(Column {
            name: row.try_get(0)?,
            key_type: type_name.as_deref().and_then(KeyType::named),
            shown_type: row.try_get(2)?,
            cast: row.try_get(3)?,
            not_null: row.try_get(4)?,
            deterministic: row.try_get(5)?,
            computed: row.try_get(6)?,
            number: row.try_get(7)?,
            has_default: row.try_get(8)?,
            is_readable: row.try_get(9)?,
            expression: row.try_get(10)?,
            default: row.try_get(11)?,
        })
    };
    rows.iter().map(column).collect()
}

/// The numbers of the key's columns, in the order of the index, or in the one that was asked for.
async fn key_numbers(client: &Client, oid: u32, columns: &[Column], spec: &TableSpec) -> Result<Vec<i16>, Error> {
    let wrong = |reason: String| Error::table(&spec.name, reason);
    let mut indexes = Vec::new();
    for row in client.query(KEYS, &[&oid]).await? {
        let (mut numbers, count): (Vec<i16>, i16) = (row.try_get(0)?, row.try_get(1)?);
        // Columns beyond it are included only.
        numbers.truncate(usize::try_from(count).unwrap_or(0));
        indexes.push(numbers);
    }
    let Some(names) = &spec.key else {
        let primary: bool = client.query_one(PRIMARY, &[&oid]).await?.try_get(0)?;
        return match indexes.into_iter().next() {
            Some(numbers) if primary => Ok(numbers),
            _ => Err(wrong("it has no primary key; name the columns of a unique index as its key".to_owned())),
        };
    };
    let mut numbers = Vec::new();
    for name in names {
        let column = columns.iter().find(|column| column.name == *name);
        let column = column.ok_or_else(|| wrong(format!("it has no column {name}")))?;
        if !column.not_null {
            return Err(wrong(format!("its key's column {name} may be null")));
        }
        numbers.push(column.number);
    }
    let sorted = |numbers: &[i16]| {
        let mut numbers = numbers.to_vec();
        numbers.sort_unstable();
        numbers
    };
    let wanted = sorted(&numbers);
    if !numbers.is_empty() && indexes.iter().any(|index| sorted(index) == wanted) {
        Ok(numbers)
    } else {
        Err(wrong(format!("no unique index is on exactly ({})", names.join(", "))))
    }
}

impl Table {
    /// Schema and name, quoted.
    pub(crate) fn quoted(&self) -> String {
        format!("{}.{}", identifier(&self.schema), identifier(&self.name))
    }

    pub(crate) fn canonical(&self, key: &Key) -> Result<Key, Error> {
        key.canonical(&self.name, &self.types)
    }

    /// As [`Table::canonical`], of a key that is one column and has this text; `None` if it is no such key.
    pub(crate) fn canonical_text(&self, text: &str) -> Option<String> {
        Key::canonical_text(text, &self.types)
    }

    pub(crate) fn key_columns(&self) -> usize {
        self.key.len()
    }

    /// Checks an object of values, and names the columns that it sets.
    pub(crate) fn columns_of(&self, values: &serde_json::Map<String, Value>) -> Result<Vec<&str>, Error> {
        let column = |name: &String| {
            let column = self.columns.iter().find(|column| column.name == *name);
            let column = column.ok_or_else(|| Error::values(&self.name, format!("there is no column {name}")))?;
            if column.computed {
                return Err(Error::values(&self.name, format!("the database computes column {name}")));
            }
            Ok(column.name.as_str())
        };
        let mut columns = values.keys().map(column).collect::<Result<Vec<&str>, Error>>()?;
        // One statement for each set of columns, whatever their order.
        columns.sort_unstable();
        Ok(columns)
    }
}
