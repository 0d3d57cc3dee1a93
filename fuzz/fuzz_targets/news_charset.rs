//! Bytes become text, and compressed ones stay within their limit.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| switchboard_news::fuzzing::charset(input));
