//! Column names in double quotes.

use switchboard_rows::query::{Column, Page, Query, QueryError, Relation, Statement};

/// A relation with names that mean something in a query.
fn relation() -> Relation {
    let names = ["id", "a.b", "a,b", "say \"x\"", "a.desc", "select", "*", "\"q\"", "q"];
    let column = |name: &str| Column { name: name.to_owned(), cast: "text".to_owned(), ..Column::default() };
    Relation {
        schema: "public".to_owned(),
        name: "t".to_owned(),
        columns: names.map(column).to_vec(),
        key: vec!["id".to_owned()],
    }
}

fn sql(text: &str) -> Result<String, QueryError> {
    let relation = relation();
    let query = Query::parse(&relation, text)?;
    Ok(Statement::list(&relation, &query, Page { limit: 1, offset: 0, bytes: 1 }).sql)
}

#[test]
fn a_column_may_be_named_in_double_quotes_wherever_it_is_named() {
    for (text, part) in [
        ("\"a.b\"=eq.x", "WHERE t.\"a.b\" = "),
        ("%22a.b%22=not.eq.x.y", "WHERE NOT (t.\"a.b\" = "),
        ("\"say \\\"x\\\"\"=is.null", "WHERE t.\"say \"\"x\"\"\" IS NULL"),
        ("\"select\"=eq.x", "WHERE t.\"select\" = "),
        ("\"id\"=eq.x", "WHERE t.\"id\" = "),
        // A name that has the quotes itself comes first.
        ("\"q\"=eq.x", "WHERE t.\"\"\"q\"\"\" = "),
        ("or=(\"a.b\".eq.x)", "WHERE (t.\"a.b\" = "),
        ("order=\"a.b\"", "ORDER BY t.\"a.b\" LIMIT"),
        ("order=\"a.b\".desc", "ORDER BY t.\"a.b\" DESC LIMIT"),
        ("order=\"a.b\".asc.nullslast,id", "ORDER BY t.\"a.b\" NULLS LAST, t.\"id\" LIMIT"),
        ("order=\"a,b\".nullsfirst,\"a.desc\".desc", "ORDER BY t.\"a,b\" NULLS FIRST, t.\"a.desc\" DESC LIMIT"),
        ("order=a.b.desc", "ORDER BY t.\"a.b\" DESC LIMIT"),
        ("order=a.desc", "ORDER BY t.\"a.desc\" LIMIT"),
        ("order=\"say \\\"x\\\"\".desc", "ORDER BY t.\"say \"\"x\"\"\" DESC LIMIT"),
        ("select=\"a.b\"::text,\"*\"", "(SELECT t.\"a.b\"::text AS \"a.b\", t.\"*\") r"),
        ("select=\"a,b\", id", "(SELECT t.\"a,b\", t.\"id\") r"),
    ] {
        let sql = sql(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert!(sql.contains(part), "{text}: {sql}");
    }
}

#[test]
fn what_follows_a_name_in_quotes_is_named_in_the_error() {
    for (text, part) in [
        ("\"a.b\"x=eq.1", "follows x"),
        ("\"a.b=eq.1", "not closed"),
        ("\"none\"=eq.1", "t.none does not exist"),
        ("order=\"a.b\".up", "follows .up"),
        ("order=\"a.b\"desc", "follows desc"),
        ("order=\"a.b", "not closed"),
        ("order=\"none\".desc", "t.none does not exist"),
        ("select=\"a.b\"::int", "follows ::int"),
        ("select=\"none\"", "t.none does not exist"),
    ] {
        let error = sql(text).expect_err(text);
        assert!(error.message.contains(part), "{text}: {error}");
    }
}
