//! XML as the presence documents use it (XML 1.0 with namespaces): no document type declarations, no entities
//! beside the five predefined ones, UTF-8 only, and a named limit for everything that could grow.
//!
//! [`Document`] reads a text into a flat table of elements that borrow from it; [`Element`] is a handle to one of
//! them. What a reader doesn't know, it can keep as a [`Fragment`]: a text that stands on its own.

mod document;
mod fragment;
mod parse;
mod write;

pub use document::{Children, Document, Element};
pub use fragment::Fragment;
pub use parse::{Limits, XmlError};
pub use write::{push_attribute, push_end_tag, push_start_tag, push_text, push_text_element, push_value};
