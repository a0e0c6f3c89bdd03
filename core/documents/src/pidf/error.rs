//! Why a document isn't valid, and the checks that many elements share.

use super::{MAX_EXTENSIONS, NAMESPACE};
use crate::xml::{Element, Fragment, XmlError};

/// Why a document is invalid. The texts are short enough for a reason phrase or a Warning header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PidfError {
    #[error(transparent)]
    Xml(#[from] XmlError),
    #[error("the root element is not <presence> of {NAMESPACE}")]
    Root,
    #[error("<presence> has no entity")]
    Entity,
    #[error("a tuple has no id")]
    TupleId,
    #[error("two tuples have the same id")]
    SameTupleId,
    #[error("a tuple has no status, or an empty one")]
    Status,
    #[error("<{0}> stands twice")]
    Twice(&'static str),
    #[error("a basic status is neither open nor closed")]
    Basic,
    #[error("too many elements <{0}>")]
    TooMany(&'static str),
}

pub(super) fn set_once<T>(slot: &mut Option<T>, value: T, name: &'static str) -> Result<(), PidfError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(PidfError::Twice(name)),
    }
}

pub(super) fn push_bounded<T>(list: &mut Vec<T>, value: T, limit: usize, name: &'static str) -> Result<(), PidfError> {
    if list.len() >= limit {
        return Err(PidfError::TooMany(name));
    }
    list.push(value);
    Ok(())
}

pub(super) fn push_extension(list: &mut Vec<Fragment>, element: Element<'_>) -> Result<(), PidfError> {
    if list.len() >= MAX_EXTENSIONS {
        return Err(PidfError::TooMany("extension"));
    }
    list.push(element.to_fragment()?);
    Ok(())
}
