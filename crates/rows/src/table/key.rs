//! Keys: the one text that equal values have.

use crate::Error;
use serde_json::Value;
use switchboard_driver::quantity::plural;

/// A type whose equal values have one text, so that a key from a request and one from an event are the same bytes.
///
/// Numeric, floating-point, `char(n)` and case-insensitive types are not among them: `1.0` equals `1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyType {
    Int2,
    Int4,
    Int8,
    Text,
    Uuid,
    Bool,
    Date,
}

impl KeyType {
    /// By the name of the type in `pg_catalog`.
    pub(super) fn named(name: &str) -> Option<KeyType> {
        Some(match name {
            "int2" => KeyType::Int2,
            "int4" => KeyType::Int4,
            "int8" => KeyType::Int8,
            "text" | "varchar" => KeyType::Text,
            "uuid" => KeyType::Uuid,
            "bool" => KeyType::Bool,
            "date" => KeyType::Date,
            _ => return None,
        })
    }

    /// The cast of a parameter.
    pub(super) fn cast(self) -> &'static str {
        match self {
            KeyType::Int2 => "::pg_catalog.int2",
            KeyType::Int4 => "::pg_catalog.int4",
            KeyType::Int8 => "::pg_catalog.int8",
            KeyType::Text => "",
            KeyType::Uuid => "::pg_catalog.uuid",
            KeyType::Bool => "::pg_catalog.bool",
            KeyType::Date => "::pg_catalog.date",
        }
    }

    /// The text that PostgreSQL prints for this value.
    fn canonical(self, text: &str) -> Result<String, String> {
        let integer = |min: i64, max: i64| match text.parse::<i64>() {
            Ok(number) if (min..=max).contains(&number) => Ok(number.to_string()),
            _ => Err(format!("it is no integer from {min} to {max}")),
        };
        match self {
            KeyType::Int2 => integer(i16::MIN.into(), i16::MAX.into()),
            KeyType::Int4 => integer(i32::MIN.into(), i32::MAX.into()),
            KeyType::Int8 => integer(i64::MIN, i64::MAX),
            KeyType::Text if text.contains('\0') => Err("it has a zero byte".to_owned()),
            KeyType::Text => Ok(text.to_owned()),
            KeyType::Uuid => uuid(text).ok_or_else(|| "it is no UUID".to_owned()),
            KeyType::Bool => match text {
                "true" | "t" => Ok("true".to_owned()),
                "false" | "f" => Ok("false".to_owned()),
                _ => Err("it is neither true nor false".to_owned()),
            },
            KeyType::Date => is_date(text)
                .then(|| text.to_owned())
                .ok_or_else(|| "it is no date like 2026-12-31, 0044-03-15 BC, 12024-01-01 or infinity".to_owned()),
        }
    }
}

