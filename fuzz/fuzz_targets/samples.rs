//! Messages of senders: whatever they say, what pages are told of it is well-formed.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| switchboard_monitor::fuzzing::messages(bytes));
