//! Queries, preferences and bodies of row requests: whatever they say, SQL is made of the catalogue's names alone.

#![no_main]

use libfuzzer_sys::fuzz_target;
use switchboard_rows::query::{
    Column, Page, Payload, Preferences, Query, Relation, Resolution, Returned, Statement, Target, list_of, quoted,
};

fn relation() -> Relation {
    let column = |(name, cast): (&str, &str)| Column { name: name.into(), cast: cast.into(), ..Column::default() };
    let columns = [("id", "integer"), ("name", "text"), ("a.desc", "numeric")].map(column).to_vec();
    Relation { schema: "s".into(), name: "t".into(), columns, key: vec!["id".into(), "name".into()] }
}

/// Every parameter is used, and nothing stands between quotes but what is ours.
fn check(statement: &Statement) {
    let sql =
        statement.sql.replace("'UTF8'", "").replace("'hex'", "").replace("' rows; switchboard returns fewer'", "");
    assert!(!sql.contains(['\'', ';', '\\']) && !sql.contains("--"), "{sql}");
    for number in 1..=statement.parameters.len() {
        assert!(sql.contains(&format!("${number}::text")), "${number}: {sql}");
    }
}

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let (query, body) = text.split_once('\n').unwrap_or((&text, ""));
    let relation = relation();
    let _ = Preferences::parse([query]);
    if let Ok(values) = list_of(query) {
        let again: Vec<String> = values.iter().map(|value| quoted(value)).collect();
        assert_eq!(list_of(&again.join(",")), Ok(values));
    }
    let Ok(query) = Query::parse(&relation, query) else { return };
    check(&Statement::list(&relation, &query, Page { limit: 1, bytes: 1, offset: 1 }));
    check(&Statement::count(&relation, &query));
    let (rows, keys) = (Returned::Rows { most: 1 }, Returned::Keys { most: 1 });
    if let Ok(statement) = Statement::delete(&relation, &query, &Target::Filtered, keys) {
        check(&statement);
    }
    let Ok(payload) = Payload::parse(&relation, &query, body.as_bytes()) else { return };
    check(&Statement::insert(&relation, &query, &payload, Some(Resolution::Merge), rows));
    let target = Target::Key { key: vec![body.to_owned(), String::new()], tag: Some(vec![body.to_owned()]) };
    if let Ok(statement) = Statement::update(&relation, &query, &payload, &target, rows) {
        check(&statement);
    }
});
