//! The documents that NOTIFY and PUBLISH carry.
//!
//! | file | what |
//! |---|---|
//! | [`document_type`] | the types that this agent can make, and the choice among them by Accept |
//! | [`form`] | the form that a watcher is given the state in; bodies |

pub mod document_type;
pub mod form;

pub use document_type::{DocumentType, negotiate};
pub use form::{Body, ContentType, Form, charset, essence};
