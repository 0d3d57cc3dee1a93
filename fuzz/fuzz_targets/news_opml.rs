//! A list of feeds becomes valid sites, or an error.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| switchboard_news::fuzzing::opml(input));
