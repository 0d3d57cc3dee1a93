//! Where samples come from, beside HTTP.

pub(crate) mod broker;
pub(crate) mod zmq;
