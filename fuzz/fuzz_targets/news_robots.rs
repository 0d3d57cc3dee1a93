//! A robots.txt is read, whatever is in it.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| switchboard_news::fuzzing::robots(input));
