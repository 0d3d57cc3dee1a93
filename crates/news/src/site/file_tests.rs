use super::*;

fn problems(text: &str) -> Vec<String> {
    parse(text).expect_err("problems").iter().map(ToString::to_string).collect()
}

fn one(lines: &str) -> Result<Site, Vec<String>> {
    let text = format!("[[site]]\nname = \"a\"\nurl = \"http://a/\"\n{lines}\n");
    let sites = parse(&text).map_err(|list| list.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    Ok(sites.into_iter().next().expect("a site"))
}

#[test]
fn every_problem_is_named_with_its_line() {
    let text = "[[site]]\nname = \"a\"\nurl = \"file:///x\"\nitem = \"a[\"\n\n[[site]]\nname = \"a\"\nurl = \"http://b/\"\ncolor = \"rad\"\nttl = \"1s\"\n";
    let found = problems(text);
    for (number, start) in
        ["line 3: site \"a\": ", "line 4: site \"a\": ", "line 7: ", "line 9: ", "line 10: "].iter().enumerate()
    {
        let matching = found.iter().filter(|problem| problem.starts_with(start)).count();
        assert_eq!(matching, 1, "{number}: {start} in {found:?}");
    }
    assert_eq!(found.len(), 5, "{found:?}");
}

#[test]
fn an_unknown_key_and_broken_toml_are_named_with_their_line() {
    for (text, line) in [
        ("[[site]]\nname = \"a\"\nurl = \"http://a/\"\nitems = \"a\"\n", "line 4: "),
        ("[[site]]\nname = \"a\"\nurl = \"http://a/\"\nlimit = \"a\"\n", "line 4: "),
        ("[[site]]\nname = \n", "line 2: "),
        ("\n\n[[sites]]\n", "line 3: "),
    ] {
        let found = problems(text);
        assert!(found[0].starts_with(line), "{text:?}: {found:?}");
    }
}

#[test]
fn the_limits_of_numbers_and_durations_are_exact() {
    for good in [
        "limit = 1",
        "limit = 1000",
        "ttl = \"10s\"",
        "ttl = \"168h\"",
        "ttl = \"1h 30m\"",
        "min_items = 0",
        "min_items = 100",
        "limit = 3\nmin_items = 3",
    ] {
        assert!(one(good).is_ok(), "{good}: {:?}", one(good).err());
    }
    for bad in [
        "limit = 0",
        "limit = 1001",
        "limit = -1",
        "ttl = \"9s\"",
        "ttl = \"169h\"",
        "ttl = \"-1h\"",
        "ttl = \"soon\"",
        "min_items = 101",
        "limit = 3\nmin_items = 4",
        "color = \"#12345\"",
        "color = \"#12345g\"",
        "mode = \"feed\"",
        "mode = \"magic\"",
        "link = \"a@\"",
        "link = \"a@x y\"",
        "feed = \"x\"",
    ] {
        assert!(one(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_wrong_number_is_shown_with_its_bounds() {
    let wrong = |line: &str| {
        let found = problems(&format!("[[site]]\nname = \"a\"\nurl = \"http://a/\"\n{line}\n"));
        found[0].split_once("site \"a\": ").expect("a site").1.to_owned()
    };
    for value in ["-1", "0", "1001", "1.5", "nan", "\"5\"", "true", "0x3e9", "99999999999999999999999", "[1]"] {
        assert_eq!(wrong(&format!("limit = {value}")), format!("limit is {value}, not a whole number from 1 to 1000"));
    }
    for value in ["-1", "4", "1.0", "\"\""] {
        let expected = format!("min_items is {value}, not a whole number from 0 to 3, the limit of headlines");
        assert_eq!(wrong(&format!("limit = 3\nmin_items = {value}")), expected);
    }
    for value in ["600", "\"soon\"", "\"-1h\"", "1.5", "true"] {
        let expected = format!("ttl is {value}, not a duration such as \"10m\" or \"1h\"");
        assert_eq!(wrong(&format!("ttl = {value}")), expected);
    }
    assert!(wrong(&format!("limit = \"{}\"", "9".repeat(1000))).len() < 100);
    for (right, expected) in [("0x3e8", 1000), ("1_0", 10), ("+1", 1), ("0b11", 3)] {
        assert_eq!(one(&format!("limit = {right}")).expect("a site").rule.limit, expected, "{right}");
    }
}

#[test]
fn a_color_is_hexadecimal_or_a_name_of_css_and_a_wrong_one_is_a_warning() {
    for (text, color) in [
        ("#cc0000", "#cc0000"),
        ("#CC00aF", "#cc00af"),
        ("#c0f", "#cc00ff"),
        ("red", "#ff0000"),
        ("RebeccaPurple", "#663399"),
    ] {
        assert_eq!(one(&format!("color = \"{text}\"")).expect("a site").color.as_deref(), Some(color), "{text}");
    }
    for wrong in ["", "#", "#12", "#1234", "#12345", "#12345678", "#12345g", "123456", "transparent", "rad", "é"] {
        let text = format!("[[site]]\nname = \"a\"\nurl = \"http://a/\"\ncolor = \"{wrong}\"\n");
        let listed = parse_each(&text).expect("sites");
        let Listed::Usable(site) = &listed[0] else { panic!("{wrong}: {listed:?}") };
        assert_eq!((site.color.as_deref(), site.warnings.len(), site.warnings[0].line), (None, 1, 4), "{wrong}");
        assert_eq!(problems(&text).len(), 1, "{wrong}");
    }
}

#[test]
fn a_fault_of_one_site_is_its_own() {
    let good = |name: &str| format!("[[site]]\nname = \"{name}\"\nurl = \"http://{name}.example/\"\n");
    let cases = [
        "name = \"x\"",
        "url = \"http://x/\"",
        "name = 5\nurl = \"http://x/\"",
        "name = \"x\"\nurl = [1]",
        "name = \"x\"\nurl = \"http://x/\"\nlimit = -1",
        "name = \"x\"\nurl = \"http://x/\"\nlimit = 1.5",
        "name = \"x\"\nurl = \"http://x/\"\nmode = true",
        "name = \"x\"\nurl = \"http://x/\"\ntext = {}",
        "name = \"x\"\nurl = \"http://x/\"\ntext = [1]",
        "name = \"x\"\nurl = \"http://x/\"\nmode = \"feed\"",
        "name = \"x\"\nurl = \"http://x/\"\nfeed = \"no\"\nmode = \"feed\"",
        "name = \"x\"\nurl = \"http://x/\"\nwhatever = 1",
        "name = \"a\"\nurl = \"http://x/\"",
        "name = \"\"\nurl = \"http://x/\"",
        "",
    ];
    for case in cases {
        let text = format!("{}[[site]]\n{case}\n{}", good("a"), good("b"));
        let listed = parse_each(&text).unwrap_or_else(|problems| panic!("{case}: {problems:?}"));
        let usable = listed.iter().filter(|site| matches!(site, Listed::Usable(_))).map(Listed::name);
        assert_eq!(usable.collect::<Vec<_>>(), ["a", "b"], "{case}");
        let Listed::Faulty(site) = &listed[1] else { panic!("{case}") };
        assert!(site.problems.iter().all(|problem| (4..9).contains(&problem.line)), "{case}: {site:?}");
        let is_named = case.contains("\"x\"");
        assert_eq!((site.name.as_str() == "x", site.has_own_name), (is_named, is_named), "{case}: {site:?}");
    }
    for whole in ["[[site]]\nname = \n", "site = 5", "site = [5]", "[[sites]]\n", "x = 1\n"] {
        assert!(parse_each(whole).is_err(), "{whole}");
    }
}

#[test]
fn a_link_is_a_selector_and_an_attribute() {
    for (text, selector, attribute) in [
        ("a@href", Some("a"), "href"),
        ("@data-url", None, "data-url"),
        ("h2 > a", Some("h2 > a"), "href"),
        ("a[title='x@y']@HREF", Some("a[title='x@y']"), "href"),
        ("a[title='x@y']", Some("a[title='x@y']"), "href"),
    ] {
        let site = one(&format!("link = \"{text}\"")).expect("a site");
        assert_eq!(site.rule.link.map(|pattern| pattern.text).as_deref(), selector, "{text}");
        assert_eq!(site.rule.attribute, attribute, "{text}");
    }
}

#[test]
fn the_number_of_sites_is_limited() {
    let sites = |count: usize| -> String {
        (0..count).map(|number| format!("[[site]]\nname = \"{number}\"\nurl = \"http://a/\"\n")).collect()
    };
    assert_eq!(parse(&sites(MAX_SITES)).expect("sites").len(), MAX_SITES);
    assert_eq!(problems(&sites(MAX_SITES + 1)).len(), 1);
    assert!(parse("").expect("no sites").is_empty());
}

#[test]
fn the_example_sites_are_valid() {
    let sites = parse(include_str!("../../examples/sites.toml")).expect("valid");
    assert_eq!(sites.len(), 2);
    assert!(sites.iter().all(|site| site.feed.is_some()));
}

#[test]
fn each_selector_that_is_none_is_refused_in_words_of_our_own() {
    for text in ["", " ", "a >", "a,", ">", "a:nonsense(", "[", "a[", "::", ":is()", "*|*|a", "a!"] {
        let Err(error) = Pattern::new(text) else { continue };
        assert!(
            error.starts_with(&format!("{text:?} is not a CSS selector: ")) && !error.contains("report"),
            "{error}"
        );
    }
    assert_eq!(Pattern::new("").expect_err("none"), "\"\" is not a CSS selector: it is empty");
}
