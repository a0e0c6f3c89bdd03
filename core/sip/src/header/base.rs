//! What all typed headers have in common.

use std::fmt;

use super::HeaderName;

/// A header whose value can be read. Printing is `Display`'s.
pub trait Header<'a>: Sized {
    const NAME: HeaderName;

    /// Reads one value: an item of the list where [`HeaderName::is_list`], else all of the line behind the colon.
    fn parse(value: &'a str) -> Result<Self, HeaderError>;
}

/// A header that can't be read as what its name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderError {
    pub name: HeaderName,
    /// What is wrong, as the end of the sentence "Bad Via: …".
    pub problem: &'static str,
}

impl HeaderError {
    pub const fn new(name: HeaderName, problem: &'static str) -> Self {
        Self { name, problem }
    }
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name {
            HeaderName::Other => write!(f, "bad header: {}", self.problem),
            name => write!(f, "bad {name}: {}", self.problem),
        }
    }
}

impl std::error::Error for HeaderError {}
