//! Names to addresses: the seam at which tests rebind a name.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;

/// Addresses that are being looked up.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Looks names up.
pub trait Resolver: Send + Sync {
    /// The addresses of a name, best first.
    fn resolve<'a>(&'a self, name: &'a str, limit: Duration) -> Resolving<'a>;
}

/// The system's resolver.
#[derive(Clone, Copy, Debug)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str, limit: Duration) -> Resolving<'a> {
        Box::pin(async move {
            let found = switchboard_driver::resolve(name, 80, limit).await?;
            Ok(found.iter().map(SocketAddr::ip).collect())
        })
    }
}
