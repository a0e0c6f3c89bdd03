//! `presence.winfo` (RFC 3857): who watches a presentity, told to its user.
//!
//! | file | what |
//! |---|---|
//! | [`watchers`] | the watchers of one presentity, and what each recipient has been told of them |
//! | [`row`] | one watcher, and its way through the state machine of RFC 3857 §4.7.1 |
//!
//! There is no `presence.winfo.winfo`: RFC 3857 §3 allows it, and nobody would have a use for it.

pub mod row;
pub mod watchers;

use std::time::Duration;

use bytes::Bytes;

use super::authorization::Authorization;
use super::package::{EventPackage, Notified, Published, Terms};
use super::teller::Teller;
use crate::documents::{Body, DocumentType, Form};
use crate::presentity::Presentity;
use crate::publication::Content;
use crate::rejection::Rejection;

pub use watchers::Watchers;

/// What the name of the observed package gets behind it (RFC 3857 §4.1).
const SUFFIX: &str = ".winfo";

/// The watcher information of one package.
#[derive(Debug)]
pub struct Winfo {
    terms: Terms,
    /// How long somebody for whom nobody has decided is remembered.
    giveup: Duration,
}

impl Winfo {
    /// Watcher information of the package of that name.
    pub fn new(observed: &str, authorization: Authorization, giveup: Duration) -> Self {
        let terms = Terms {
            name: name_for(observed).into(),
            notified: Notified::Types(&[DocumentType::WatcherInfo]),
            published: Published::Nothing,
            authorization,
            observes: Some(observed.into()),
        };
        Self { terms, giveup }
    }
}

/// The name of the package that tells of the subscriptions to another one.
pub fn name_for(observed: &str) -> String {
    [observed, SUFFIX].concat()
}

impl EventPackage for Winfo {
    fn terms(&self) -> &Terms {
        &self.terms
    }

    fn read(&self, _content_type: &str, _body: Bytes, _publisher: u64) -> Result<Content, Rejection> {
        Err(Rejection::NothingPublished)
    }

    fn compose(&self, _presentity: &Presentity, _form: &Form) -> Option<Body> {
        None
    }

    fn teller(&self) -> Option<Box<dyn Teller>> {
        let observed = self.terms.observes.as_deref().unwrap_or_default();
        Some(Box::new(Watchers::new(observed, self.giveup)))
    }
}
