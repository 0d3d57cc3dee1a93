use super::*;
use crate::site::{Rule, parse};
use url::Url;

fn base() -> Url {
    "https://news.example/front".parse().expect("a URL")
}

fn rule(lines: &str) -> Rule {
    let text = format!("[[site]]\nname = \"a\"\nurl = \"https://news.example/\"\n{lines}\n");
    parse(&text).unwrap_or_else(|problems| panic!("{problems:?}")).remove(0).rule
}

fn example(number: usize) -> Rule {
    parse(include_str!("../../examples/sites.toml")).expect("valid").remove(number).rule
}

fn titles(html: &str, rule: &Rule) -> Vec<String> {
    page(html, &base(), rule).expect("headlines").headlines.into_iter().map(|headline| headline.title).collect()
}

fn left(extraction: &Extraction, start: &str) -> usize {
    let step = extraction.steps.iter().find(|step| step.what.starts_with(start));
    step.unwrap_or_else(|| panic!("no step {start}: {:?}", extraction.steps)).left
}

#[test]
fn the_first_example_takes_own_html_links_that_contain_a_headline() {
    let html = r##"<a href="/a.html"><h3><span class="cd__headline-text">Own story</span></h3></a>
        <a href="/b.html"><span>no headline</span></a>
        <a href="/c.htm"><span class="cd__headline-text">no html</span></a>
        <a href="https://news.example/e.html?x=1"><span class="x cd__headline-text">Own story in full</span></a>
        <a href="https://other.example/d.html"><span class="cd__headline-text">Another host</span></a>"##;
    assert_eq!(titles(html, &example(0)), ["Own story", "Own story in full"]);
}

#[test]
fn the_second_example_takes_links_below_news() {
    let html = r#"<a href="/news/2026/a.html">First</a><a href="/sports/b.html">Other</a><a href="/news/c">No html</a>
        <div><a href="/news/2026/d.html"><h2>Second</h2></a></div>"#;
    assert_eq!(titles(html, &example(1)), ["First", "Second"]);
}

#[test]
fn items_titles_and_links_are_found_apart() {
    let rule = rule("item = \"article\"\ntitle = \"h2\"\nlink = \"a.more@data-url\"");
    let html = r#"<article><h2>One</h2><a href=/x>x</a><a class=more data-url=/1>more</a></article>
        <article><h2>Two</h2></article><article><a class=more data-url=/3></a></article>"#;
    let found = page(html, &base(), &rule).expect("headlines");
    assert_eq!(found.headlines.len(), 1);
    assert_eq!(found.headlines[0].url.as_str(), "https://news.example/1");
    assert_eq!((left(&found, "item"), left(&found, "title"), left(&found, "link")), (3, 2, 1));
}

#[test]
fn filters_and_limit_narrow_and_repetitions_count_once() {
    let rule = rule("text = [\"Rust\", \"c++\"]\ntext_not = \"cobol\"\nlimit = 2");
    let html =
        "<a href=/1>RUST news</a><a href=/1#c>rust again</a><a href=/2>Rust News!</a><a href=/3>Cobol and rust</a>
        <a href=/4>nothing</a><a href=/5>C++ too</a><a href=/6>rust six</a>";
    let found = page(html, &base(), &rule).expect("headlines");
    let titles: Vec<_> = found.headlines.iter().map(|headline| headline.title.as_str()).collect();
    assert_eq!(titles, ["RUST news", "C++ too"]);
    assert_eq!((left(&found, "text"), left(&found, "different"), left(&found, "limit")), (5, 3, 2));
    assert_eq!(found.total, 3);
}

#[test]
fn hostile_text_and_links_become_plain_text_or_nothing() {
    let html = "<a href='javascript:alert(1)'>script</a><a href=/1>a<script>alert(1)</script><b>b</b> &lt;i&gt;</a>
        <a href='java\nscript:x'>split</a><a href=/2> \u{202E} </a><a>no link</a>";
    assert_eq!(titles(html, &rule("")), ["ab <i>"]);
}

#[test]
fn broken_html_is_read_as_browsers_read_it() {
    let html = "<table><tr><td><a href=/1>One<div><a href='/2'>Two</a></td></tr><p></b></a><a href=\"/3\">Three";
    // Elements in an open table outside its cells come before the table.
    assert_eq!(titles(html, &rule("")), ["Three", "One", "Two"]);
    assert!(titles("", &rule("")).is_empty());
}

#[test]
fn the_base_of_a_page_counts_for_its_links() {
    let html = "<base href='/section/'><a href=x>Title</a>";
    let found = page(html, &base(), &rule("")).expect("headlines");
    assert_eq!(found.headlines[0].url.as_str(), "https://news.example/section/x");
}

