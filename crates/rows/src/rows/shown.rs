//! The text of an event for subscribers and the log.

use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

type Columns<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

#[derive(Deserialize)]
struct Shape<'a> {
    #[serde(rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    data: Option<Columns<'a>>,
}

/// Returns true if an event has no column beside these, which are those of the table's description.
///
/// The trigger leaves hidden columns out by their names of its installation. After `RENAME COLUMN` it does not know them.
pub(super) fn has_known_columns<'a>(names: impl Iterator<Item = &'a str>, payload: &str) -> bool {
    let Ok(Shape { kind, data }) = serde_json::from_str::<Shape<'_>>(payload) else { return false };
    let Some(data) = data else { return true };
    // A table may have 1,600 columns, and an update names each of them up to three times.
    let names: HashSet<&str> = names.collect();
    let is_known = |row: &Columns<'_>| row.keys().all(|name| names.contains(&**name));
    if kind != "UPDATE" {
        return is_known(&data);
    }
    data.iter().all(|(name, row)| {
        let row = serde_json::from_str::<Columns<'_>>(row.get());
        matches!(&**name, "old" | "new" | "diff") && row.is_ok_and(|row| is_known(&row))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_known_columns_if_each_of_its_names_is_one_of_the_table() {
        let update = |old: &str, new: &str, diff: &str| {
            format!("{{\"type\":\"UPDATE\",\"data\":{{\"old\":{old},\"new\":{new},\"diff\":{diff}}}}}")
        };
        let (known, unknown) = ("{\"id\":1,\"name\":null}", "{\"id\":1,\"Name\":null}");
        for (payload, expected) in [
            (format!("{{\"type\":\"INSERT\",\"data\":{known}}}"), true),
            (format!("{{\"type\":\"INSERT\",\"data\":{unknown}}}"), false),
            (format!("{{\"type\":\"DELETE\",\"data\":{known}}}"), true),
            (format!("{{\"type\":\"DELETE\",\"data\":{unknown}}}"), false),
            (update(known, known, known), true),
            (update(unknown, known, known), false),
            (update(known, unknown, known), false),
            (update(known, known, unknown), false),
            ("{\"type\":\"UPDATE\",\"data\":{\"new\":{},\"newest\":{}}}".to_owned(), false),
            ("{\"type\":\"UPDATE\",\"data\":{\"new\":1}}".to_owned(), false),
            ("{\"type\":\"INSERT\",\"data\":{\"n\\u0061me\":1}}".to_owned(), true),
            ("{\"type\":\"INSERT\",\"data\":{}}".to_owned(), true),
            ("{\"type\":\"FLUSH\"}".to_owned(), true),
            ("{\"data\":{}}".to_owned(), false),
            ("rubbish".to_owned(), false),
        ] {
            assert_eq!(has_known_columns(["id", "name"].into_iter(), &payload), expected, "{payload}");
        }
    }

    #[test]
    fn each_column_is_looked_at_once_however_many_an_event_has() {
        let names: Vec<String> = (0..1600).map(|number| format!("c{number}")).collect();
        let row: String = names.iter().map(|name| format!(",\"{name}\":0")).collect();
        let row = format!("{{{}}}", &row[1..]);
        let payload = format!("{{\"type\":\"UPDATE\",\"data\":{{\"old\":{row},\"new\":{row},\"diff\":{row}}}}}");
        let mut looked = 0;
        let counted = names.iter().map(String::as_str).inspect(|_| looked += 1);
        assert!(has_known_columns(counted, &payload));
        assert_eq!(looked, names.len());
    }
}
