//! Messages of a browser are taken, or ignored.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| switchboard_news::fuzzing::browser(input));
