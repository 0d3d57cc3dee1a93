//! Promises of the documents, and the tests that hold them.

use std::path::{Path, PathBuf};

/// Sentences of documents, as they stand there, each with its tests.
const PROMISES: &[(&str, &[&str])] = &[
    // The guard.
    (
        "resolves a name once, refuses addresses that are not of the public internet, and dials the address that it checked",
        &[
            "a_name_that_is_rebound_is_looked_up_once_for_each_connection",
            "every_block_is_refused_from_its_first_to_its_last_address_and_no_further",
            "an_ipv6_address_that_contains_an_ipv4_address_is_not_global",
            "what_is_not_unicast_of_the_internet_is_not_global",
            "an_odd_spelling_of_loopback_is_refused_without_a_look_up",
            "of_mixed_addresses_only_the_global_ones_are_dialed",
            "a_redirect_to_a_private_address_or_another_scheme_is_refused",
        ],
    ),
    ("refuses ports of other protocols", &["a_port_of_another_protocol_is_refused_at_a_global_address"]),
    (
        "A site in your own network needs an exact exception",
        &["an_allowed_pair_is_dialed_and_its_neighbors_are_not", "what_is_no_host_and_port_is_refused"],
    ),
    (
        "Everything that a page loads passes a proxy that refuses addresses which are not of the public internet",
        &[
            "nothing_private_is_reached",
            "no_local_page_is_reached_from_a_page",
            "a_name_that_is_rebound_reaches_nothing_private",
            "whatever_is_not_global_and_not_allowed_is_refused_with_the_reason",
            "a_chromium_of_others_is_used_and_its_pages_pass_the_guard",
        ],
    ),
    ("QUIC and WebRTC find no way beside it.", &["web_rtc_and_quic_send_nothing_beside_the_proxy"]),
    (
        "so root's Chromium runs as the user `nobody`",
        &["every_page_is_rendered_in_the_sandbox", "without_a_sandbox_it_refuses_unless_it_is_told"],
    ),
    // Politeness.
    (
        "Sites are asked politely: by robots.txt",
        &[
            "robots_txt_is_kept_to_at_every_hop",
            "an_unreadable_robots_txt_forbids_everything",
            "robots_txt_counts_where_its_redirects_lead_and_counts_for_nothing_if_they_lead_nowhere",
            "the_rules_for_this_robot_count_before_those_for_all",
            "the_delay_that_robots_txt_asks_for_counts_if_it_is_longer",
        ],
    ),
    (
        "one request a host at a time (whatever its scheme and port) with a second between pages",
        &[
            "one_origin_gets_one_request_at_a_time",
            "the_ports_of_one_host_share_its_turn_and_its_pause",
            "a_page_waits_for_the_rest_of_the_delay_and_robots_txt_counts_for_none",
            "a_page_whose_fetch_is_given_up_counts_for_the_delay",
        ],
    ),
    (
        "with `ETag` and `Last-Modified`",
        &["a_page_that_has_not_changed_is_not_sent_again", "a_version_of_one_way_is_no_version_of_another"],
    ),
    ("by an honest User-Agent", &["a_page_is_fetched_after_robots_txt_under_an_honest_name"]),
    (
        "one that answers 429 or 503 is left alone for as long as its `Retry-After` says, at most a day, also over a restart",
        &[
            "a_host_that_asks_to_be_left_alone_is_asked_once",
            "seconds_and_dates_are_understood_and_bounded",
            "the_pause_is_at_least_what_the_host_asks_for_also_over_a_restart",
            "the_host_is_left_alone_until_the_next_attempt_and_no_longer",
            "a_refresh_asks_nothing_while_the_host_asks_to_be_left_alone",
            "a_host_that_refuses_a_rendered_page_is_left_alone_for_its_retry_after",
        ],
    ),
    (
        "After a failure a site is tried again after 1 min, doubling up to `ttl`",
        &["the_interval_is_the_ttl_and_shorter_after_failures", "without_a_time_the_pause_doubles_up_to_a_day"],
    ),
    // Bad sites.
    (
        "asks each site in a task of its own, so none delays another",
        &[
            "a_bad_site_says_why_and_delays_no_other",
            "a_server_that_hangs_or_drips_ends_at_the_time_out_and_others_are_not_delayed",
            "a_rendered_page_that_never_loads_leaves_time_for_the_next_one",
        ],
    ),
    (
        "Every answer is bounded in time, in bytes as sent and as decompressed, and in redirects; an error names the address.",
        &[
            "the_limits_of_a_body_are_exact",
            "a_bomb_ends_at_the_limit",
            "redirects_are_followed_up_to_the_limit",
            "a_hostile_server_ends_with_an_error_that_names_the_address",
        ],
    ),
    (
        "finds the encoding as browsers do: mark, header, `meta`, guess",
        &["a_mark_wins_over_the_header_over_meta_over_the_guess", "no_bytes_make_it_fail"],
    ),
    (
        "A page has at most 300,000 elements and 5 s",
        &[
            "a_page_over_the_limit_of_elements_is_refused",
            "a_slow_selector_on_a_page_made_for_it_ends",
            "broken_html_is_read_as_browsers_read_it",
            "nesting_costs_no_stack_and_hostile_nesting_ends",
        ],
    ),
    (
        "An alert box is answered, a download refused, and a page that takes too much memory",
        &[
            "headlines_that_only_scripts_show_are_rendered",
            "a_hostile_page_ends_with_an_error_that_names_it",
            "a_page_that_takes_too_much_memory_is_ended_and_nothing_else",
        ],
    ),
    (
        "A reason that is a time-out names the step that was not done",
        &[
            "a_site_that_is_late_shows_the_step_its_address_and_the_time",
            "a_late_page_names_its_step_through_the_service_and_on_the_page",
        ],
    ),
    // Rendering.
    (
        "the page after its scripts have run",
        &[
            "headlines_that_only_scripts_show_are_rendered",
            "headlines_that_only_scripts_show_stand_on_the_page",
            "a_page_that_grows_as_it_is_scrolled_shows_what_its_viewport_asks_for",
            "a_page_that_is_never_idle_is_rendered",
        ],
    ),
    (
        "a context a page: no cookie outlives its page",
        &["no_cookie_outlives_its_page", "every_context_is_disposed_of", "many_pages_leave_no_context_file_or_process"],
    ),
    (
        "It is replaced by count, age and memory",
        &[
            "chromium_is_replaced_after_its_pages",
            "chromium_is_replaced_at_its_age_and_for_its_memory_while_its_pages_end_well",
        ],
    ),
    (
        "started again with a growing pause when it dies or opens no page for 10 s (the log says so), and ended after \
         `idle` (1 min) without work",
        &[
            "one_that_opens_no_page_is_replaced",
            "one_that_always_ends_is_started_less_and_less_often",
            "one_that_dies_with_each_page_is_started_less_and_less_often",
            "chromium_ends_without_work_and_comes_back_with_it",
            "one_that_idles_takes_next_to_no_processor",
        ],
    ),
    (
        "no process and no directory 5 s after any end of the program, SIGKILL included",
        &["nothing_is_left_when_this_program_is_killed", "nothing_is_left_after_the_end"],
    ),
    (
        "A giant page suffers alone",
        &[
            "a_giant_page_suffers_alone_and_its_error_names_it_and_the_limit",
            "a_message_over_the_limit_fails_its_call_alone_however_it_is_cut",
            "the_crash_of_a_tab_is_an_error_at_once_and_others_go_on",
        ],
    ),
    (
        "Without a Chromium, feeds and plain pages work",
        &["a_missing_chromium_breaks_no_rule_and_a_reason_stands_once", "a_missing_chromium_is_named_with_its_remedy"],
    ),
    (
        "429 and 503 have `Retry-After`",
        &[
            "what_finds_no_room_gets_429_with_a_time",
            "the_death_of_chromium_is_503_with_a_time_and_the_next_page_is_rendered",
        ],
    ),
    ("Errors are Splash's JSON", &["errors_are_splashs", "json_counts_more_than_the_query_and_is_an_object"]),
    // The page.
    (
        "The page answers at once from the last good result and fills in while sites answer.",
        &[
            "a_page_is_the_same_whether_it_is_answered_at_once_or_by_the_router",
            "a_headline_that_comes_is_shown_without_a_reload",
            "the_page_fills_in_live_under_its_policy_in_a_browser",
            "hostile_headlines_are_escaped_everywhere",
            "a_link_is_absolute_canonical_and_of_the_web",
        ],
    ),
    (
        "sorted by their text, without duplicates",
        &[
            "sites_stand_on_one_page_sorted_without_repetitions_and_filtered",
            "the_first_of_equal_addresses_or_titles_stays_and_titles_are_sorted",
        ],
    ),
    (
        "once for all requests that come meanwhile, and none within 10 s of the last attempt or while its host asks to be left alone",
        &[
            "a_refresh_joins_the_attempt_that_runs_and_a_flood_costs_a_site_one_request",
            "a_refresh_asks_nothing_within_ten_seconds_of_the_last_attempt",
        ],
    ),
    (
        "A change of the file is in force within seconds, without a restart.",
        &[
            "a_change_of_the_file_is_in_force_and_a_problem_changes_nothing_but_is_shown",
            "a_fault_in_one_table_stops_that_site_alone_and_keeps_its_headlines",
        ],
    ),
    // State.
    (
        "The last good headlines stay on the page in every state, and over restarts.",
        &[
            "a_broken_rule_is_told_once_and_so_is_its_repair_and_the_headlines_stay",
            "an_unchanged_page_is_asked_for_by_its_tag_also_after_a_restart",
        ],
    ),
    (
        "are one small file a site, written aside and renamed",
        &[
            "a_record_is_written_aside_and_the_last_one_stays_whole_until_then",
            "a_damaged_file_is_none_and_a_torn_write_is_removed",
            "a_disk_that_takes_nothing_leaves_the_last_record",
        ],
    ),
    (
        "A rule that breaks, and one that works again, is published once",
        &["what_is_new_is_published_once_and_a_broken_rule_too_over_a_restart"],
    ),
];

