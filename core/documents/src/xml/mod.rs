//! XML as the presence documents use it (XML 1.0 with namespaces): no document type declarations, no entities besides
//! the five predefined ones, and a named limit for everything that could grow.
//!
//! [`decode`] makes text of octets in UTF-8, UTF-16, ISO-8859-1 or windows-1252. [`Document`] reads a text into a flat table of elements that borrow from it; [`Element`] is a handle to one of
//! them. What a reader doesn't know, it can keep as a [`Fragment`]: a text that stands on its own.

mod document;
mod encoding;
mod fragment;
mod parse;
mod write;

pub use document::{Children, Document, Element, MAX_LANG};
pub use encoding::decode;
pub use fragment::Fragment;
pub use parse::{Limits, REPEATED_FREELY, XmlError};
pub use write::{is_xml_char, push_attribute, push_end_tag, push_start_tag, push_text, push_text_element, push_value};
