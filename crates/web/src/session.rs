//! A browser's login: a cookie that is derived from the token and does not contain it.

use crate::Token;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use subtle::ConstantTimeEq;

/// Time for which a browser stays logged in.
const LIFETIME: Duration = Duration::from_secs(90 * 86_400);

/// The name of the cookie: browsers send the cookies of one port to all others of the host.
pub(crate) fn name(port: u16) -> String {
    format!("switchboard-{port}")
}

/// Returns the header that logs a browser in at this port.
pub(crate) fn set_cookie(token: &Token, port: u16) -> String {
    let expires = seconds(SystemTime::now() + LIFETIME);
    // Lax: a link from another site opens the page, and no other request of that site has the cookie.
    format!(
        "{}={expires}.{}; Path=/; Max-Age={}; HttpOnly; SameSite=Lax",
        name(port),
        seal(token, expires),
        LIFETIME.as_secs()
    )
}

/// Returns true if this value of the cookie was made from the token and has not expired. It stays true over a restart
/// and ends when the token is changed.
pub(crate) fn is_valid(token: &Token, value: &str) -> bool {
    is_valid_at(token, value, seconds(SystemTime::now()))
}

fn is_valid_at(token: &Token, value: &str, now: u64) -> bool {
    let Some((expires, sealed)) = value.split_once('.') else { return false };
    let Ok(expires) = expires.parse::<u64>() else { return false };
    let right: bool = seal(token, expires).as_bytes().ct_eq(sealed.as_bytes()).into();
    right && now < expires && expires <= now.saturating_add(2 * LIFETIME.as_secs())
}

fn seal(token: &Token, expires: u64) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(token.as_str().as_bytes()).expect("HMAC takes keys of any length");
    mac.update(format!("switchboard session until {expires}").as_bytes());
    const_hex::encode(mac.finalize().into_bytes())
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_valid_until_it_expires_and_for_its_token_only() {
        let token = Token::new("0123456789abcdef").unwrap();
        let value = format!("1000.{}", seal(&token, 1000));
        assert!(is_valid_at(&token, &value, 0) && is_valid_at(&token, &value, 999));
        assert!(!is_valid_at(&token, &value, 1000));
        assert!(!is_valid_at(&Token::new("0123456789abcdeg").unwrap(), &value, 0));
        for forged in [
            String::new(),
            ".".into(),
            "0123456789abcdef".into(),
            value.replace("1000", "1001"),
            value.replace("1000", "18446744073709551615"),
            value[..value.len() - 1].into(),
            format!("{value}0"),
        ] {
            assert!(!is_valid_at(&token, &forged, 0), "{forged}");
        }
    }

    #[test]
    fn the_cookie_names_the_port_and_not_the_token() {
        let token = Token::new("0123456789abcdef").unwrap();
        let cookie = set_cookie(&token, 8088);
        assert!(cookie.starts_with("switchboard-8088=") && !cookie.contains(token.as_str()), "{cookie}");
        let (_, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
        assert!(is_valid(&token, value));
    }
}
