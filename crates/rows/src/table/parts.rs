//! Parts of the triggers' functions.

use super::{Table, identifier, literal};

/// The key of a row as JSON.
pub(super) fn id_of(table: &Table, row: &str) -> String {
    match &*table.key {
        [one] => format!("to_json({row}.{})", identifier(one)),
        several => {
            let parts: Vec<String> = several.iter().map(|name| format!("{row}.{}", identifier(name))).collect();
            format!("json_build_array({})", parts.join(", "))
        }
    }
}

/// Lets the expressions of columns name columns that have the name of a variable.
pub(super) const COLUMNS_FIRST: &str = "\n#variable_conflict use_column";

/// A row as JSON. A trigger's row has null in the columns that are not stored, so they are computed.
pub(super) fn json_of(table: &Table, row: &str) -> String {
    let computed = table.columns.iter().filter_map(|column| {
        let expression = column.expression.as_ref()?;
        Some(format!("{}::text, (SELECT {expression} FROM (SELECT {row}.*) r)", literal(&column.name)))
    });
    let computed: Vec<String> = computed.collect();
    // A call takes 100 arguments.
    let objects = computed.chunks(50).map(|part| format!(" || jsonb_build_object({})", part.join(", ")));
    format!("(to_jsonb({row}){})", objects.collect::<String>())
}

/// Fails where the text is not UTF-8, which would end the session that listens: the events of all tables.
pub(super) fn utf_8_check(table: &Table, variable: &str) -> String {
    if table.is_unchecked { format!(" PERFORM convert_to({variable}, 'UTF8');") } else { String::new() }
}

/// The setting that counts the rows of a transaction, quoted.
pub(super) fn counter(table: &Table) -> String {
    literal(&format!("switchboard.rows_{}", &const_hex::encode(short_hash(&table.quoted()))))
}

/// The rows of a transaction so far, as that setting has them.
pub(super) fn counted(counter: &str) -> String {
    format!("coalesce(nullif(current_setting({counter}, true), ''), '0')::integer")
}

fn short_hash(text: &str) -> [u8; 8] {
    use sha2::{Digest, Sha256};
    let mut hash = [0; 8];
    hash.copy_from_slice(&Sha256::digest(text.as_bytes())[..8]);
    hash
}
