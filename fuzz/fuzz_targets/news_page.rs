//! A hostile page gives headlines of the web, in one line each, or an error.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| switchboard_news::fuzzing::page(input));