const DOCUMENTS: [&str; 3] = ["README.md", "../../docs/news.md", "../../docs/render.md"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All sources but this file, which names every test.
fn sources(folder: &Path, all: &mut String) {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("promises.rs") {
            all.push_str(&read(&path));
        }
    }
}

/// Whether a test has this name: by its attribute, or in the list of a program of its own.
fn is_test(name: &str, sources: &str) -> bool {
    let lines: Vec<&str> = sources.lines().map(str::trim).collect();
    lines.iter().enumerate().any(|(at, line)| {
        let has_attribute = || {
            let mut above = lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
            above.any(|line| line.starts_with("#[test") || line.starts_with("#[tokio::test"))
        };
        let is_listed =
            *line == name || line.contains(&format!("\"{name}\"")) || line.contains(&format!("test!({name})"));
        line.contains(&format!("fn {name}(")) && has_attribute() || is_listed
    })
}

#[test]
fn every_promise_stands_in_a_document_and_has_its_tests() {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let documents = DOCUMENTS.map(|name| words(&read(&root().join(name)))).join("\n");
    let mut all = String::new();
    for folder in ["src", "tests"] {
        sources(&root().join(folder), &mut all);
    }
    for (promise, tests) in PROMISES {
        assert!(documents.contains(promise), "no document says: {promise}");
        assert!(!tests.is_empty(), "no test: {promise}");
        for test in *tests {
            assert!(is_test(test, &all), "there is no test {test}, which holds: {promise}");
        }
    }
}

#[test]
fn a_test_is_told_from_other_functions() {
    let source = "#[test]\nfn a() {}\n#[tokio::test]\n#[ignore]\nasync fn b() {}\nfn c() {}\n  d\nrun.test(\"e\", f())";
    let found = ["a", "b", "c", "d", "e", "f"].map(|name| is_test(name, source));
    assert_eq!(found, [true, true, false, true, true, false]);
}
