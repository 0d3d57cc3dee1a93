use crate::{Hosts, Limits, Services, Token, TokenError};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Who is answered, and within which limits.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Names under which the service may be asked, beside `localhost` and every IP address.
    pub hosts: Hosts,
    /// Other sites whose pages may make requests, as `https://HOST` with a port if it has one; `*` is every site. What a
    /// browser may read of the answers is said by the service, with CORS headers.
    pub origins: Vec<String>,
    /// Other sites whose pages may open WebSockets, in the same form.
    pub socket_origins: Vec<String>,
    /// The token that the operator has chosen; it is asked for at every listener. Without one, a token is read from or
    /// made in `token_file` when the service can be reached from other machines, and asked for beyond loopback only.
    pub token: Option<Token>,
    /// Where a token is kept that nobody has chosen.
    pub token_file: Option<PathBuf>,
    /// Whether `/metrics` is answered without the token.
    pub metrics_open: bool,
    /// Limits of connections, sizes and times.
    pub limits: Limits,
    /// The services of this program, for `/readyz` and `/status`.
    pub services: Services,
}

impl Options {
    /// Makes sure that there is a token if any of these listeners, or a proxy that passes on one of the `hosts`, can be
    /// reached from other machines.
    ///
    /// # Errors
    /// If a token is needed and can be neither read nor made.
    pub fn ensure_token(&mut self, listeners: &[SocketAddr]) -> Result<(), TokenError> {
        let open = !self.hosts.names().is_empty() && !listeners.is_empty()
            || listeners.iter().any(|address| !address.ip().to_canonical().is_loopback());
        if open { self.make_token() } else { Ok(()) }
    }

    /// Reads or makes the token of `token_file`, if there is no token.
    ///
    /// # Errors
    /// If there is no `token_file`, or it cannot be used.
    pub fn make_token(&mut self) -> Result<(), TokenError> {
        if self.token.is_none() {
            let path = self.token_file.as_deref().ok_or(TokenError::Missing)?;
            self.token = Some(Token::load_or_make(path)?);
        }
        Ok(())
    }
}
