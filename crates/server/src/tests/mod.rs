//! Tests that need more than the public interface, of modules that the model includes.

mod files;
mod panics;
mod watch;
