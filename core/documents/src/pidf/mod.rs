//! PIDF, the Presence Information Data Format (RFC 3863): `application/pidf+xml`.
//!
//! Elements of other namespaces (the data model of RFC 4479, RPID of RFC 4480 and whatever comes) are kept as
//! [`Fragment`](crate::xml::Fragment)s at the three places where the format allows them: in the document, in a tuple and in a status.
//!
//! | file | what |
//! |---|---|
//! | [`document`] | the whole, and what makes it valid |
//! | [`tuple`] | one way to reach the presentity, and its state |
//! | [`contact`] | the address of a tuple, with its priority |
//! | [`note`] | a text for people |
//! | [`timestamp`] | a moment |
//! | [`error`] | why a document isn't valid |

pub mod contact;
pub mod document;
pub mod error;
pub mod note;
pub mod timestamp;
pub mod tuple;

pub use contact::{Contact, Priority};
pub use document::{Pidf, write_head, write_head_in, write_tail};
pub use error::PidfError;
pub use note::Note;
pub use timestamp::Timestamp;
pub use tuple::{Basic, Tuple};

pub const CONTENT_TYPE: &str = "application/pidf+xml";
pub const NAMESPACE: &str = "urn:ietf:params:xml:ns:pidf";

/// The tuples of one document.
pub const MAX_TUPLES: usize = 128;
/// The notes of one document or tuple.
pub const MAX_NOTES: usize = 64;
/// The extension elements of one document, tuple or status.
pub const MAX_EXTENSIONS: usize = 128;
