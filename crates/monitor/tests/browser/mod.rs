//! A collector that can be stopped, and questions to its page. Nothing here outlives its test.

#![allow(dead_code, reason = "not every test uses everything")]
#![allow(unused_imports, reason = "not every test uses everything")]

mod asks;
mod collector;

pub(crate) use asks::{BLUE, CPU, LIVE, MEMORY, STATE, UP, cell, columns, differs, equals, pixels, pixels_above, plot};
pub(crate) use collector::{Collector, Sender, blue, orange, past, sample};
pub(crate) use switchboard_browser_test::key::{ESCAPE, LEFT, RIGHT};
pub(crate) use switchboard_browser_test::{Browser, Look, PATIENCE, TOP_OF_LINKS};
