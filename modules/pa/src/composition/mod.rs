//! One document of what many say.

pub mod part;

pub use part::{Part, fingerprint, union};
