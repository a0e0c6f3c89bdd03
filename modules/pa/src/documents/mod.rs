//! The types of documents that NOTIFY and PUBLISH carry, and the choice among them.

pub mod document_type;

pub use document_type::{DocumentType, negotiate};
