use crate::table::Key;
use serde::Deserialize;
use serde_json::Value;

/// The content of an event about its table's rows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// These rows changed. A row whose key changed has its old and its new one.
    Keys(Vec<Key>),
    /// Any row may have changed. So says, too, what cannot be read.
    Flush,
}

#[derive(Deserialize)]
struct Shape {
    #[serde(default)]
    id: Value,
    old_id: Option<Value>,
    /// Of events of keys alone.
    ids: Option<Vec<Value>>,
    #[serde(rename = "type")]
    kind: String,
}

impl Event {
    pub(crate) fn read(payload: &str) -> Event {
        let Ok(shape) = serde_json::from_str::<Shape>(payload) else { return Event::Flush };
        if !matches!(shape.kind.as_str(), "INSERT" | "UPDATE" | "DELETE") {
            return Event::Flush;
        }
        let ids = shape.ids.unwrap_or_else(|| shape.old_id.into_iter().chain([shape.id]).collect());
        let keys: Option<Vec<Key>> = ids.iter().map(Key::from_event).collect();
        keys.map_or(Event::Flush, Event::Keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_no_row_flushes() {
        for payload in [
            "",
            "patron",
            "{}",
            r#"{"table":"t","type":"FLUSH"}"#,
            r#"{"table":"t","type":"INSERT"}"#,
            r#"{"table":"t","id":null,"type":"INSERT"}"#,
            r#"{"table":"t","id":{"a":1},"type":"INSERT"}"#,
            r#"{"table":"t","id":1,"old_id":[null],"type":"UPDATE"}"#,
            r#"{"table":"t","id":1,"type":"MERGE"}"#,
            r#"{"table":"t","ids":[1,null],"type":"UPDATE"}"#,
            r#"{"table":"t","ids":1,"type":"UPDATE"}"#,
        ] {
            assert_eq!(Event::read(payload), Event::Flush, "{payload}");
        }
    }

    #[test]
    fn an_event_names_its_rows() {
        let read = Event::read(r#"{"table":"t","id":9007199254740993,"type":"INSERT","data":{"id":1}}"#);
        assert_eq!(read, Event::Keys(vec![Key::from("9007199254740993")]));
        let read = Event::read(r#"{"id":["a",2],"old_id":["a",1],"type":"UPDATE"}"#);
        assert_eq!(read, Event::Keys(vec![Key::from(&["a", "1"][..]), Key::from(&["a", "2"][..])]));
        let read = Event::read(r#"{"table":"t","ids":[1,2],"type":"DELETE"}"#);
        assert_eq!(read, Event::Keys(vec![Key::from(1), Key::from(2)]));
    }
}
