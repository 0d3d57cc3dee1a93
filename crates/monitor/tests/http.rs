//! The API, as programs and pages use it.

mod common;

use common::{Running, sample, settings};
use serde_json::{Value, json};
use switchboard_monitor::{Millis, Rules};

/// The last minute, and a little of the next.
fn minute() -> String {
    let now = Millis::now().0;
    format!("from={}&to={}", now - 60_000, now + 5_000)
}

#[tokio::test]
async fn what_is_posted_can_be_seen_everywhere() {
    let monitor = Running::start().await;
    let lines: Vec<String> = (0..10).rev().map(|ago| sample(ago, json!({ "service": "web", "pid": 7 }))).collect();
    let (status, taken) = monitor.post(&lines.join("\n")).await;
    assert_eq!((status, taken), (200, json!({ "accepted": 10, "refused": 0, "error": null })));
    let (status, taken) =
        monitor.post(&format!("[{},{}]", sample(0, json!({})), sample(0, json!({ "cpu": -1 })))).await;
    assert_eq!((status, &taken["accepted"], &taken["refused"]), (200, &json!(1), &json!(1)));
    assert!(taken["error"].as_str().unwrap().contains("out of range"), "{taken}");

    let processes = monitor.get("/api/processes").await;
    let web = &processes["processes"][0];
    assert_eq!(
        (&web["id"], &web["name"], &web["pid"], &web["state"]),
        (&json!(1), &json!("web"), &json!(7), &json!("live"))
    );
    assert_eq!((&web["cpu"], &web["mem"], &web["leak"]), (&json!(1.5), &json!(20.25), &Value::Null));
    assert_eq!(processes["processes"][1]["name"], "red");

    let history = format!("/api/history?{}&points=1000&id=1", minute());
    let answer = monitor.until(&history, |answer| known(&answer["series"][0]["cpu"]) == 10).await;
    assert_eq!((&answer["step"], &answer["tier"]), (&json!(1000), &json!("second")));
    assert_eq!(answer["series"].as_array().unwrap().len(), 1);
    assert_eq!(answer["series"][0]["mem"].as_array().unwrap().iter().find(|mem| !mem.is_null()), Some(&json!(20.3)));
    assert!(answer["series"][0]["cpu_min"].is_null());
    let minutes = monitor.get(&format!("/api/history?{}&points=1", minute())).await;
    assert_eq!((&minutes["tier"], minutes["series"].as_array().unwrap().len()), (&json!("minute"), 2));
    assert!(minutes["series"][0]["cpu_max"].is_array());

    let (status, csv) = monitor.ask("GET", &format!("/api/history.csv?{}", minute()), "").await;
    assert_eq!((status, csv.lines().next(), csv.lines().count()), (200, Some("time,id,name,cpu,mem"), 12));
    assert!(csv.contains(",1,\"web\",1.5,20.3\r\n"), "{csv}");
    let (_, metrics) = monitor.ask("GET", "/metrics", "").await;
    let labels = "id=\"1\",name=\"web\",service=\"web\",instance=\"\",host=\"\"";
    assert!(metrics.contains(&format!("\nswitchboard_watched_cpu_percent{{{labels}}} 1.5\n")), "{metrics}");
    assert!(metrics.contains("\nswitchboard_monitor_refused_total{reason=\"out_of_range\"} 1\n"), "{metrics}");
    assert!(metrics.contains("\nprocess_cpu_seconds_total "), "{metrics}");
    let own = monitor.get("/api/self").await;
    assert_eq!((&own["accepted"], &own["refused"]["out_of_range"], &own["series"]), (&json!(11), &json!(1), &json!(2)));
}

#[tokio::test]
async fn a_post_without_a_sample_is_told_why_it_is_refused() {
    let monitor = Running::start().await;
    for body in ["[]", " [ ] ", "\n \n"] {
        let (status, answer) = monitor.ask("POST", "/api/samples", body).await;
        assert_eq!(status, 400, "{body:?}: {answer}");
        assert!(answer.contains("sample") && !answer.contains("null"), "{body:?}: {answer}");
    }
}

fn known(column: &Value) -> usize {
    column.as_array().map_or(0, |column| column.iter().filter(|value| !value.is_null()).count())
}

