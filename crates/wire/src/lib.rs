//! The codecs of the protocols that Switchboard speaks: bytes to frames, and frames to bytes.
//!
//! Nothing here reads a socket, waits, or keeps time: a caller brings the bytes that it has, and is
//! told which frames are in them. Nothing here knows of brokers either, of topics, queues or
//! subscriptions: what a frame means is decided by whoever asked for it. So a server, a client, a
//! simulator and a fuzzer can all use the same code.

pub mod native;
pub mod stomp;
pub mod websocket;
pub mod zmtp;
