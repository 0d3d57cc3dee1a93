//! Names and texts within a statement.

/// Quotes an identifier of the catalogue.
pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Sets a column to that of another row. One by one: PostgreSQL takes time in the square of their number for
/// `(a, b) = (SELECT a, b ...)`, two seconds for 1,590 columns.
pub(crate) fn assignment(name: &str, row: &str) -> String {
    let name = identifier(name);
    format!("{name} = {row}.{name}")
}

/// Quotes a string for a statement that cannot have parameters.
#[cfg(feature = "service")]
pub(crate) fn literal(text: &str) -> String {
    // With a backslash, `E` makes the meaning independent of standard_conforming_strings.
    let escape = if text.contains('\\') { "E" } else { "" };
    format!("{escape}'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(all(test, feature = "service"))]
mod tests {
    use super::*;

    #[test]
    fn quotes_within_names_and_texts_are_doubled() {
        assert_eq!(identifier("a\"b"), "\"a\"\"b\"");
        assert_eq!(assignment("a\"b", "p"), "\"a\"\"b\" = p.\"a\"\"b\"");
        assert_eq!(literal("a'b"), "'a''b'");
        assert_eq!(literal("a\\'b"), "E'a\\\\''b'");
    }
}