#[tokio::test]
async fn a_restart_of_the_collector_forgets_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut first = Running::on(settings(directory.path())).await;
    first.post(&(0..20).rev().map(|ago| sample(ago, json!({})) + "\n").collect::<String>()).await;
    first.post(&sample(0, json!({ "color": "blue", "ended": 3 }))).await;
    first.stop().await;
    let mut second = Running::on(settings(directory.path())).await;
    let processes = second.get("/api/processes").await;
    let [red, blue] = &processes["processes"].as_array().unwrap()[..] else { panic!("{processes}") };
    assert_eq!((&red["id"], &red["color"], &red["state"]), (&json!(1), &json!("red"), &json!("live")));
    assert_eq!((&blue["id"], &blue["state"], &blue["ended"]), (&json!(2), &json!("gone"), &json!(3)));
    second.post(&sample(0, json!({ "color": "green" }))).await;
    second.post(&sample(0, json!({}))).await;
    let history = second.get(&format!("/api/history?{}&id=1", minute())).await;
    assert!(known(&history["series"][0]["cpu"]) >= 19, "{history}");
    let processes = second.get("/api/processes").await;
    assert_eq!(processes["processes"][2]["id"], 3);
    let annotations = second.get(&format!("/api/annotations?{}", minute())).await;
    assert_eq!(
        (&annotations["annotations"][0]["kind"], &annotations["annotations"][0]["id"]),
        (&json!("ended"), &json!(2))
    );
    second.stop().await;
}

#[tokio::test]
async fn without_the_file_of_names_everybody_keeps_what_is_theirs() {
    let directory = tempfile::tempdir().unwrap();
    let mut first = Running::on(settings(directory.path())).await;
    let lines =
        |color: &str| (0..100).rev().map(|ago| sample(ago, json!({ "color": color })) + "\n").collect::<String>();
    first.post(&lines("red")).await;
    first.post(&lines("blue")).await;
    first.stop().await;
    std::fs::write(directory.path().join("names.jsonl"), "").unwrap();
    let second = Running::on(settings(directory.path())).await;
    second.post(&sample(0, json!({ "color": "green" }))).await;
    second.post(&sample(0, json!({ "color": "blue" }))).await;
    let processes = second.get("/api/processes").await;
    let known: Vec<(&Value, &Value)> =
        processes["processes"].as_array().unwrap().iter().map(|process| (&process["id"], &process["name"])).collect();
    let [one, two, three] = [1, 2, 3].map(|id| json!(id));
    assert_eq!(known, [(&one, &json!("red")), (&two, &json!("blue")), (&three, &json!("green"))]);
    let history = second.get(&format!("/api/history?{}&id=3", minute())).await;
    assert!(known_values(&history) <= 1, "{history}");
}

fn known_values(history: &Value) -> usize {
    known(&history["series"][0]["cpu"])
}

#[tokio::test]
async fn pages_of_other_sites_and_other_names_get_nothing() {
    let monitor = Running::start().await;
    let bent = monitor.raw("GET /api/processes HTTP/1.0\r\nHost: evil.example", "").await;
    assert!(bent.starts_with("HTTP/1.0 421"), "{bent}");
    let form = "POST /api/samples HTTP/1.0\r\nHost: localhost\r\nOrigin: http://evil.example";
    assert!(monitor.raw(form, &sample(0, json!({}))).await.starts_with("HTTP/1.0 403"));
    for target in ["/", "/theme.css", "/style.css", "/feedx", "/api/processes", "/api/history", "/metrics"] {
        let answer = monitor.raw(&format!("GET {target} HTTP/1.0\r\nHost: localhost"), "").await;
        assert!(answer.contains("content-security-policy: default-src 'none'; script-src 'self'"), "{answer}");
        assert!(answer.contains("x-content-type-options: nosniff"), "{answer}");
    }
}

#[tokio::test]
async fn beyond_loopback_a_token_is_needed() {
    let mut monitor = Running::with(|settings| settings.listen = vec!["0.0.0.0:0".into()]).await;
    monitor.address.set_ip([127, 0, 0, 1].into());
    let token = monitor.token.clone().expect("one was made");
    assert!(token.len() >= 32, "{token}");
    let ask = async |target: &str, header: &str| {
        monitor.raw(&format!("GET {target} HTTP/1.0\r\nHost: localhost{header}"), "").await
    };
    for wrong in ["", "\r\nAuthorization: Bearer x", "\r\nCookie: switchboard-monitor=x", "\r\nAuthorization: Bearer "]
    {
        for target in ["/", "/feed", "/api/processes", "/metrics", "/?token=x", "/api/self?token="] {
            assert!(ask(target, wrong).await.starts_with("HTTP/1.0 401"), "{target} {wrong}");
        }
        for target in ["/healthz", "/readyz"] {
            assert!(ask(target, wrong).await.starts_with("HTTP/1.0 200"), "{target} {wrong}");
        }
    }
    assert!(ask("/api/self", &format!("\r\nAuthorization: Bearer {token}")).await.starts_with("HTTP/1.0 200"));
    let login = ask(&format!("/?range=5m&token={token}&filter=a%20b"), "").await;
    assert!(
        login.starts_with("HTTP/1.0 303") && login.contains("\r\nlocation: /?range=5m&filter=a%20b\r\n"),
        "{login}"
    );
    let cookie = login.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    assert!(cookie.starts_with(&format!("switchboard-{}=", monitor.address.port())) && !cookie.contains(&token));
    let cookie = cookie.split(';').next().unwrap();
    assert!(ask("/", &format!("\r\nCookie: a=b; {cookie}")).await.starts_with("HTTP/1.0 200"));
    // A page of another site may link here, and do nothing with the cookie.
    let post =
        format!("POST /api/samples HTTP/1.0\r\nHost: localhost\r\nCookie: {cookie}\r\nOrigin: http://evil.example");
    assert!(monitor.raw(&post, &sample(0, json!({}))).await.starts_with("HTTP/1.0 403"));
}

