//! Addresses: URIs (RFC 3261 §19.1, RFC 3966, RFC 3859, RFC 3860), hosts, addresses of record, and URIs with
//! display name and header parameters. All but [`Aor`] borrow from the text that they were read from.

mod aor;
mod compare;
mod escape;
mod host;
mod name_addr;
mod parse;
#[cfg(test)]
mod properties;
mod request_uri;

pub use aor::Aor;
pub use compare::MAX_PARTS;
pub use escape::{escape_octets, escape_user, unescape, unescape_octets};
pub use host::{Host, HostPort, canonical_domain};
pub use name_addr::{NameAddr, NameAddrError};
pub use parse::{Scheme, Uri, UriError};