#[test]
fn a_selector_that_finds_nothing_is_explained() {
    let html = "<main><ul class=list><li><a href=/1>One</a></ul><table id=t><tr><td><a href=/2>Two</a></table></main>";
    for (item, expected) in [
        ("main > ul.lists li a", "\"main > ul.lists\" matches nothing; \"main\" matches 1"),
        ("article a", "\"article\" matches nothing"),
        ("main > tbody > ul a", "\"main > ul a\" matches 1: the table has no tbody"),
        ("#t > tr a", "\"#t > tr\" matches nothing"),
        ("table > tr a", "a table's rows stand in a tbody"),
    ] {
        let found = page(html, &base(), &rule(&format!("item = \"{item}\""))).expect("a page");
        assert!(found.hints.iter().any(|hint| hint.contains(expected)), "{item}: {:?}", found.hints);
    }
    let found = page(html, &base(), &rule("item = \"#t > tbody > tr a\"")).expect("a page");
    assert_eq!((found.headlines.len(), found.hints.len()), (1, 0), "a tbody that was copied from a browser is found");
}

#[test]
fn a_page_over_the_limit_of_elements_is_refused() {
    // With `html`, `head` and `body`. The limit of time is another test's.
    let hour = std::time::Duration::from_hours(1);
    for (count, expected) in
        [(299_996, Ok(299_999)), (299_997, Ok(300_000)), (299_998, Err(ExtractError::TooLarge(300_000)))]
    {
        let html = parse::parse(&"<br>".repeat(count), std::time::Instant::now() + hour, hour).expect("a tree");
        assert_eq!(page::elements(&html).map(|elements| elements.len()), expected, "{count}");
    }
}

#[test]
fn nesting_costs_no_stack_and_hostile_nesting_ends() {
    let html = |depth: usize| format!("{}<a href=/1>deep</a>", "<div>".repeat(depth));
    assert_eq!(titles(&html(1_000), &rule("item = \"a\"")), ["deep"]);
    // Quadratic time in the parser: minutes, if nothing ended it.
    for tag in ["<div>", "<i>"] {
        let error = page(&tag.repeat(500_000), &base(), &rule("")).expect_err(tag);
        assert!(matches!(error, ExtractError::TooSlow(_) | ExtractError::TooLarge(_)), "{tag}: {error}");
    }
}

#[test]
fn a_slow_selector_on_a_page_made_for_it_ends() {
    let html = format!("{}{}", "<i></i>".repeat(20_000), "<div><b></b></div>".repeat(10));
    let rule = rule("item = \"i:has(~ i ~ i ~ i ~ u)\"");
    let result = page(&html, &base(), &rule);
    assert!(matches!(&result, Err(ExtractError::TooSlow(_))) || result.is_ok_and(|found| found.headlines.is_empty()));
}

#[test]
fn every_kind_of_feed_is_read_with_its_dates() {
    let rss = "<?xml version=\"1.0\" encoding=\"iso-8859-1\"?>\n<rss version=\"2.0\"><channel><title>t</title><link>https://news.example/</link>
        <item><title>Caf\u{e9} &amp;amp; <![CDATA[<b>bold</b>]]></title><link>/1?utm_source=rss</link>
        <pubDate>Fri, 27 Nov 2026 01:00:00 GMT</pubDate></item>
        <item><title>bad</title><link>javascript:alert(1)</link></item></channel></rss>";
    let found = feed(rss, &base(), &rule("")).expect("a feed").headlines;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].title.as_str(), found[0].url.as_str()), ("Caf\u{e9} & bold", "https://news.example/1"));
    assert_eq!(found[0].published.map(|date| date.to_string()).as_deref(), Some("2026-11-27T01:00:00Z"));
    let atom =
        "<feed xmlns=\"http://www.w3.org/2005/Atom\"><title>t</title><id>1</id><updated>2026-11-27T01:00:00Z</updated>
        <entry><title>Atom</title><id>2</id><link rel=\"self\" href=\"/self\"/><link rel=\"alternate\" href=\"/2\"/>
        <updated>2026-11-27T01:00:00Z</updated></entry></feed>";
    assert_eq!(feed(atom, &base(), &rule("")).expect("a feed").headlines[0].url.path(), "/2");
    for nonsense in ["", "<html></html>", "{}", "<rss", "\0"] {
        let error = feed(nonsense, &base(), &rule("")).map(|found| found.total);
        assert!(!matches!(error, Ok(1..)), "{nonsense:?}: {error:?}");
    }
}

