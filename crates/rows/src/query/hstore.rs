//! Values of the type `hstore`, which PostgreSQL writes as a JSON object and reads as a text of its own.

use super::body::Fields;
use super::{ColumnId, QueryError, Relation};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The rows with each object of a `hstore` column as text; `None` if there is nothing to change.
pub(super) fn as_text(
    relation: &Relation,
    columns: &[ColumnId],
    rows: &[Fields],
) -> Result<Option<String>, QueryError> {
    let names = columns.iter().map(|column| relation.get(*column));
    let names: Vec<&str> = names.filter(|column| is_hstore(&column.cast)).map(|column| column.name.as_str()).collect();
    let is_object = |row: &Fields, name: &str| row.get(name).is_some_and(|value| value.get().starts_with('{'));
    if !rows.iter().any(|row| names.iter().any(|name| is_object(row, name))) {
        return Ok(None);
    }
    let mut changed: Vec<BTreeMap<&str, Box<RawValue>>> = Vec::with_capacity(rows.len());
    for row in rows {
        let mut fields = BTreeMap::new();
        for (name, value) in row {
            let mut value = (*value).to_owned();
            if names.contains(&name.as_str()) && value.get().starts_with('{') {
                let text = Value::from(text_of(name, value.get())?).to_string();
                value = RawValue::from_string(text).map_err(|error| QueryError::body(error.to_string()))?;
            }
            fields.insert(name.as_str(), value);
        }
        changed.push(fields);
    }
    serde_json::to_string(&changed).map(Some).map_err(|error| QueryError::body(error.to_string()))
}

fn is_hstore(cast: &str) -> bool {
    cast.rsplit('.').next() == Some("hstore")
}

/// `"a"=>"1", "b"=>NULL`.
fn text_of(name: &str, object: &str) -> Result<String, QueryError> {
    let wrong = || QueryError::body(format!("the values within column {name}, a hstore, must be texts or null"));
    let pairs: BTreeMap<String, Option<String>> = serde_json::from_str(object).map_err(|_| wrong())?;
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let pairs = pairs.iter().map(|(key, value)| {
        let value = value.as_deref().map_or_else(|| "NULL".to_owned(), quoted);
        format!("{}=>{value}", quoted(key))
    });
    Ok(pairs.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_the_text_that_hstore_reads() {
        for (object, text) in [
            ("{}", ""),
            (r#"{"a":"1","b":null}"#, r#""a"=>"1", "b"=>NULL"#),
            (r#"{"a\"b":"c\\d, e=>f"}"#, r#""a\"b"=>"c\\d, e=>f""#),
        ] {
            assert_eq!(text_of("h", object).as_deref(), Ok(text), "{object}");
        }
        for object in [r#"{"a":1}"#, r#"{"a":{}}"#, r#"{"a":["b"]}"#, r#"{"a":true}"#] {
            let error = text_of("h", object).expect_err(object);
            assert!(error.message.contains("column h"), "{error}");
        }
    }
}
