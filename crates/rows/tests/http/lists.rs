//! Lists: filters, orders and pages.

use super::common::service::Service;
use super::{address, patrons};
use serde_json::{Value, json};

async fn filled() -> (super::common::Scratch, Service) {
    let (scratch, service) = patrons().await;
    scratch
        .run(
            "INSERT INTO patron (name, fav_dish) VALUES ('Ann', 'Chili'), ('Bob', 'Rice'), ('Cy', NULL), \
             ('Di', 'Chili con carne'), ('Ed', 'rice, white')",
        )
        .await;
    (scratch, service)
}

fn names(body: &Value) -> Vec<&str> {
    body.as_array().expect("an array").iter().map(|row| row["name"].as_str().expect("a name")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operator_leaves_the_rows_that_it_says() {
    let (_scratch, service) = filled().await;
    for (query, expected) in [
        ("", &["Ann", "Bob", "Cy", "Di", "Ed"][..]),
        ("id=eq.2", &["Bob"]),
        ("id=neq.2", &["Ann", "Cy", "Di", "Ed"]),
        ("id=gt.3", &["Di", "Ed"]),
        ("id=gte.3&id=lt.5", &["Cy", "Di"]),
        ("id=lte.1", &["Ann"]),
        ("fav_dish=like.Chili*", &["Ann", "Di"]),
        ("fav_dish=ilike.RICE*", &["Bob", "Ed"]),
        ("fav_dish=like.%25carne", &["Di"]),
        ("id=in.(1,3)", &["Ann", "Cy"]),
        ("fav_dish=in.(Rice,%22rice,%20white%22)", &["Bob", "Ed"]),
        ("id=in.()", &[]),
        ("fav_dish=is.null", &["Cy"]),
        ("fav_dish=not.is.null&id=gt.3", &["Di", "Ed"]),
        ("id=not.in.(1,2,3)", &["Di", "Ed"]),
        ("name=eq.'%20OR%20true%20--", &[]),
        ("order=name.desc&limit=2", &["Ed", "Di"]),
        ("order=fav_dish.nullsfirst&limit=1", &["Cy"]),
        ("offset=3", &["Di", "Ed"]),
        ("_after=3", &["Di", "Ed"]),
        ("_after=3&order=id.desc", &["Bob", "Ann"]),
        ("limit=0", &[]),
    ] {
        let reply = service.get(&format!("/patron?{query}")).await;
        assert_eq!((reply.status, names(&reply.json())), (200, expected.to_vec()), "{query}: {}", reply.body);
    }
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_of_a_column_takes_a_value_in_every_comparison() {
    let (scratch, service) = patrons().await;
    service.end().await;
    let types = [
        ("int[]", "{1,2}"),
        ("text[]", "{\"a,b\",\"q\\\"\\\\\",NULL}"),
        ("numeric(5,2)[]", "{1.50}"),
        ("bool[]", "{t}"),
        ("bytea[]", "{\"\\\\xdead\"}"),
        ("int[][]", "{{1,2},{3,4}}"),
        ("mood", "sad"),
        ("mood[]", "{sad}"),
        ("whole", "7"),
        ("wholes", "{7,8}"),
        ("wholes[]", "{\"{7,8}\"}"),
        ("odd.\"T []\"", "sad"),
        ("duo", "(1,b)"),
        ("duo[]", "{\"(1,b)\"}"),
        ("int4range", "[1,5)"),
        ("int4multirange", "{[1,5)}"),
        ("char(3)", "ab "),
        ("\"char\"", "a"),
        ("bit(3)", "101"),
        ("name", "n"),
        ("oid", "5"),
        ("oidvector", "1 2"),
        ("inet", "10.0.0.1"),
        ("interval", "P1D"),
        ("bytea", "\\xdead"),
        ("money", "$1.00"),
        ("tsvector", "'a':1"),
        ("timestamptz", "2024-02-29T10:00:00+00:00"),
    ];
    let columns = types.iter().enumerate().map(|(at, (kind, _))| format!(", c{at} {kind}")).collect::<String>();
    scratch
        .run(&format!(
            "CREATE SCHEMA odd; CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN whole AS int CHECK (VALUE > 0); \
             CREATE DOMAIN wholes AS int[]; CREATE TYPE odd.\"T []\" AS ENUM ('sad'); CREATE TYPE duo AS (x int, y text); \
             CREATE TABLE typ (id int PRIMARY KEY{columns}); INSERT INTO typ (id) VALUES (2)"
        ))
        .await;
    let service =
        Service::start(&address(&scratch), |settings| settings.tables = vec!["typ".into()]).await.live().await;
    let row = types.iter().enumerate().map(|(at, (_, value))| (format!("c{at}"), Value::from(*value)));
    let row: serde_json::Map<String, Value> = [("id".to_owned(), json!(1))].into_iter().chain(row).collect();
    let made = service.post("/typ", &Value::from(row).to_string()).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let encoded = |text: String| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    for (at, (kind, value)) in types.iter().enumerate() {
        let list = format!("({0},{0})", format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")));
        for (filter, rows) in [
            (format!("eq.{}", encoded((*value).to_owned())), 1),
            (format!("in.{}", encoded(list.clone())), 1),
            (format!("gte.{}", encoded((*value).to_owned())), 1),
            (format!("not.in.{}", encoded(list)), 0),
            ("in.()".to_owned(), 0),
        ] {
            let reply = service.get(&format!("/typ?c{at}={filter}&select=id")).await;
            assert_eq!(
                (reply.status, reply.json().as_array().map(Vec::len)),
                (200, Some(rows)),
                "{kind} {filter}: {}",
                reply.body
            );
        }
    }
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_has_the_columns_that_are_selected() {
    let (_scratch, service) = filled().await;
    let reply = service.get("/patron?id=eq.1&select=name,id::text").await;
    assert_eq!(reply.body, r#"[{"name":"Ann","id":"1"}]"#);
    assert_eq!((reply.header("x-cache"), reply.header("cache-control")), (Some("bypass"), Some("no-store")));
    let one =
        service.ask("GET", "/patron?id=eq.1&select=name", &[("Accept", "application/vnd.pgrst.object+json")], "").await;
    assert_eq!((one.status, one.body.as_str()), (200, r#"{"name":"Ann"}"#));
    for (query, details) in
        [("id=eq.99", "The result contains 0 rows"), ("id=gt.1", "The result contains more than one row")]
    {
        let path = format!("/patron?{query}");
        let none = service.ask("GET", &path, &[("Accept", "application/vnd.pgrst.object+json")], "").await;
        assert_eq!((none.status, none.code().as_str()), (406, "PGRST116"));
        assert_eq!(none.json()["details"], details);
    }
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_cut_off_silently() {
    let (scratch, service) = filled().await;
    service.end().await;
    let service = Service::start(&address(&scratch), |settings| settings.list_rows = 2).await.live().await;
    // By the key, page after page.
    let (mut path, mut all) = ("/patron?select=name".to_owned(), Vec::new());
    for (range, more) in [("0-1/*", true), ("0-1/*", true), ("0-0/*", false)] {
        let page = service.get(&path).await;
        assert_eq!((page.status, page.header("content-range")), (200, Some(range)));
        all.extend(names(&page.json()).into_iter().map(str::to_owned));
        assert_eq!(page.header("link").is_some(), more, "{path}");
        if let Some(link) = page.header("link") {
            path = link.trim_start_matches('<').split('>').next().expect("an address").to_owned();
            assert!(link.ends_with("; rel=\"next\"") && link.contains("_after="), "{link}");
        }
    }
    assert_eq!(all, ["Ann", "Bob", "Cy", "Di", "Ed"]);
    // By another order.
    let page = service.get("/patron?order=name.desc&limit=5").await;
    assert_eq!(page.header("link"), Some("</patron?order=name.desc&limit=5&offset=2>; rel=\"next\""));
    // A page of no rows has no next one, which would be itself.
    let page = service.get("/patron?limit=0").await;
    assert_eq!((page.status, page.body.as_str(), page.header("link")), (200, "[]", None));
    service.end().await;
    // By bytes: the first row comes in any case.
    let service = Service::start(&address(&scratch), |settings| settings.list_bytes = 1024).await.live().await;
    scratch.run("UPDATE patron SET fav_dish = repeat('x', 3000)").await;
    let page = service.get("/patron").await;
    assert_eq!((page.header("content-range"), page.header("link").is_some()), (Some("0-0/*"), true));
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_counted_for_whoever_asks() {
    let (_scratch, service) = filled().await;
    let count = ("Prefer", "count=exact");
    for (query, status, range) in [
        ("", 200, "0-4/5"),
        ("limit=2", 206, "0-1/5"),
        ("limit=2&offset=3", 206, "3-4/5"),
        ("id=gt.3", 200, "0-1/2"),
        ("id=gt.99", 200, "*/0"),
        ("offset=5", 206, "*/5"),
        ("offset=6", 416, "*/5"),
    ] {
        for method in ["GET", "HEAD"] {
            let reply = service.ask(method, &format!("/patron?{query}"), &[count], "").await;
            assert_eq!((reply.status, reply.header("content-range")), (status, Some(range)), "{method} {query}");
        }
    }
    let range = service.ask("GET", "/patron", &[("Range-Unit", "items"), ("Range", "1-2")], "").await;
    assert_eq!((range.header("content-range"), names(&range.json())), (Some("1-2/*"), vec!["Bob", "Cy"]));
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_says_why() {
    let (_scratch, service) = filled().await;
    for (path, status, code) in [
        ("/patron?or=(id.eq.x)", 400, "22P02"),
        ("/patron?or=(id.eq.1", 400, "PGRST100"),
        ("/patron?select=*,other(*)", 400, "PGRST200"),
        ("/patron?none=eq.1", 400, "42703"),
        ("/patron?id=1", 400, "PGRST100"),
        ("/patron?id=eq.x", 400, "22P02"),
        ("/patron?id=eq.99999999999", 400, "22003"),
        ("/patron?id=like.1", 400, "42883"),
        ("/patron?_consistency=often", 400, "PGRST100"),
        ("/patron?_consistency=after%3D1-1-1-1", 400, "PGRST100"),
        ("/patron?name=eq.%00", 400, "22021"),
        ("/patron?_after=x", 400, "22P02"),
        ("/none", 404, "PGRST205"),
        ("/none/1", 404, "PGRST205"),
        ("/patron/x", 400, "22P02"),
        ("/patron/99999999999", 400, "22P02"),
        ("/patron/1?select=id", 400, "PGRST100"),
    ] {
        let reply = service.get(path).await;
        assert_eq!((reply.status, reply.code().as_str()), (status, code), "{path}: {}", reply.body);
    }
    let csv = service.ask("GET", "/patron", &[("Accept", "text/csv")], "").await;
    assert_eq!((csv.status, csv.code().as_str()), (406, "PGRST107"));
    assert_eq!(json!([]), service.get("/patron?id=eq.0").await.json());
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_are_joined_and_such_a_list_is_never_from_the_cache() {
    let (scratch, service) = filled().await;
    // Cached by its key, and yet the list below asks the database.
    assert_eq!(service.get("/patron/1").await.status, 200);
    for (query, expected) in [
        ("or=(id.eq.1)", &["Ann"][..]),
        ("or=(id.eq.1,name.eq.Bob)", &["Ann", "Bob"]),
        ("or=(id.gt.4,and(id.gte.2,id.lt.3),not.or(id.gt.1,id.is.null))", &["Ann", "Bob", "Ed"]),
        ("not.or=(id.eq.1,id.eq.2)&not.and=(id.gt.3,name.neq.Ed)", &["Cy", "Ed"]),
    ] {
        let reply = service.get(&format!("/patron?{query}&order=id")).await;
        assert_eq!((reply.status, names(&reply.json())), (200, expected.to_vec()), "{query}");
        assert_eq!((reply.header("x-cache"), reply.header("cache-control")), (Some("bypass"), Some("no-store")));
    }
    scratch.run("UPDATE patron SET name = 'New' WHERE id = 1").await;
    assert_eq!(names(&service.get("/patron?or=(id.eq.1)").await.json()), ["New"]);
    // The next page keeps the conditions.
    let page = service.get("/patron?or=(id.eq.1,id.gt.3)&limit=1").await;
    let link = page.header("link").expect("a next page");
    let next = link.trim_start_matches('<').split('>').next().expect("an address");
    assert_eq!((names(&page.json()), names(&service.get(next).await.json())), (vec!["New"], vec!["Di"]), "{link}");
    service.end().await;
}