#[tokio::test]
async fn limits_of_requests_are_named() {
    let monitor = Running::with(|settings| settings.body = 1000).await;
    for (length, status) in [(999, 200), (1000, 200), (1001, 413)] {
        let body = format!("{:length$}", sample(0, json!({})));
        assert_eq!(monitor.post(&body).await.0, status, "{length}");
    }
    let range = "/api/history?from=0&to=1000";
    for (points, status) in [(0, 400), (1, 200), (100_000, 200), (100_001, 400)] {
        assert_eq!(monitor.ask("GET", &format!("{range}&points={points}"), "").await.0, status, "{points}");
    }
    for target in ["/api/history", "/api/history.csv"] {
        assert_eq!(monitor.ask("GET", target, "").await.0, 200, "{target}: the past hour");
    }
    for target in
        ["/api/history?from=1", "/api/history.csv?to=1", "/api/history?from=2&to=1", "/api/annotations?from=x&to=2"]
    {
        let (status, body) = monitor.ask("GET", target, "").await;
        assert!(status == 400 && body.contains("error"), "{target}: {status} {body}");
    }
    let (status, body) = monitor.ask("GET", "/api/nothing", "").await;
    assert!(status == 404 && body.contains("\"error\":\"there is no /api/nothing;"), "{status} {body}");
    for body in ["", "[", "{}", "x", "[1]"] {
        assert_eq!(monitor.post(body).await.0, 400, "{body}");
    }
}

#[tokio::test]
async fn a_long_range_has_a_limit_over_all_series() {
    let monitor = Running::with(|settings| settings.rules = Rules { keep: days(3000), ..Rules::default() }).await;
    monitor.post(&(0..41).map(|at| sample(0, json!({ "color": at.to_string() })) + "\n").collect::<String>()).await;
    let now = Millis::now().0;
    let ask = async |seconds: i64, ids: &str| {
        let target = format!("/api/history?from={}&to={now}&points=100000{ids}", now - seconds * 1000);
        monitor.ask("GET", &target, "").await.0
    };
    // 41 lines of 97,560 columns are just under 4 million together.
    assert_eq!((ask(97_559, "").await, ask(97_560, "").await), (200, 413));
    assert_eq!(ask(97_560, "&id=1").await, 200);
}

fn days(days: u64) -> std::time::Duration {
    std::time::Duration::from_secs(days * 86_400)
}

#[tokio::test]
async fn the_description_describes_what_is_there() {
    let monitor = Running::start().await;
    let description = monitor.get("/api/openapi.json").await;
    let paths = description["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 9);
    for (path, methods) in paths.iter().filter(|(path, _)| *path != "/feed") {
        for method in methods.as_object().unwrap().keys() {
            let (status, body) = monitor.ask(&method.to_uppercase(), path, "").await;
            assert!(status != 404 && status != 405, "{method} {path}: {status} {body}");
        }
    }
    let process = &description["components"]["schemas"]["Process"]["properties"];
    monitor.post(&sample(0, json!({}))).await;
    let processes = monitor.get("/api/processes").await;
    let known: Vec<&String> = processes["processes"][0].as_object().unwrap().keys().collect();
    let mut described: Vec<&String> = process.as_object().unwrap().keys().collect();
    described.sort();
    assert_eq!(known, described);
}

#[tokio::test]
async fn samples_in_an_encoding_that_is_not_understood_are_refused_with_its_name() {
    let monitor = Running::start().await;
    let head = |encoding: &str| {
        format!(
            "POST /api/samples HTTP/1.0
Host: localhost
Content-Encoding: {encoding}"
        )
    };
    for encoding in ["gzip", "br"] {
        let answer = monitor.raw(&head(encoding), "x").await;
        assert!(answer.starts_with("HTTP/1.0 415"), "{answer}");
        assert!(answer.contains(encoding) && answer.contains("is not understood"), "{answer}");
    }
    let answer = monitor.raw(&head("Identity"), &sample(0, json!({}))).await;
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
}
