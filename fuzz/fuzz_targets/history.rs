//! Files of the monitor's history: whatever is in them, they are read without harm, and what is read is
//! written as something that reads the same again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use switchboard_monitor::fuzzing;

fuzz_target!(|input: (u8, &[u8])| {
    let (which, bytes) = input;
    match which % 4 {
        0 => fuzzing::rows(bytes),
        1 => fuzzing::minutes(bytes),
        2 => fuzzing::points(bytes),
        _ => fuzzing::file(bytes),
    }
});
