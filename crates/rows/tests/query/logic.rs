//! Conditions joined by `or` and `and`.

use super::{conditions, parse};
use switchboard_rows::query::{MAX_CONDITIONS, MAX_DEPTH};

#[test]
fn conditions_are_joined_by_or_and_and_to_any_order_and_their_values_are_bound() {
    for (text, sql, parameters) in [
        ("or=(id.eq.1,name.eq.a)", "(t.\"id\" = $1::text::integer OR t.\"name\" = $2::text::text)", &["1", "a"][..]),
        ("and=(id.gt.1,id.lt.9)", "(t.\"id\" > $1::text::integer AND t.\"id\" < $2::text::integer)", &["1", "9"]),
        ("not.or=(id.eq.1,id.eq.2)", "NOT (t.\"id\" = $1::text::integer OR t.\"id\" = $2::text::integer)", &["1", "2"]),
        ("not.and=(id.eq.1)", "NOT (t.\"id\" = $1::text::integer)", &["1"]),
        (
            "or=(id.eq.1,and(id.gt.2,name.is.null),not.and(id.eq.3,flag.is.true))",
            "(t.\"id\" = $1::text::integer OR (t.\"id\" > $2::text::integer AND t.\"name\" IS NULL) \
             OR NOT (t.\"id\" = $3::text::integer AND t.\"flag\" IS TRUE))",
            &["1", "2", "3"],
        ),
        ("or=(name.not.eq.a,id.not.is.null)", "(NOT (t.\"name\" = $1::text::text) OR NOT (t.\"id\" IS NULL))", &["a"]),
        (
            "or=(id.in.(1,2),name.not.in.(\"a,)\",b),name.in.())",
            "(t.\"id\" = ANY ($1::text::text[]::integer[]) OR NOT (t.\"name\" = ANY ($2::text::text[]::text[])) \
             OR t.\"name\" = ANY ($3::text::text[]::text[]))",
            &["{\"1\",\"2\"}", "{\"a,)\",\"b\"}", "{}"],
        ),
        (
            "or=(name.eq.\"a,b)\\\"c\",name.like.*x*)",
            "(t.\"name\" = $1::text::text OR t.\"name\" LIKE $2::text)",
            &["a,b)\"c", "%x%"],
        ),
        ("or=(name.eq.,name.eq.a.b(c)", "(t.\"name\" = $1::text::text OR t.\"name\" = $2::text::text)", &["", "a.b(c"]),
        (
            "or=( id.eq.1 , and( id.eq.2 , name.eq.b) )",
            "(t.\"id\" = $1::text::integer OR (t.\"id\" = $2::text::integer AND t.\"name\" = $3::text::text))",
            &["1 ", "2 ", "b"],
        ),
        ("or=(\"We\\\"ird, WHERE\".gt.1)", "(t.\"We\"\"ird, WHERE\" > $1::text::numeric)", &["1"]),
        (
            "id=eq.1&or=(id.eq.2)&or=(id.eq.3)",
            "t.\"id\" = $1::text::integer AND (t.\"id\" = $2::text::integer) AND (t.\"id\" = $3::text::integer)",
            &["1", "2", "3"],
        ),
    ] {
        let expected = (format!(" WHERE {sql}"), parameters.iter().map(|&text| text.to_owned()).collect());
        assert_eq!(conditions(text), expected, "{text}");
    }
}

#[test]
fn a_group_that_cannot_be_read_says_why() {
    for (text, part) in [
        ("or=", "parentheses"),
        ("or=id.eq.1", "parentheses"),
        ("or=()", "no COLUMN.OPERATOR.VALUE"),
        ("or=(id.eq.1", "comma or a closing"),
        ("or=(id.eq.1))", "follows"),
        ("or=(id.eq.1,)", "no COLUMN.OPERATOR.VALUE"),
        ("or=(id)", "no COLUMN.OPERATOR.VALUE"),
        ("or=(id.eq)", "no operator with a value"),
        ("or=(id.near.1)", "no operator near"),
        ("or=(id.not.not.eq.1)", "no operator not"),
        ("or=(id.in.1)", "in.(a,b,c)"),
        ("or=(id.in.(1)", "comma or a closing"),
        ("or=(id.in.(1", "not closed"),
        ("or=(id.in.(\"1\"2))", "closing quote"),
        ("or=(name.eq.\"a)", "not closed"),
        ("or=(name.eq.\"a\"b)", "comma or a closing"),
        ("or=(\"id\"eq.1)", "dot"),
        ("or=(xor(id.eq.1))", "no COLUMN.OPERATOR.VALUE"),
        ("or=(none.eq.1)", "none does not exist"),
        ("or=(id.is.1)", "only null"),
    ] {
        let error = parse(text).expect_err(text);
        assert!(error.to_string().contains(part), "{text}: {error}");
    }
}

#[test]
fn groups_are_bounded_in_their_depth_and_their_conditions() {
    let nested = |depth: usize| format!("or={}(id.eq.1){}", "(and".repeat(depth - 1), ")".repeat(depth - 1));
    let many = |count: usize| vec!["id.eq.1"; count].join(",");
    for (depth, is_good) in [(1, true), (MAX_DEPTH, true), (MAX_DEPTH + 1, false), (10_000, false)] {
        assert_eq!(parse(&nested(depth)).is_ok(), is_good, "{depth}");
    }
    for (count, is_good) in [(1, true), (MAX_CONDITIONS, true), (MAX_CONDITIONS + 1, false)] {
        assert_eq!(parse(&format!("or=({})", many(count))).is_ok(), is_good, "{count}");
    }
    // Of the whole query, not of each group.
    let half = MAX_CONDITIONS / 2;
    assert!(parse(&format!("or=({})&and=({})", many(half), many(half))).is_ok());
    assert!(parse(&format!("or=({})&and=({})", many(half), many(half + 1))).is_err());
    let error = parse(&nested(MAX_DEPTH + 1)).expect_err("too deep");
    assert!(error.to_string().contains(&format!("more than {MAX_DEPTH} deep")), "{error}");
}

#[test]
fn no_text_of_a_group_is_a_part_of_the_sql() {
    let evil = "'; DROP TABLE t; --";
    let encoded: String = form_urlencoded::byte_serialize(evil.as_bytes()).collect();
    for text in
        [format!("or=(name.eq.{encoded})"), format!("or=(name.in.({encoded}))"), format!("or=(name.like.{encoded})")]
    {
        assert!(!conditions(&text).0.contains("DROP"), "{text}");
    }
    for text in [format!("or=({encoded}.eq.1)"), format!("or=(name.{encoded}.1)"), format!("or=(name.is.{encoded})")] {
        assert!(parse(&text).is_err(), "{text}");
    }
}
