//! What a presentity is found by.

use crate::packages::PackageId;

/// Whose module feeds the contacts of a presentity: the argument `domain` of the script functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Domain {
    Registrar,
    Jabber,
}

impl Domain {
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Registrar, Self::Jabber].into_iter().find(|domain| domain.as_str() == name)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Registrar => "registrar",
            Self::Jabber => "jabber",
        }
    }
}

/// What a presentity is found by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    pub package: PackageId,
    pub domain: Domain,
    /// The unique id of the user: `avp.uid`, else the address of record.
    pub uid: Box<str>,
}
