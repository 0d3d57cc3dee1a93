//! A sites file of a stranger is read, or its problems have lines.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| switchboard_news::fuzzing::rules(input));
