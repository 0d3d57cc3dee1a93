//! PostgREST's dialect, as SQL.
#![cfg(not(loom))]

#[path = "query/logic.rs"]
mod logic;
#[path = "query/names.rs"]
mod names;

use switchboard_rows::query::{
    Column, Page, Payload, Preferences, Query, QueryError, Relation, Resolution, Returned, Statement, Target, quoted,
};

fn column(name: &str, cast: &str) -> Column {
    Column { name: name.to_owned(), cast: cast.to_owned(), shown: cast.to_owned(), ..Column::default() }
}

fn relation(key: &[&str]) -> Relation {
    Relation {
        schema: "public".to_owned(),
        name: "t".to_owned(),
        columns: vec![
            column("id", "integer"),
            column("name", "text"),
            column("We\"ird, WHERE", "numeric"),
            Column { computed: true, ..column("sum", "bigint") },
            column("flag", "boolean"),
            Column { cast: "pg_catalog._int4".to_owned(), ..column("list", "integer[]") },
        ],
        key: key.iter().map(|&name| name.to_owned()).collect(),
    }
}

fn parse(text: &str) -> Result<Query, QueryError> {
    Query::parse(&relation(&["id"]), text)
}

/// The conditions of a query, and their values.
fn conditions(text: &str) -> (String, Vec<String>) {
    let relation = relation(&["id"]);
    let query = Query::parse(&relation, text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let statement = Statement::count(&relation, &query);
    let prefix = "SELECT pg_catalog.count(*)::text FROM \"public\".\"t\" t";
    (statement.sql.strip_prefix(prefix).expect("a count").to_owned(), statement.parameters)
}

#[test]
fn a_filter_is_a_condition_with_its_value_bound() {
    for (text, sql, parameters) in [
        ("id=eq.1", " WHERE t.\"id\" = $1::text::integer", &["1"][..]),
        ("id=neq.1", " WHERE t.\"id\" <> $1::text::integer", &["1"]),
        ("id=gt.1&id=lte.9", " WHERE t.\"id\" > $1::text::integer AND t.\"id\" <= $2::text::integer", &["1", "9"]),
        ("id=gte.1", " WHERE t.\"id\" >= $1::text::integer", &["1"]),
        ("id=lt.1", " WHERE t.\"id\" < $1::text::integer", &["1"]),
        ("name=eq.", " WHERE t.\"name\" = $1::text::text", &[""]),
        ("name=eq.a.b", " WHERE t.\"name\" = $1::text::text", &["a.b"]),
        ("name=like.A*", " WHERE t.\"name\" LIKE $1::text", &["A%"]),
        ("name=ilike.*a%25", " WHERE t.\"name\" ILIKE $1::text", &["%a%"]),
        ("name=not.like.A*", " WHERE NOT (t.\"name\" LIKE $1::text)", &["A%"]),
        ("name=in.(a,\"b,c\")", " WHERE t.\"name\" = ANY ($1::text::text[]::text[])", &["{\"a\",\"b,c\"}"]),
        ("name=in.()", " WHERE t.\"name\" = ANY ($1::text::text[]::text[])", &["{}"]),
        ("name=in.(\"\\\"\\\\\")", " WHERE t.\"name\" = ANY ($1::text::text[]::text[])", &["{\"\\\"\\\\\"}"]),
        ("id=not.in.(1,2)", " WHERE NOT (t.\"id\" = ANY ($1::text::text[]::integer[]))", &["{\"1\",\"2\"}"]),
        (
            "list=in.(\"{1,2}\",{})",
            " WHERE t.\"list\" = ANY (SELECT v::pg_catalog._int4 FROM pg_catalog.unnest($1::text::text[]) v)",
            &["{\"{1,2}\",\"{}\"}"],
        ),
        ("name=is.null", " WHERE t.\"name\" IS NULL", &[]),
        ("name=not.is.null", " WHERE NOT (t.\"name\" IS NULL)", &[]),
        ("name=is.not_null", " WHERE t.\"name\" IS NOT NULL", &[]),
        ("flag=is.TRUE", " WHERE t.\"flag\" IS TRUE", &[]),
        ("flag=is.false", " WHERE t.\"flag\" IS FALSE", &[]),
        ("flag=is.unknown", " WHERE t.\"flag\" IS UNKNOWN", &[]),
        ("We%22ird,+WHERE=gt.1", " WHERE t.\"We\"\"ird, WHERE\" > $1::text::numeric", &["1"]),
        ("", "", &[]),
    ] {
        assert_eq!(
            conditions(text),
            (sql.to_owned(), parameters.iter().map(|&text| text.to_owned()).collect()),
            "{text}"
        );
    }
}

#[test]
fn no_text_of_a_client_is_a_part_of_the_sql() {
    let evil = "'); DROP TABLE t; --\"";
    let encoded: String = form_urlencoded::byte_serialize(evil.as_bytes()).collect();
    for text in [
        format!("name=eq.{encoded}"),
        format!("name=like.{encoded}"),
        format!("name=in.({encoded})"),
        format!("_after={encoded}"),
    ] {
        let relation = relation(&["id"]);
        // A quote may be none of a list.
        let Ok(query) = Query::parse(&relation, &text) else { continue };
        let page = Page { limit: 1, bytes: 1, offset: 0 };
        for sql in [Statement::list(&relation, &query, page).sql, Statement::count(&relation, &query).sql] {
            assert!(!sql.contains("DROP"), "{text}: {sql}");
        }
    }
    for text in [
        format!("{encoded}=eq.1"),
        format!("select={encoded}"),
        format!("order={encoded}"),
        format!("order=id.{encoded}"),
        format!("on_conflict={encoded}"),
        format!("columns={encoded}"),
        format!("name=is.{encoded}"),
        format!("name={encoded}.1"),
        format!("limit={encoded}"),
        format!("offset={encoded}"),
    ] {
        assert!(parse(&text).is_err(), "{text}");
    }
    let body = format!("{{\"{}\":1}}", evil.replace('"', "\\\""));
    let error = Payload::parse(&relation(&["id"]), &Query::default(), body.as_bytes()).expect_err("no such column");
    assert_eq!(error.code, "PGRST204");
}

#[test]
fn what_the_dialect_does_not_have_is_refused_with_a_code() {
    for (text, code) in [
        ("none=eq.1", "42703"),
        ("id=1", "PGRST100"),
        ("id=", "PGRST100"),
        ("id=fts.x", "PGRST100"),
        ("id=eq(any).{1}", "PGRST100"),
        ("id=not.not.eq.1", "PGRST100"),
        ("id=in.1,2", "PGRST100"),
        ("id=in.(\"1)", "PGRST100"),
        ("id=is.1", "PGRST100"),
        ("limit=-1", "PGRST100"),
        ("limit=+1", "PGRST100"),
        ("limit=", "PGRST100"),
        ("limit=1.5", "PGRST100"),
        ("limit=9223372036854775808", "PGRST100"),
        ("offset=18446744073709551616", "PGRST100"),
        ("select=none", "42703"),
        ("select=other(id)", "PGRST200"),
        ("select=*,other(*)", "PGRST200"),
        ("select=id,alias:other!inner(id,name)", "PGRST200"),
        ("select=id,...other(name)", "PGRST200"),
        ("select=count()", "PGRST200"),
        ("order=other(name).desc", "PGRST200"),
        ("other.id=eq.1", "PGRST200"),
        ("other.or=(id.eq.1)", "PGRST200"),
        ("select=alias:id", "PGRST100"),
        ("select=id::integer", "PGRST100"),
        ("select=id,id::text", "PGRST100"),
        ("order=none", "42703"),
        ("order=id.up", "42703"),
        ("order=name&_after=1", "PGRST100"),
        ("_after=1&offset=2", "PGRST100"),
        ("limit=1&limit=3", "PGRST100"),
        ("offset=1&offset=3", "PGRST100"),
        ("select=id&select=name", "PGRST100"),
        ("order=id&order=name", "PGRST100"),
        ("_after=1&_after=2", "PGRST100"),
        ("columns=id&columns=name", "PGRST100"),
        ("on_conflict=id&on_conflict=name", "PGRST100"),
        ("_consistency=cached&_consistency=strong", "PGRST100"),
    ] {
        assert_eq!(parse(text).expect_err(text).code, code, "{text}");
    }
}

#[test]
fn a_page_has_an_order_and_bounds() {
    let page = Page { limit: 3, bytes: 100, offset: 2 };
    let list = |key: &[&str], text: &str, page| {
        let relation = relation(key);
        let query = Query::parse(&relation, text).unwrap_or_else(|error| panic!("{text}: {error}"));
        Statement::list(&relation, &query, page)
    };
    for (text, part) in [
        ("", "ORDER BY t.\"id\" LIMIT $1::text::pg_catalog.int8 OFFSET $2::text::pg_catalog.int8"),
        ("order=name.desc.nullslast,id", "ORDER BY t.\"name\" DESC NULLS LAST, t.\"id\" LIMIT"),
        ("order=name.nullsfirst", "ORDER BY t.\"name\" NULLS FIRST LIMIT"),
        ("order=name.asc,name.desc", "ORDER BY t.\"name\" LIMIT"),
        ("select=name,id::text", "FROM (SELECT t.\"name\", t.\"id\"::text AS \"id\") r"),
        (
            "select=*,id",
            "FROM (SELECT t.\"id\", t.\"name\", t.\"We\"\"ird, WHERE\", t.\"sum\", t.\"flag\", t.\"list\") r",
        ),
    ] {
        let statement = list(&["id"], text, page);
        assert!(statement.sql.contains(part), "{text}: {}", statement.sql);
        assert_eq!(statement.parameters, ["3", "2", "100"], "{text}");
    }
    for (text, part, parameters) in [
        ("_after=5", "WHERE (t.\"id\") > ($1::text::integer) ORDER BY", &["5", "3", "100"][..]),
        ("_after=5&order=id.desc", "WHERE (t.\"id\") < ($1::text::integer) ORDER BY t.\"id\" DESC", &["5", "3", "100"]),
        ("_after=a,b&limit=7", "WHERE (t.\"id\") > ($1::text::integer)", &["a,b", "3", "100"]),
    ] {
        let statement = list(&["id"], text, Page { offset: 0, ..page });
        assert!(statement.sql.contains(part), "{text}: {}", statement.sql);
        assert_eq!(statement.parameters, parameters, "{text}");
    }
    let pair = list(&["name", "id"], "_after=%22a,b%22,5&flag=is.true", Page { offset: 0, ..page });
    let part = "WHERE t.\"flag\" IS TRUE AND (t.\"name\", t.\"id\") > ($1::text::text, $2::text::integer) ORDER BY t.\"name\", t.\"id\"";
    assert!(pair.sql.contains(part), "{}", pair.sql);
    assert_eq!(pair.parameters[..2], ["a,b", "5"]);
    assert!(Query::parse(&relation(&["name", "id"]), "_after=a").is_err());
}

#[test]
fn a_body_sets_the_columns_that_all_its_rows_have() {
    let relation = relation(&["id"]);
    let payload = |query: &str, body: &str| {
        let query = Query::parse(&relation, query).expect("a query");
        Payload::parse(&relation, &query, body.as_bytes())
    };
    let one = payload("", r#" {"id":12345678901234567890.10,"name":"a"} "#).expect("an object");
    assert_eq!((one.rows, one.is_single, one.columns.len()), (1, true, 2));
    // No digit is lost on the way.
    assert_eq!(one.json, r#"[{"id":12345678901234567890.10,"name":"a"}]"#);
    assert_eq!(one.field("id").as_deref(), Some("12345678901234567890.10"));
    assert_eq!((one.field("name").as_deref(), one.field("flag")), (Some("a"), None));
    let many = payload("", r#"[{"id":1,"name":"a"},{"name":null,"id":2}]"#).expect("an array");
    assert_eq!((many.rows, many.is_single), (2, false));
    assert_eq!(payload("columns=id,name", r#"[{"id":1},{"name":"b","x":1}]"#).expect("columns").columns.len(), 2);
    assert_eq!(payload("", "[]").expect("none").rows, 0);
    for (body, code) in [
        ("", "PGRST102"),
        ("1", "PGRST102"),
        ("null", "PGRST102"),
        ("\"a\"", "PGRST102"),
        ("[1]", "PGRST102"),
        ("{\"id\":1", "PGRST102"),
        ("{\"id\":1}{\"id\":2}", "PGRST102"),
        (r#"[{"id":1},{"name":"a"}]"#, "PGRST102"),
        (r#"{"none":1}"#, "PGRST204"),
        (r#"{"sum":1}"#, "PGRST102"),
    ] {
        assert_eq!(payload("", body).expect_err(body).code, code, "{body}");
    }
    let invalid = Payload::parse(&relation, &Query::default(), b"{\"name\":\"\xff\"}");
    assert_eq!(invalid.expect_err("no UTF-8").code, "PGRST102");
    assert!(payload("", "{}").expect("an object").of_one().is_err());
    assert!(payload("", r#"[{"id":1},{"id":2}]"#).expect("rows").of_one().is_err());
}

#[test]
fn a_write_says_what_a_conflict_does() {
    let relation = relation(&["id"]);
    let insert = |query: &str, body: &str, resolution| {
        let query = Query::parse(&relation, query).expect("a query");
        let payload = Payload::parse(&relation, &query, body.as_bytes()).expect("a body");
        Statement::insert(&relation, &query, &payload, resolution, Returned::Keys { most: 5 }).sql
    };
    let body = r#"{"id":1,"name":"a"}"#;
    for (query, body, resolution, part, present) in [
        ("", body, None, "ON CONFLICT", false),
        (
            "",
            body,
            Some(Resolution::Merge),
            "ON CONFLICT (\"id\") DO UPDATE SET \"id\" = EXCLUDED.\"id\", \"name\" = EXCLUDED.\"name\"",
            true,
        ),
        ("on_conflict=name", body, Some(Resolution::Ignore), "ON CONFLICT (\"name\") DO NOTHING", true),
        ("", "{}", None, "SELECT FROM pg_catalog.generate_series(1, 1)", true),
        ("", "[{},{}]", Some(Resolution::Merge), "generate_series(1, 2) ON CONFLICT (\"id\") DO NOTHING", true),
    ] {
        let sql = insert(query, body, resolution);
        assert_eq!(sql.contains(part), present, "{query} {body}: {sql}");
    }
}

#[test]
fn rows_are_changed_by_a_filter_or_a_key_and_never_without() {
    let relation = relation(&["id"]);
    let keys = Returned::Keys { most: 5 };
    let body = Payload::parse(&relation, &Query::default(), b"{\"name\":\"a\"}").expect("a body");
    let change = |text: &str, target: &Target| {
        let query = Query::parse(&relation, text).expect("a query");
        (Statement::update(&relation, &query, &body, target, keys), Statement::delete(&relation, &query, target, keys))
    };
    let (update, delete) = change("id=eq.1", &Target::Filtered);
    // One assignment a column: `(a, b) = (SELECT a, b ...)` takes time in the square of their number.
    assert!(update.expect("an update").sql.contains(
        "UPDATE \"public\".\"t\" t SET \"name\" = p.\"name\" FROM pg_catalog.json_populate_record(NULL::\"public\".\"t\", \
         ($1::text::json) -> 0) p WHERE t.\"id\" = $2::text::integer RETURNING"
    ));
    assert!(
        delete
            .expect("a delete")
            .sql
            .contains("DELETE FROM \"public\".\"t\" t WHERE t.\"id\" = $1::text::integer RETURNING")
    );
    for text in ["", "select=id", "id=eq.1&limit=1", "id=eq.1&order=id", "id=eq.1&offset=1", "id=eq.1&_after=1"] {
        let (update, delete) = change(text, &Target::Filtered);
        assert!(update.is_err() && delete.is_err(), "{text}");
    }
    let target = Target::Key { key: vec!["1".to_owned()], tag: Some(vec!["a\"b".to_owned()]) };
    let delete = change("", &target).1.expect("a delete");
    assert!(delete.sql.contains("WHERE t.\"id\" = $1::text::integer AND pg_catalog.substr("), "{}", delete.sql);
    assert_eq!(delete.parameters, ["1", "{\"a\\\"b\"}"]);
}

#[test]
fn a_list_that_was_quoted_is_read_as_it_was() {
    for value in ["a", "a,b", "\"", "\\", "(", "", "ü"] {
        let text: String = form_urlencoded::byte_serialize(format!("({})", quoted(value)).as_bytes()).collect();
        let array = format!("{{\"{}\"}}", value.replace('\\', "\\\\").replace('"', "\\\""));
        assert_eq!(conditions(&format!("name=in.{text}")).1, [array], "{value}");
    }
}

#[test]
fn preferences_are_read_from_every_header() {
    let preferences = Preferences::parse(["return=representation", "resolution=merge-duplicates"]).expect("known");
    assert_eq!(preferences.resolution, Some(Resolution::Merge));
}
