//! Typed headers, one file each. A typed header borrows from the message's text, is read when asked for, and
//! prints its value (not its name) by `Display`.

mod base;
mod name;
mod via;

pub use base::{Header, HeaderError};
pub use name::HeaderName;
pub use via::Via;
