//! A real Chromium, and a collector that can be stopped. Nothing here outlives its test.

#![allow(dead_code, reason = "not every test uses everything")]
#![allow(unused_imports, reason = "not every test uses everything")]

mod asks;
mod chromium;
mod collector;

pub(crate) use asks::{
    BLUE, CPU, ESCAPE, LEFT, LIVE, MEMORY, RIGHT, STATE, cell, columns, differs, equals, pixels, pixels_above,
};
pub(crate) use chromium::{Browser, Look};
pub(crate) use collector::{Collector, Sender, blue, orange, past, sample};

use std::time::Duration;

/// How long something may take that will happen. Nothing is ever waited for as long as this.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
