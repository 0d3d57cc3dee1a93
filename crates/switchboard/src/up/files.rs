//! Open files that the services need for themselves, before anybody connects.

use crate::config::Started;
use anyhow::{Result, anyhow};

/// Files of the program and of a broker: standard streams, the runtime, signals, listeners.
const PROGRAM: u64 = 24;
/// Files of a further service: listeners, its data, its connections to others.
const SERVICE: u64 = 16;
/// Connections without which a start makes no sense.
const CONNECTIONS: u64 = 8;

/// Returns how many files the services need for themselves.
///
/// # Errors
/// So few are allowed that hardly a connection could be accepted.
pub(super) fn needed(started: Started, allowed: u64) -> Result<usize> {
    let Started { broker: _, monitor, rows, news, render } = started;
    let others = [monitor, rows, news, render].iter().filter(|starts| **starts).count();
    let needed = PROGRAM + SERVICE * others as u64;
    let least = needed + CONNECTIONS;
    if allowed < least {
        return Err(anyhow!(
            "this process may open {allowed} files, and needs at least {least}: raise the limit with ulimit -n, or \
             LimitNOFILE= in its unit, or start fewer services"
        ));
    }
    Ok(usize::try_from(needed).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_with_fewer_files_than_the_services_need_is_refused() {
        let broker = Started { broker: true, ..Started::NONE };
        for (started, least) in [(broker, 32), (Started { monitor: true, ..broker }, 48), (Started::ALL, 96)] {
            assert!(needed(started, least - 1).unwrap_err().to_string().contains(&format!("at least {least}:")));
            for allowed in [least, least + 1, u64::MAX] {
                assert_eq!(needed(started, allowed).unwrap() as u64, least - CONNECTIONS);
            }
        }
    }
}
