//! One form of every value: the same from the cache, the list and the event.

use super::common::service::Service;
use super::{address, patrons};
use serde_json::Value;

/// Types, and the JSON of their values.
const VALUES: [(&str, &str, &str); 19] = [
    ("int8", "9007199254740993", "9007199254740993"),
    ("int8", "-9223372036854775808", "-9223372036854775808"),
    ("numeric", "12345678901234567890.1200", "12345678901234567890.1200"),
    ("numeric", "'NaN'", "\"NaN\""),
    ("float8", "'Infinity'", "\"Infinity\""),
    ("float8", "0.1", "0.1"),
    ("timestamp", "'2024-02-29 12:00:00.5'", "\"2024-02-29T12:00:00.5\""),
    ("timestamptz", "'2024-02-29 12:00:00+02'", "\"2024-02-29T10:00:00+00:00\""),
    ("date", "'2024-02-29'", "\"2024-02-29\""),
    ("daterange", "'[2024-02-29,2024-03-05)'", "\"[2024-02-29,2024-03-05)\""),
    ("tstzrange", "'[2024-02-29 12:00:00+02,)'", "\"[\\\"2024-02-29 10:00:00+00\\\",)\""),
    ("money", "1234.5", "\"$1,234.50\""),
    ("interval", "'1 day 2 hours'", "\"P1DT2H\""),
    ("jsonb", "'{\"a\": [1, null]}'", "{\"a\": [1, null]}"),
    // As it was written; an event has the same value in another form.
    ("json", "'{\"b\":  1, \"a\": [null]}'", "{\"b\":  1, \"a\": [null]}"),
    ("int4[]", "'{1,NULL,3}'", "[1,null,3]"),
    ("text[]", "'{a,\"b c\"}'", "[\"a\",\"b c\"]"),
    ("bytea", "'\\xdeadbeef'", "\"\\\\xdeadbeef\""),
    ("uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\""),
];

#[tokio::test(flavor = "multi_thread")]
async fn cache_list_and_event_give_the_same_value() {
    let (scratch, service) = patrons().await;
    service.end().await;
    let columns: Vec<String> = VALUES.iter().enumerate().map(|(at, (kind, ..))| format!("c{at} {kind}")).collect();
    scratch.run(&format!("CREATE TABLE kinds (id int PRIMARY KEY, {})", columns.join(", "))).await;
    // Settings of the database, the role and its sessions make no difference.
    scratch
        .run(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone = ''Asia/Tokyo''', current_database()); END $$",
        )
        .await;
    scratch.run("SET timezone = 'America/New_York'; SET bytea_output = 'escape'; SET extra_float_digits = 0; SET datestyle = 'German'; \
              SET intervalstyle = 'sql_standard'").await;
    let service =
        Service::start(&address(&scratch), |settings| settings.tables = vec!["kinds".into()]).await.live().await;
    let mut events = service.events("/events", None).await;
    let values: Vec<&str> = VALUES.iter().map(|(_, value, _)| *value).collect();
    // The time zone of these sessions must not count for the value of `timestamptz` either: it names its own.
    scratch.run(&format!("INSERT INTO kinds VALUES (1, {})", values.join(", "))).await;
    let event = events.next().await.2;
    let cached = service.ask("GET", "/kinds/1", &[("Consistency", "strong")], "").await;
    let listed = service.get("/kinds").await;
    assert_eq!(listed.body, format!("[{}]", cached.body));
    for (at, (kind, _, json)) in VALUES.iter().enumerate() {
        let name = format!("c{at}");
        let part = format!("\"{name}\":{json}");
        assert!(cached.body.contains(&part), "{kind}: {part}: {}", cached.body);
        let expected: Value = serde_json::from_str(json).expect("JSON");
        assert_eq!(event["data"][&name], expected, "{kind}");
    }
    // A value comes back as it went: no digit is lost.
    let json = ("Content-Type", "application/json");
    let row = cached.body.replacen("\"id\":1", "\"id\":2", 1);
    assert_eq!(service.ask("POST", "/kinds", &[json], &row).await.status, 201);
    assert_eq!(service.get("/kinds/2").await.body, row);
    let text = service.get("/kinds?select=c0::text&id=eq.1").await;
    assert_eq!(text.body, "[{\"c0\":\"9007199254740993\"}]");
    service.end().await;
}
