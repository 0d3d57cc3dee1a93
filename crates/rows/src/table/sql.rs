//! Statements of one table. Keys and values are bound as text and JSON; PostgreSQL converts them.

use super::catalogue::{Column, Table};
use super::key::KeyType;
use super::{assignment, identifier, literal};

#[derive(Debug)]
pub(crate) struct Statements {
    /// Parameters: the key's values. Gives the row's JSON.
    pub(crate) select: String,
    /// Parameters: an array for each column of the key. Gives the row's JSON, or null, for each key in order.
    pub(crate) select_many: String,
    /// `t.a = $1 AND t.b = $2`.
    key_is: String,
    /// Key values as text array and row JSON, of `t`.
    pub(crate) returning: String,
    /// The row's tag, of `t`.
    tag: String,
}

impl Statements {
    pub(super) fn new(schema: &str, name: &str, columns: &[Column], key: &[String], types: &[KeyType]) -> Statements {
        let table = format!("{}.{}", identifier(schema), identifier(name));
        let all: Vec<String> = columns.iter().map(|column| format!("t.{}", identifier(&column.name))).collect();
        let all = all.join(", ");
        let compared = |parameter: &dyn Fn(usize) -> String| {
            let pairs = key.iter().zip(types).enumerate();
            let pairs =
                pairs.map(|(at, (name, kind))| format!("t.{} = {}{}", identifier(name), parameter(at), kind.cast()));
            pairs.collect::<Vec<String>>().join(" AND ")
        };
        let key_is = compared(&|at| format!("${}::text", at + 1));
        let many = compared(&|at| format!("w.k{at}"));
        let arrays: Vec<String> = (0..key.len()).map(|at| format!("pg_catalog.unnest(${}::text[])", at + 1)).collect();
        let names: Vec<String> = (0..key.len()).map(|at| format!("k{at}")).collect();
        let keys: Vec<String> = key.iter().map(|name| format!("t.{}::text", identifier(name))).collect();
        // `r` alone would be the column of this name, where there is one.
        let row = "pg_catalog.row_to_json(r.*)::text";
        let json = format!("(SELECT {row} FROM (SELECT {all}) r)");
        let returning = format!("ARRAY[{}], {json}", keys.join(", "));
        let digest = format!("pg_catalog.sha256(pg_catalog.convert_to({json}, 'UTF8'))");
        Statements {
            select: format!("SELECT {row} FROM (SELECT {all} FROM {table} t WHERE {key_is}) r"),
            select_many: format!(
                "SELECT (SELECT {row} FROM (SELECT {all} FROM {table} t WHERE {many}) r) \
                 FROM ROWS FROM ({}) WITH ORDINALITY w({}, n) ORDER BY w.n",
                arrays.join(", "),
                names.join(", ")
            ),
            tag: format!("pg_catalog.left(pg_catalog.encode({digest}, 'hex'), {TAG})"),
            key_is,
            returning,
        }
    }
}

impl Table {
    /// Parameter: the values as a JSON object; none without columns.
    pub(crate) fn insert(&self, columns: &[&str]) -> String {
        let (table, returning) = (self.quoted(), &self.statements.returning);
        if columns.is_empty() {
            return format!("INSERT INTO {table} AS t DEFAULT VALUES RETURNING {returning}");
        }
        let names = names(columns);
        format!("INSERT INTO {table} AS t ({names}) SELECT {names} FROM {} RETURNING {returning}", record(&table, "$1"))
    }

    /// Parameters: the key's values, then the values as a JSON object; with `tagged`, then an array of tags.
    ///
    /// The row's tag is looked at again once another transaction's lock on the row is gone.
    pub(crate) fn update(&self, columns: &[&str], tagged: bool) -> String {
        let (table, set) = (self.quoted(), columns.iter().map(|name| assignment(name, "p")));
        let set = set.collect::<Vec<String>>().join(", ");
        let Statements { key_is, returning, .. } = &self.statements;
        let values = record(&table, &format!("${}", self.key_columns() + 1));
        let tag_is = if tagged { self.tag_is(2) } else { String::new() };
        format!("UPDATE {table} t SET {set} FROM {values} p WHERE {key_is}{tag_is} RETURNING {returning}")
    }

