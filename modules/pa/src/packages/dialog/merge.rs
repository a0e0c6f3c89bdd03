//! Merges what several publishers say about one dialog.
//!
//! RFC 4235 §4.1.1: an id is "unique amongst all current dialogs at a UA". So the same id from two publishers, such as
//! a phone and its PBX, is the same dialog, and the last publication counts. If their Call-IDs differ, two phones have
//! chosen the same id for different dialogs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use signalbox_documents::dialog_info::Dialog;

use crate::publication::{Content, Publications};

/// The state of one dialog by one publisher.
#[derive(Debug, Clone)]
pub struct Claim {
    content: Arc<Content>,
    /// Its index in the document.
    at: usize,
    /// When the document came.
    pub modified: Instant,
    /// The id of the publication.
    pub publication: u64,
}

impl Claim {
    pub fn dialog(&self) -> &Dialog {
        // Invariant: made only for the places of this document, which does not change.
        &self.content.dialogs[self.at]
    }
}

/// The dialogs of a user, each as it was published last. The order does not depend on which publication changed last.
pub fn merged(publications: &Publications) -> Vec<Claim> {
    let mut by_publisher: Vec<_> = publications.iter().collect();
    by_publisher.sort_by_key(|publication| publication.id);
    let mut merged: Vec<Claim> = Vec::new();
    let mut by_id: HashMap<&str, Vec<usize>> = HashMap::new();
    for publication in by_publisher {
        for (at, dialog) in publication.content.dialogs.iter().enumerate() {
            let claim = Claim {
                content: publication.content.clone(),
                at,
                modified: publication.modified,
                publication: publication.id,
            };
            let same_id = by_id.entry(&dialog.id).or_default();
            match same_id.iter().find(|&&known| are_one(merged[known].dialog(), dialog)) {
                Some(&known) if supersedes(&claim, &merged[known]) => merged[known] = claim,
                Some(_) => {}
                None => {
                    same_id.push(merged.len());
                    merged.push(claim);
                }
            }
        }
    }
    merged
}

/// Within a document the later entry counts.
fn supersedes(claim: &Claim, known: &Claim) -> bool {
    claim.publication == known.publication || claim.modified >= known.modified
}

/// Whether two entries with the same id are one dialog.
pub fn are_one(one: &Dialog, other: &Dialog) -> bool {
    match (&one.call_id, &other.call_id) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    }
}