/// Reads the 32 digits with hyphens after 8, 12, 16 and 20 of them, or with none.
fn uuid(text: &str) -> Option<String> {
    let digits: String = match text.len() {
        32 => text.to_owned(),
        36 => {
            let hyphens = text.bytes().enumerate().filter(|(_, byte)| *byte == b'-').map(|(at, _)| at);
            hyphens.eq([8, 13, 18, 23]).then(|| text.replace('-', ""))?
        }
        _ => return None,
    };
    let digits = digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| digits.to_ascii_lowercase())?;
    Some([&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-"))
}

/// The last year of PostgreSQL's dates.
const LAST_YEAR: i64 = 5_874_897;
/// The first of PostgreSQL's dates, in 4714 BC. The year before 1 is 0 here, as astronomers count.
const FIRST_DAY: (i64, u32, u32) = (-4713, 11, 24);

/// Returns true for PostgreSQL's dates, as it prints them: ISO 8601, with ` BC` for the years before 1.
fn is_date(text: &str) -> bool {
    if matches!(text, "infinity" | "-infinity") {
        return true;
    }
    let (date, is_bc) = text.strip_suffix(" BC").map_or((text, false), |date| (date, true));
    let parts: Vec<&str> = date.split('-').collect();
    let &[year, month, day] = &*parts else { return false };
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    // Only a year of four digits begins with zeros.
    let is_year = year.len() == 4 || (5..=7).contains(&year.len()) && !year.starts_with('0');
    if !(parts.iter().all(|part| is_number(part)) && is_year && month.len() == 2 && day.len() == 2) {
        return false;
    }
    let [month, day] = [month, day].map(|part| part.parse::<u32>().unwrap_or(0));
    let year = match year.parse::<i64>() {
        Ok(year @ 1..=LAST_YEAR) if is_bc => 1 - year,
        Ok(year @ 1..=LAST_YEAR) => year,
        _ => return false,
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    (1..=days).contains(&day) && (year, month, day) >= FIRST_DAY
}

/// A row's key: one value for each column of the table's key, as text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key(Box<[String]>);

macro_rules! from_number {
    ($($number:ty),*) => {
        $(impl From<$number> for Key {
            fn from(number: $number) -> Key {
                Key::from(number.to_string())
            }
        })*
    };
}

from_number!(i16, i32, i64, u16, u32);

impl From<String> for Key {
    fn from(text: String) -> Key {
        Key(Box::new([text]))
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Key {
        Key::from(text.to_owned())
    }
}

impl From<&String> for Key {
    fn from(text: &String) -> Key {
        Key::from(text.clone())
    }
}

impl From<&Key> for Key {
    fn from(key: &Key) -> Key {
        key.clone()
    }
}

impl From<&[&str]> for Key {
    fn from(parts: &[&str]) -> Key {
        Key(parts.iter().map(|&part| part.to_owned()).collect())
    }
}

impl From<Vec<String>> for Key {
    fn from(parts: Vec<String>) -> Key {
        Key(parts.into())
    }
}

impl Key {
    /// The values.
    #[must_use]
    pub fn parts(&self) -> &[String] {
        &self.0
    }

    /// This key in the one text of each value.
    pub(crate) fn canonical(&self, table: &str, types: &[KeyType]) -> Result<Key, Error> {
        if self.0.len() != types.len() {
            let were = if self.0.len() == 1 { "was" } else { "were" };
            let (columns, values) = (plural(types.len(), "column"), plural(self.0.len(), "value"));
            let reason = format!("it has {columns}, and {values} {were} given");
            return Err(Error::key(table, reason));
        }
        let parts = self.0.iter().zip(types).map(|(part, kind)| kind.canonical(part));
        let parts: Result<Box<[String]>, String> = parts.collect();
        parts.map(Key).map_err(|reason| Error::key(table, reason))
    }

    /// The form in which the database has it, of a key that is one column and has this text.
    pub(crate) fn canonical_text(text: &str, types: &[KeyType]) -> Option<String> {
        match types {
            [only] => only.canonical(text).ok(),
            _ => None,
        }
    }

    /// Reads the `id` of an event: a value, or an array of them.
    pub(crate) fn from_event(id: &Value) -> Option<Key> {
        let text = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(bool) => Some(bool.to_string()),
            _ => None,
        };
        match id {
            Value::Array(values) => values.iter().map(text).collect::<Option<Box<[String]>>>().map(Key),
            value => text(value).map(|text| Key(Box::new([text]))),
        }
    }

    /// The cache's bytes for a canonical key.
    pub(crate) fn bytes(&self) -> Box<[u8]> {
        match &*self.0 {
            [one] => one.as_bytes().into(),
            // The length of each part but the last tells where it ends.
            parts => {
                let mut bytes = Vec::new();
                for part in parts {
                    bytes.extend_from_slice(part.len().to_string().as_bytes());
                    bytes.push(b':');
                    bytes.extend_from_slice(part.as_bytes());
                }
                bytes.into()
            }
        }
    }

    /// Undoes [`Key::bytes`], for a table with as many key columns.
    pub(crate) fn from_bytes(bytes: &[u8], columns: usize) -> Option<Key> {
        let text = std::str::from_utf8(bytes).ok()?;
        if columns == 1 {
            return Some(Key::from(text));
        }
        let (mut rest, mut parts) = (text, Vec::with_capacity(columns));
        while !rest.is_empty() {
            let (length, tail) = rest.split_once(':')?;
            let (part, tail) = tail.split_at_checked(length.parse().ok()?)?;
            parts.push(part.to_owned());
            rest = tail;
        }
        (parts.len() == columns).then(|| Key::from(parts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(kind: KeyType, text: &str) -> Option<String> {
        Key::from(text).canonical("t", &[kind]).ok().map(|key| key.0[0].clone())
    }

    #[test]
    fn equal_values_have_one_text() {
        for (kind, text, canonical) in [
            (KeyType::Int4, "37", Some("37")),
            (KeyType::Int4, "+37", Some("37")),
            (KeyType::Int4, "0037", Some("37")),
            (KeyType::Int4, "-0", Some("0")),
            (KeyType::Int4, " 37", None),
            (KeyType::Int4, "3.0", None),
            (KeyType::Int4, "2147483647", Some("2147483647")),
            (KeyType::Int4, "2147483648", None),
            (KeyType::Int2, "-32768", Some("-32768")),
            (KeyType::Int2, "32768", None),
            (KeyType::Int8, "9223372036854775807", Some("9223372036854775807")),
            (KeyType::Int8, "9223372036854775808", None),
            (KeyType::Text, "A b", Some("A b")),
            (KeyType::Text, "", Some("")),
            (KeyType::Text, "a\0", None),
            (KeyType::Bool, "t", Some("true")),
            (KeyType::Bool, "yes", None),
            (KeyType::Date, "2024-02-29", Some("2024-02-29")),
            (KeyType::Date, "2023-02-29", None),
            (KeyType::Date, "2024-13-01", None),
            (KeyType::Date, "0000-01-01", None),
            (KeyType::Date, "0000-01-01 BC", None),
            (KeyType::Date, "infinity", Some("infinity")),
            (KeyType::Date, "-infinity", Some("-infinity")),
            (KeyType::Date, "Infinity", None),
            (KeyType::Date, "0044-03-15 BC", Some("0044-03-15 BC")),
            (KeyType::Date, "44-03-15 BC", None),
            (KeyType::Date, "0044-03-15BC", None),
            (KeyType::Date, "0001-02-29 BC", Some("0001-02-29 BC")),
            (KeyType::Date, "0004-02-29 BC", None),
            (KeyType::Date, "4714-11-24 BC", Some("4714-11-24 BC")),
            (KeyType::Date, "4714-11-23 BC", None),
            (KeyType::Date, "12024-01-01", Some("12024-01-01")),
            (KeyType::Date, "012024-01-01", None),
            (KeyType::Date, "9999-12-31", Some("9999-12-31")),
            (KeyType::Date, "5874897-12-31", Some("5874897-12-31")),
            (KeyType::Date, "5874898-01-01", None),
            (KeyType::Date, "2024-1-1", None),
            (KeyType::Date, "2024-01-01-01", None),
            (KeyType::Date, "24-01-01", None),
            (KeyType::Uuid, "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", Some("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")),
            (KeyType::Uuid, "a0eebc999c0b4ef8bb6d6bb9bd380a11", Some("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")),
            (KeyType::Uuid, "a0eebc99-9c0b4ef8-bb6d-6bb9-bd380a11", None),
            (KeyType::Uuid, "g0eebc999c0b4ef8bb6d6bb9bd380a11", None),
        ] {
            assert_eq!(one(kind, text).as_deref(), canonical, "{kind:?} {text:?}");
        }
    }

    #[test]
    fn keys_of_several_columns_do_not_collide() {
        let key = |parts: &[&str]| Key::from(parts);
        let keys = [key(&["a", "b"]), key(&["ab", ""]), key(&["", "ab"]), key(&["1:a", "b"]), key(&["a", "1:b"])];
        for (at, one) in keys.iter().enumerate() {
            assert_eq!(Key::from_bytes(&one.bytes(), 2).as_ref(), Some(one));
            for other in &keys[at + 1..] {
                assert_ne!(one.bytes(), other.bytes());
            }
        }
    }

    #[test]
    fn a_key_has_as_many_values_as_the_table_has_columns_for_it() {
        assert!(Key::from(&["1", "2"][..]).canonical("t", &[KeyType::Int4]).is_err());
        assert!(Key::from(vec![]).canonical("t", &[KeyType::Int4]).is_err());
    }

    #[test]
    fn an_id_of_an_event_is_read_to_its_last_digit() {
        let id = serde_json::from_str("[9223372036854775807, \"a\", true]").expect("JSON");
        assert_eq!(Key::from_event(&id), Some(Key::from(&["9223372036854775807", "a", "true"][..])));
        assert_eq!(Key::from_event(&Value::Null), None);
        assert_eq!(Key::from_event(&serde_json::json!([null])), None);
    }
}
