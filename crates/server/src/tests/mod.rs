//! Tests of modules that the model includes, too.

mod watch;
