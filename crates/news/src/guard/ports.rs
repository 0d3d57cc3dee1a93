//! Ports that no web server uses.

/// Ports from 1024 on that the Fetch standard blocks: other protocols' servers could take a request for commands.
const BLOCKED: [u16; 16] =
    [1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6667, 6679, 6697, 10080, 11211];

/// Whether a web server may be on this port: 80, 443, or one from 1024 on that no other protocol is known for.
#[must_use]
pub(crate) fn is_web(port: u16) -> bool {
    matches!(port, 80 | 443) || port >= 1024 && !BLOCKED.contains(&port) && !(6665..=6669).contains(&port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_web_port_is_80_443_or_one_beyond_the_system_ports() {
        for port in [80, 443, 1024, 8000, 8080, 8443, 65535, 6664, 6670] {
            assert!(is_web(port), "{port}");
        }
        for port in [0, 1, 21, 22, 25, 79, 81, 442, 444, 587, 1023, 2049, 5060, 6000, 6665, 6669, 11211] {
            assert!(!is_web(port), "{port}");
        }
    }
}