    /// Parameters: the key's values; with `tagged`, then an array of tags. Gives no row if there was none.
    pub(crate) fn delete(&self, tagged: bool) -> String {
        let Statements { key_is, returning, .. } = &self.statements;
        let tag_is = if tagged { self.tag_is(1) } else { String::new() };
        format!("DELETE FROM {} t WHERE {key_is}{tag_is} RETURNING {returning}", self.quoted())
    }

    fn tag_is(&self, after_key: usize) -> String {
        format!(" AND {} = ANY(${}::text[])", self.statements.tag, self.key_columns() + after_key)
    }

    /// The channel of the table's events: `chan_` and its name, or a hash of it where that is too long.
    pub(crate) fn channel(&self) -> String {
        channel(&self.schema, &self.name)
    }

    /// The comparison of the table's name as SQL text.
    pub(crate) fn name_literal(&self) -> String {
        literal(&self.name)
    }
}

fn channel(schema: &str, name: &str) -> String {
    // A name with a dot is quoted, or it would be that of another schema's table.
    let part = |name: &str| if name.contains(['.', '"']) { identifier(name) } else { name.to_owned() };
    let schema = if schema == "public" { String::new() } else { part(schema) + "." };
    bounded("chan_", &(schema + &part(name)))
}

fn names(columns: &[&str]) -> String {
    columns.iter().map(|name| identifier(name)).collect::<Vec<String>>().join(", ")
}

fn record(table: &str, parameter: &str) -> String {
    format!("pg_catalog.json_populate_record(NULL::{table}, {parameter}::text::json)")
}

/// Digits of a row's tag: 128 bits of its hash.
const TAG: usize = 32;

/// A row's tag: 32 hexadecimal digits that differ for rows that differ. Made of the row's JSON.
#[must_use]
pub fn row_tag(row: &[u8]) -> String {
    let tag = quoted_tag(row);
    String::from_utf8_lossy(&tag[1..=TAG]).into_owned()
}

/// The tag in quotes, as the header `ETag` has it. ASCII.
pub(crate) fn quoted_tag(row: &[u8]) -> [u8; TAG + 2] {
    use sha2::{Digest, Sha256};
    let mut tag = [b'"'; TAG + 2];
    const_hex::encode_to_slice(&Sha256::digest(row)[..TAG / 2], &mut tag[1..=TAG]).expect("two digits a byte");
    tag
}

/// Prefix and name, within the 63 bytes that an identifier has.
pub(super) fn bounded(prefix: &str, name: &str) -> String {
    use sha2::{Digest, Sha256};
    let whole = format!("{prefix}{name}");
    if whole.len() <= 63 {
        return whole;
    }
    let hash = const_hex::encode(&Sha256::digest(name.as_bytes())[..8]);
    let mut end = 63 - hash.len() - 1;
    while !whole.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}_{hash}", &whole[..end])
}

#[cfg(test)]
mod tests {
    use super::{bounded, channel};

    #[test]
    fn no_two_tables_have_one_channel() {
        let tables = [
            ("public", "a"),
            ("a", "b"),
            ("public", "a.b"),
            ("a.b", "c"),
            ("a", "b.c"),
            ("public", "a.b.c"),
            ("public", "\"a.b\""),
            ("\"a", "b\""),
        ];
        let channels: std::collections::HashSet<String> =
            tables.iter().map(|(schema, name)| channel(schema, name)).collect();
        assert_eq!(channels.len(), tables.len(), "{channels:?}");
        assert!(channels.contains("chan_a") && channels.contains("chan_a.b"), "{channels:?}");
    }

    #[test]
    fn long_names_stay_within_the_limit_and_apart() {
        for length in [57, 58, 59, 200] {
            let name = bounded("chan_", &"x".repeat(length));
            assert!(name.len() <= 63, "{name}");
            assert_eq!(name.len() == length + 5, length <= 58, "{name}");
        }
        assert!(bounded("chan_", &"ü".repeat(31)).len() <= 63);
        assert_ne!(
            bounded("chan_", &format!("{}a", "x".repeat(80))),
            bounded("chan_", &format!("{}b", "x".repeat(80)))
        );
    }
}