#[test]
fn an_entry_without_a_link_has_the_address_in_its_guid() {
    let rss = "<rss version=\"2.0\"><channel><title>t</title>
        <item><title>one</title><guid isPermaLink=\"true\"> https://news.example/1 </guid></item>
        <item><title>two</title><guid>https://news.example/2</guid></item>
        <item><title>three</title><guid>https://news.example/guid</guid><link>https://news.example/3</link></item>
        <item><title>none</title><guid isPermaLink=\"false\">4711</guid></item>
        <item><title>tag</title><guid isPermaLink=\"false\">tag:news.example,2026:5</guid></item>
        <item><title>nothing</title></item></channel></rss>";
    let found = feed(rss, &base(), &rule("")).expect("a feed").headlines;
    let paths: Vec<_> = found.iter().map(|headline| headline.url.path()).collect();
    assert_eq!(paths, ["/1", "/2", "/3"]);
}

#[test]
fn a_feed_on_another_host_than_its_links_counts() {
    let rss = "<rss version=\"2.0\"><channel><title>t</title>
        <item><title>Own story</title><link>https://www.news.example/2026/a.html</link></item>
        <item><title>No html</title><link>https://www.news.example/video</link></item></channel></rss>";
    let base = "http://rss.news.example/all.rss".parse().expect("a URL");
    let found = feed(rss, &base, &example(0)).expect("a feed").headlines;
    assert_eq!(found.iter().map(|headline| headline.title.as_str()).collect::<Vec<_>>(), ["Own story"]);
}

#[test]
fn a_feed_counts_its_entries_its_headlines_and_what_the_limit_leaves() {
    let item = |number: usize| format!("<item><title>Title {number}</title><link>/{number}</link></item>");
    let items: String = (0..5).map(item).collect();
    let rss = format!(
        "<rss version=\"2.0\"><channel><title>t</title>{items}<item><title>no link</title></item></channel></rss>"
    );
    let found = feed(&rss, &base(), &rule("limit = 3\ntext_not = \"Title 4\"")).expect("a feed");
    let steps = (left(&found, "entries"), left(&found, "with a text"), left(&found, "limit"));
    assert_eq!((steps, found.headlines.len(), found.total), ((6, 4, 3), 3, 4));
}

#[test]
fn a_suggestion_names_feeds_and_repeated_links() {
    let html =
        "<link rel='alternate' type='application/rss+xml' title='All' href='/rss'><link rel=stylesheet href=/x.css>
        <h3><a href=/world/1>One long headline here</a></h3><h3><a href=/world/2>Two long headlines here</a></h3>
        <a class=card href=/sport/1>A sport headline here</a><a class=card href=/sport/2>Another sport headline here</a>
        <a class=card href=/sport/3>Third sport headline here</a><a href=/about>About</a>";
    let found = suggest(html, &base()).expect("a suggestion");
    assert_eq!(found.feeds.len(), 1);
    assert_eq!(found.feeds[0].1.path(), "/rss");
    let links: Vec<_> =
        found.links.iter().map(|link| (link.item.as_str(), link.link_prefix.as_str(), link.count)).collect();
    assert_eq!(links, [("a.card", "/sport/", 3), ("h3 a", "/world/", 2)]);
}

#[test]
fn the_suggestion_for_a_feed_is_the_feed() {
    let rss = "<?xml version=\"1.0\"?><rss version=\"2.0\"><channel><title>t</title><item><title>a</title>
        <link>/1</link></item></channel></rss>";
    let json = "{\"version\":\"https://jsonfeed.org/version/1.1\",\"title\":\"t\",\"items\":[{\"id\":\"1\",\"url\":\"/1\",\"title\":\"a\"}]}";
    for text in [rss, json] {
        let found = suggest(text, &base()).expect("a suggestion");
        assert_eq!((found.feeds, found.links), (vec![(String::new(), base())], Vec::new()), "{text}");
    }
    assert_eq!(suggest("{}", &base()), Ok(Suggestion::default()));
}

#[test]
fn a_feed_with_the_faults_that_every_reader_forgives_is_read() {
    let base: Url = "http://a.example/".parse().expect("a URL");
    for tag in ["<rss>", "<rss version=\"3.7\">", "<rss version='2.0'>"] {
        let text =
            format!("{tag}<channel><item><title>AT&T wins</title><link>/1?a=1&b=2</link></item></channel></rss>");
        let found = feed(&text, &base, &rule("")).unwrap_or_else(|error| panic!("{tag}: {error}"));
        let [headline] = &found.headlines[..] else { panic!("{tag}: {found:?}") };
        assert_eq!((headline.title.as_str(), headline.url.as_str()), ("AT&T wins", "http://a.example/1?a=1&b=2"));
    }
}

#[test]
fn a_base_of_scripts_or_data_is_ignored() {
    let base: Url = "http://a.example/b/".parse().expect("a URL");
    for href in ["javascript:alert(1)", "data:text/plain,x", "/b/"] {
        let text = format!("<base href='{href}'><a href=c>A headline of a page</a>");
        let found = page(&text, &base, &rule("item = \"a\"")).expect("read");
        assert_eq!(found.headlines[0].url.as_str(), "http://a.example/b/c", "{href}");
    }
}
