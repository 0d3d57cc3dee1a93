use http::Uri;
use http::uri::Scheme;
use std::fmt;
use std::str::FromStr;

/// An `http://` or `https://` address with a host. Its `Debug` shows the scheme alone: the rest may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Url(Uri);

/// Why a text is no address. It does not repeat the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Another scheme, or none.
    #[error("an address begins with http:// or https://")]
    Scheme,
    /// `https` in a program without TLS.
    #[error("https:// is not available in this program: it was built without TLS")]
    NoTls,
    /// Nothing stands between the scheme and the path.
    #[error("the address has no host")]
    Host,
    /// The port is no number from 1 to 65535.
    #[error("the port of the address is not a number from 1 to 65535")]
    Port,
    /// `user:password@host`.
    #[error("a user name or password in the address is not supported")]
    User,
    /// A blank, a control character or the like.
    #[error("the address has a character that no address may have")]
    Character,
}

impl Url {
    /// The host, without the brackets of an IPv6 address.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
    }

    /// Whether it begins with `https://`.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.scheme() == Some(&Scheme::HTTPS)
    }

    /// The whole address, which may be a secret.
    #[must_use]
    pub fn reveal(&self) -> String {
        self.0.to_string()
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.0
    }

    /// Takes the host out of a text: errors about certificates contain it.
    pub(crate) fn redact(&self, text: &str) -> String {
        if self.host().is_empty() { text.to_owned() } else { text.replace(self.host(), "its host") }
    }
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Url, UrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        match scheme.to_ascii_lowercase().as_str() {
            "http" => {}
            "https" if cfg!(feature = "tls") => {}
            "https" => return Err(UrlError::NoTls),
            _ => return Err(UrlError::Scheme),
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let authority = &rest[..end];
        if authority.contains('@') {
            return Err(UrlError::User);
        }
        let after_host = match authority.rfind(']') {
            Some(bracket) => &authority[bracket + 1..],
            None => authority.find(':').map_or("", |colon| &authority[colon..]),
        };
        if authority.is_empty() || authority.starts_with(':') {
            return Err(UrlError::Host);
        }
        if !after_host.is_empty() && !after_host.strip_prefix(':').is_some_and(is_port) {
            return Err(UrlError::Port);
        }
        let uri: Uri = text.parse().map_err(|_| UrlError::Character)?;
        if uri.host().is_none_or(str::is_empty) {
            return Err(UrlError::Host);
        }
        Ok(Url(uri))
    }
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://...", self.0.scheme_str().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_checked_when_it_is_parsed() {
        for good in [
            "http://127.0.0.1",
            "http://localhost:1/a?b=c",
            "HTTP://[::1]:65535/",
            "http://example.org?x=1",
            "http://a/b@c:d",
        ] {
            assert!(good.parse::<Url>().is_ok(), "{good}");
        }
        for (bad, why) in [
            ("", UrlError::Scheme),
            ("example.org/x", UrlError::Scheme),
            ("ftp://example.org", UrlError::Scheme),
            ("http://", UrlError::Host),
            ("http:///path", UrlError::Host),
            ("http://:80/", UrlError::Host),
            ("http://a:0/", UrlError::Port),
            ("http://a:65536/", UrlError::Port),
            ("http://a:/", UrlError::Port),
            ("http://a:+80/", UrlError::Port),
            ("http://[::1]x/", UrlError::Port),
            ("http://user:pass@host/", UrlError::User),
            ("http://a/ b", UrlError::Character),
            ("http://a\n/", UrlError::Character),
        ] {
            assert_eq!(bad.parse::<Url>(), Err(why), "{bad:?}");
        }
    }

    #[cfg(feature = "tls")]
    #[test]
    fn https_is_an_address_and_debug_shows_no_more_of_it() {
        let url: Url = "https://hooks.example.org/T0/secret".parse().expect("an address");
        assert_eq!((url.is_https(), url.host()), (true, "hooks.example.org"));
        assert_eq!(format!("{url:?}"), "https://...");
        assert_eq!(url.redact("not valid for hooks.example.org"), "not valid for its host");
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn without_tls_https_is_refused_when_it_is_parsed() {
        assert_eq!("https://hooks.example.org/".parse::<Url>(), Err(UrlError::NoTls));
    }
}
