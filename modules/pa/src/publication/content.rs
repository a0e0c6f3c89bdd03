//! One publication: what a publisher said, until when it holds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use signalbox_documents::dialog_info::Dialog;

use super::Room;
use crate::composition::Part;
use crate::token::Token;

/// What one publisher says about a presentity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// Stays the same while the entity tag changes.
    pub id: u64,
    pub entity_tag: Token,
    pub expires_at: Instant,
    /// When the content came.
    pub modified: Instant,
    pub content: Arc<Content>,
}

/// A published document: as it came, for the database, and as it goes into the composed one.
#[derive(Debug, PartialEq, Eq)]
pub struct Content {
    /// The value of Content-Type.
    pub content_type: Arc<str>,
    pub body: Bytes,
    /// Empty for a package whose documents aren't looked into.
    pub part: Part,
    /// The dialogs in it; only for the package `dialog`.
    pub dialogs: Box<[Dialog]>,
    /// Its share of the [`Space`](super::Space) of all publications; `None` until the agent has taken it.
    pub room: Option<Room>,
}

impl Content {
    /// Octets that it takes: as received, and as written into documents.
    pub fn octets(&self) -> usize {
        // The parsed dialogs take about as much as the published document.
        let dialogs = if self.dialogs.is_empty() { 0 } else { self.body.len() };
        self.content_type.len() + self.body.len() + self.part.octets() + dialogs
    }

    /// Whether watchers would see no difference.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let looked_into = self.part != Part::default() || !self.dialogs.is_empty();
        self.part == other.part
            && self.dialogs == other.dialogs
            && (looked_into || (self.content_type == other.content_type && self.body == other.body))
    }
}

/// A PUBLISH as far as its headers go.
#[derive(Debug, Clone, Copy)]
pub struct Publish<'a> {
    /// The value of SIP-If-Match.
    pub if_match: Option<&'a str>,
    /// The value of Expires.
    pub expires: Option<Duration>,
}

/// A PUBLISH whose headers and body are as they should be.
#[derive(Debug)]
pub struct Asked {
    /// Of the publication: a new one's is new.
    pub id: u64,
    pub expires: Duration,
    pub content: Option<Arc<Content>>,
}

/// An accepted PUBLISH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    pub id: u64,
    pub entity_tag: Token,
    pub expires: Duration,
    /// When the content came.
    pub modified: Instant,
    /// The event state is another than before.
    pub changed: bool,
    /// The document after the request; nothing where it was removed or never stored.
    pub content: Option<Arc<Content>>,
    /// What has to be put back when the change can't be committed: nothing where the publication is new.
    pub previous: Option<Publication>,
}
