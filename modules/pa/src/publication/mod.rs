//! Published event state (RFC 3903).
//!
//! | file | what |
//! |---|---|
//! | [`publications`] | the publications of one presentity and their entity tags: initial, refresh, modify, remove |
//! | [`content`] | one publication |

pub mod content;
pub mod publications;

pub use content::{Asked, Content, Publication, Publish, Published};
pub use publications::{MAX_PUBLICATIONS, Publications};
