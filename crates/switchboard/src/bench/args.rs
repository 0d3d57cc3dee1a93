//! The command line of `bench`.

use crate::cli::{duration, size};
use crate::server_address::Server;
use clap::Args;
use std::time::Duration;
use switchboard_driver::quantity::parse_count;

pub(crate) const EXAMPLES: &str = "\
Examples:
  switchboard bench                              one to one, as fast as it goes
  switchboard bench --subscribers 8 --size 1KiB  one to eight
  switchboard bench --publishers 8 --subscribers 8 --queue
  switchboard bench --rate 100000                latency at a fixed rate
  switchboard bench --server stomp://localhost --queue --prefetch 100";

#[derive(Args, Debug)]
pub(crate) struct Bench {
    #[command(flatten)]
    pub(crate) server: Server,
    /// Connections that publish.
    #[arg(long, allow_hyphen_values = true, value_name = "N", default_value_t = 1, value_parser = connections)]
    pub(crate) publishers: u16,
    /// Connections that subscribe.
    #[arg(long, allow_hyphen_values = true, value_name = "N", default_value_t = 1, value_parser = connections)]
    pub(crate) subscribers: u16,
    /// Over a queue: each message to one subscriber. Otherwise over a topic: each to all.
    #[arg(long)]
    pub(crate) queue: bool,
    /// Ack each message, and let so many wait for that: over STOMP, for a queue [default: no acks].
    #[arg(long, allow_hyphen_values = true, value_name = "N", value_parser = prefetch)]
    pub(crate) prefetch: Option<u32>,
    /// Bytes of a message; 16 at least.
    #[arg(long, allow_hyphen_values = true, value_parser = message, default_value = "128")]
    pub(crate) size: usize,
    /// For how long to publish; more than 0.
    #[arg(long, allow_hyphen_values = true, value_parser = time, default_value = "5")]
    pub(crate) seconds: Duration,
    /// Messages per second, over all publishers [default: as fast as the broker takes them].
    #[arg(long, allow_hyphen_values = true, value_name = "N", value_parser = rate)]
    pub(crate) rate: Option<f64>,
    /// Print the figures as JSON.
    #[arg(long, short = 'j')]
    pub(crate) json: bool,
}

/// The smallest message: its number and its time.
const SMALLEST: usize = 16;

fn message(text: &str) -> Result<usize, String> {
    match size(text)? {
        bytes if bytes < SMALLEST => {
            Err(format!("it must be {SMALLEST} at least: a message has its number and its time"))
        }
        bytes => Ok(bytes),
    }
}

fn time(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("it must be more than 0".to_owned()),
        time => Ok(time),
    }
}

/// A number of connections of `bench`.
fn connections(text: &str) -> Result<u16, String> {
    match u16::try_from(parse_count(text)?) {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("it must be from 1 to {}", u16::MAX)),
    }
}

/// Messages that may wait for their acks.
fn prefetch(text: &str) -> Result<u32, String> {
    match u32::try_from(parse_count(text)?) {
        Ok(messages) if messages > 0 => Ok(messages),
        _ => Err(format!("it must be from 1 to {}", u32::MAX)),
    }
}

/// No broker takes so many messages a second from one machine.
const RATE: f64 = 1e8;

fn rate(text: &str) -> Result<f64, String> {
    // Not `parse` alone, which takes `1e3` and `inf`.
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let rate = text.parse().ok().filter(|&rate: &f64| is_plain && rate > 0.0 && rate <= RATE);
    rate.ok_or_else(|| format!("it must be a number above 0, up to {RATE}, such as 1000 or 0.5"))
}

#[cfg(test)]
mod tests {
    use super::{message, rate, time};
    use std::time::Duration;

    #[test]
    fn sizes_and_times_out_of_bounds_are_refused() {
        assert!(["0", "15", "8"].iter().all(|text| message(text).is_err_and(|error| error.contains("16 at least"))));
        assert_eq!((message("16"), message("4294967295")), (Ok(16), Ok(4_294_967_295)));
        assert!(message("4294967296").is_err());
        assert!(["0", "0s", "0ms"].iter().all(|text| time(text).is_err_and(|error| error.contains("more than 0"))));
        assert_eq!(time("1ms"), Ok(Duration::from_millis(1)));
        assert_eq!(["0.5", "1000", "100000000"].map(rate), [Ok(0.5), Ok(1000.0), Ok(1e8)]);
        for text in ["0", "-1", "1e3", "inf", "nan", "", "100000001", "1.2.3"] {
            assert!(rate(text).is_err_and(|error| error.contains("above 0, up to 100000000")), "{text}");
        }
    }
}
