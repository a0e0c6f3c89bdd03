//! Published event state (RFC 3903).
//!
//! | file | what |
//! |---|---|
//! | [`publications`] | the publications of one presentity and their entity tags: initial, refresh, modify, remove |
//! | [`content`] | one publication |
//! | [`space`] | the limit on their octets |

pub mod content;
pub mod publications;
pub mod space;

pub use content::{Asked, Content, Publication, Publish, Published};
pub use publications::{MAX_PUBLICATIONS, Publications};
pub use space::{Room, Space};

/// Most octets of a published body, both as received and as UTF-8. A longer one is answered 413.
pub const MAX_BODY: usize = 64 * 1024;
