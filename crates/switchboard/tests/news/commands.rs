//! `news test` and `news suggest`.

use crate::common::Site;
use crate::{output, text};
use serde_json::Value;
use std::process::Output;

#[test]
fn test_shows_what_each_step_of_a_rule_leaves_and_suggest_proposes_a_rule() {
    let site = Site::start(
        "<a class=head href=/news/1>One headline of four words</a><a class=head href=/news/2>Another headline of many words</a>",
    );
    let base = tempfile::tempdir().expect("a directory");
    let (file, data) = (base.path().join("sites.toml"), base.path().join("data"));
    let sites = format!(
        "{}{}",
        site.table("Good", "mode = \"fetch\"\nitem = \"a.head\""),
        site.table("Bad", "mode = \"fetch\"\nitem = \"a.gone\"")
    );
    std::fs::write(&file, sites).expect("written");
    let run = |args: &[&str]| {
        let common =
            ["--sites", file.to_str().expect("text"), "--data", data.to_str().expect("text"), "--allow", &site.pair];
        output(&[args, &common].concat())
    };
    let good = run(&["news", "test", "Good"]);
    let report = text(&good.stdout);
    assert!(good.status.success() && report.contains("Good: 2 headlines"), "{report}{}", text(&good.stderr));
    let bad = run(&["news", "test", "Bad"]);
    let report = text(&bad.stdout);
    assert_eq!(bad.status.code(), Some(1), "{report}");
    assert!(report.contains("hint: ") && report.contains("a.gone"), "{report}");
    let json = |output: &Output| -> Value { serde_json::from_slice(&output.stdout).expect("JSON") };
    for (name, right, outcome, total) in [("Good", true, "found", 2), ("Bad", false, "broken", 0)] {
        let tested = run(&["news", "test", name, "--json"]);
        let report = json(&tested);
        assert_eq!(tested.status.success(), right, "{report}");
        let expected = serde_json::json!([name, right, outcome, total]);
        assert_eq!(serde_json::json!([report["site"], report["right"], report["outcome"], report["total"]]), expected);
        assert_eq!(report["headlines"].as_array().map(Vec::len), Some(total), "{report}");
        assert_eq!(report["reason"].is_null(), right, "{report}");
        let tried = &report["tries"][0];
        assert_eq!(tried["source"], "fetch", "{report}");
        assert!(tried["steps"][0]["what"].is_string() && tried["steps"][0]["left"].is_u64(), "{report}");
    }
    let none = run(&["news", "test", "None"]);
    assert!(text(&none.stderr).contains("\"Good\", \"Bad\""), "{}", text(&none.stderr));
    let proposed = run(&["news", "suggest", &format!("http://{}/", site.pair)]);
    let rule = text(&proposed.stdout);
    assert!(rule.contains("item = \"a.head\"") && rule.contains("link_prefix = \"/news/\""), "{rule}");
    let proposed = json(&run(&["news", "suggest", "--json", &format!("http://{}/", site.pair)]));
    assert_eq!((&proposed["feeds"], &proposed["links"][0]["item"]), (&serde_json::json!([]), &"a.head".into()));
    // The proposal is a sites file.
    std::fs::write(&file, rule).expect("written");
    assert!(output(&["news", "check", file.to_str().expect("text")]).status.success());
}
