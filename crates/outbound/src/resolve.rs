//! Names to addresses, as a seam: tests answer differently the second time.

use std::io;
use std::net::IpAddr;

use ambient::BoxFuture;

/// Resolves host names. [`crate::Dial`] asks once per connection and never for literal addresses.
pub trait Resolve: Send + Sync + 'static {
    /// All addresses of `host`, in the order they should be tried.
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// The operating system's resolver: `/etc/hosts`, search domains and all, as people expect of a cluster's DNS.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}
