//! From the host of a URI to addresses (the A and AAAA part of RFC 3263 §4.2).

use std::net::{IpAddr, SocketAddr};
use std::sync::LazyLock;
use std::time::Duration;

use moka::future::Cache;
use smallvec::SmallVec;

/// Names whose addresses are remembered.
const MAX_CACHED_NAMES: u64 = 10_000;
/// How long addresses of a name are used without asking again.
const CACHE_TIME: Duration = Duration::from_secs(60);

/// Addresses of a host, in the order to try them.
pub type Addresses = SmallVec<[IpAddr; 2]>;

static CACHE: LazyLock<Cache<Box<str>, Addresses>> =
    LazyLock::new(|| Cache::builder().max_capacity(MAX_CACHED_NAMES).time_to_live(CACHE_TIME).build());

/// Looks a host name up with the system's resolver. `None` when it has no address.
pub async fn resolve(host: &str) -> Option<Addresses> {
    let name = host.to_ascii_lowercase();
    if let Some(known) = CACHE.get(name.as_str()).await {
        return Some(known);
    }
    let found: Addresses =
        tokio::net::lookup_host((name.as_str(), 0)).await.ok()?.map(|address| address.ip()).collect();
    if found.is_empty() {
        return None;
    }
    CACHE.insert(name.into_boxed_str(), found.clone()).await;
    Some(found)
}

/// The first of `addresses` that a listener of the right family could send to.
pub(crate) fn first_reachable(addresses: &Addresses, port: u16, v4: bool, v6: bool) -> Option<SocketAddr> {
    let usable = |address: &&IpAddr| if address.is_ipv4() { v4 } else { v6 };
    addresses.iter().find(usable).map(|address| SocketAddr::new(*address, port))
}
