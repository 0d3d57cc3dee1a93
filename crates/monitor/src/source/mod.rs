//! Sources of samples, beside HTTP.

pub(crate) mod broker;
pub(crate) mod zmq;
