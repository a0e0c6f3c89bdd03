//! From the host of a URI to addresses (the A and AAAA part of RFC 3263 §4.2).

use std::net::{IpAddr, SocketAddr};
use std::sync::LazyLock;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::future::Cache;
use smallvec::SmallVec;

use crate::under_way::Counted;

/// Names whose addresses, or their absence, are remembered.
const MAX_CACHED_NAMES: u64 = 10_000;
/// How long addresses of a name are used without asking again.
const CACHE_TIME: Duration = Duration::from_secs(60);
/// How long a name without addresses is not asked for again.
const ABSENT_TIME: Duration = Duration::from_secs(5);
/// Names that are looked up at a time: each takes a thread for as long as the system's resolver takes.
const MAX_LOOKUPS: usize = 128;

/// Addresses of a host, in the order to try them.
pub type Addresses = SmallVec<[IpAddr; 2]>;

/// Why a name has led to no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResolveError {
    NoAddress,
    /// [`MAX_LOOKUPS`] others are being looked up.
    Overloaded,
}

static RESOLVER: LazyLock<Resolver> = LazyLock::new(Resolver::default);

/// Looks a host name up with the system's resolver, in any case only once at a time.
pub async fn resolve(host: &str) -> Result<Addresses, ResolveError> {
    RESOLVER.resolve(host, look_up).await
}

/// Empty for a name without addresses.
async fn look_up(name: String) -> Addresses {
    match tokio::net::lookup_host((name, 0)).await {
        Ok(found) => found.map(|address| address.ip()).collect(),
        Err(_) => Addresses::new(),
    }
}

struct Resolver {
    cache: Cache<String, Addresses>,
    under_way: AtomicUsize,
}

impl Default for Resolver {
    fn default() -> Self {
        let cache = Cache::builder().max_capacity(MAX_CACHED_NAMES).expire_after(Lifetimes).build();
        Self { cache, under_way: AtomicUsize::new(0) }
    }
}

impl Resolver {
    async fn resolve<F: Future<Output = Addresses>>(
        &self,
        host: &str,
        look_up: impl FnOnce(String) -> F,
    ) -> Result<Addresses, ResolveError> {
        let name = host.to_ascii_lowercase();
        let found = self.cache.try_get_with_by_ref(name.as_str(), async {
            let counted = Counted::new(&self.under_way);
            if counted.place >= MAX_LOOKUPS {
                return Err(ResolveError::Overloaded);
            }
            Ok(look_up(name.clone()).await)
        });
        match found.await {
            Ok(addresses) if addresses.is_empty() => Err(ResolveError::NoAddress),
            Ok(addresses) => Ok(addresses),
            Err(error) => Err(*error),
        }
    }
}

/// Addresses live longer in the cache than their absence.
struct Lifetimes;

impl Expiry<String, Addresses> for Lifetimes {
    fn expire_after_create(&self, _: &String, addresses: &Addresses, _: Instant) -> Option<Duration> {
        Some(if addresses.is_empty() { ABSENT_TIME } else { CACHE_TIME })
    }
}

/// The first of `addresses` that a listener of the right family could send to.
pub(crate) fn first_reachable(addresses: &Addresses, port: u16, v4: bool, v6: bool) -> Option<SocketAddr> {
    let usable = |address: &&IpAddr| if address.is_ipv4() { v4 } else { v6 };
    addresses.iter().find(usable).map(|address| SocketAddr::new(*address, port))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::{pending, ready};

    use futures_util::FutureExt;
    use futures_util::future::join;

    use super::*;

    fn address() -> Addresses {
        Addresses::from_iter([IpAddr::from([192, 0, 2, 1])])
    }

    #[tokio::test]
    async fn a_name_is_looked_up_once_whoever_asks() {
        let (resolver, count) = (Resolver::default(), Cell::new(0));
        let look_up = |_| async {
            count.set(count.get() + 1);
            tokio::task::yield_now().await;
            address()
        };
        let both = join(resolver.resolve("Example.COM", look_up), resolver.resolve("example.com", look_up));
        assert_eq!(both.await, (Ok(address()), Ok(address())));
        assert_eq!(resolver.resolve("example.com", look_up).await, Ok(address()));
        assert_eq!(count.get(), 1);
    }

    #[tokio::test]
    async fn a_name_without_addresses_is_not_asked_for_at_once_again() {
        let (resolver, count) = (Resolver::default(), Cell::new(0));
        let look_up = |_| {
            count.set(count.get() + 1);
            ready(Addresses::new())
        };
        for _ in 0..3 {
            assert_eq!(resolver.resolve("example.invalid", look_up).await, Err(ResolveError::NoAddress));
        }
        assert_eq!(count.get(), 1);
    }

    #[tokio::test]
    async fn no_more_than_the_limit_is_looked_up_at_a_time() {
        let resolver = Resolver::default();
        let names: Vec<String> = (0..MAX_LOOKUPS).map(|n| format!("{n}.example.com")).collect();
        let mut waiting: Vec<_> = names.iter().map(|name| Box::pin(resolver.resolve(name, |_| pending()))).collect();
        assert!(waiting.iter_mut().all(|waiting| waiting.now_or_never().is_none()));
        let one_more = resolver.resolve("more.example.com", |_| ready(address()));
        assert_eq!(one_more.await, Err(ResolveError::Overloaded));
        drop(waiting);
        assert_eq!(resolver.resolve("more.example.com", |_| ready(address())).await, Ok(address()));
    }
}
