//! `dialog` (RFC 4235): the calls of a user. Phones and a PBX publish them; watchers of the line are told.
//!
//! | file | what |
//! |---|---|
//! | [`dialogs`] | the dialogs of one user, and the changes that each watcher has been told |
//! | [`merge`] | merges what several publishers say about one dialog |
//!
//! RFC 4235 does not mention PUBLISH. A published document is the full state of its publisher, whatever its `state`
//! (RFC 3903 §4.4: a publication is replaced as a whole). So a dialog that is no longer in it has ended.

pub mod dialogs;
pub mod merge;

use bytes::Bytes;
use signalbox_documents::dialog_info::{Dialog, DialogInfo, Participant};
use signalbox_documents::xml::{self, Limits};

use super::authorization::Authorization;
use super::package::{EventPackage, Notified, Published, Terms};
use super::teller::{Teller, Told};
use crate::composition::Part;
use crate::documents::{Body, DocumentType, Form, charset};
use crate::presentity::Presentity;
use crate::publication::{Content, MAX_BODY};
use crate::rejection::Rejection;

pub use dialogs::{Dialogs, EndedLimits};

/// The value of Event.
pub const NAME: &str = "dialog";

/// The package `dialog`.
#[derive(Debug)]
pub struct DialogPackage {
    terms: Terms,
    limits: EndedLimits,
}

impl DialogPackage {
    pub fn new(authorization: Authorization, limits: EndedLimits) -> Self {
        let terms = Terms {
            name: NAME.into(),
            notified: Notified::Types(&[DocumentType::DialogInfo]),
            published: Published::Types(&[DocumentType::DialogInfo]),
            authorization,
            observes: None,
        };
        Self { terms, limits }
    }
}

impl EventPackage for DialogPackage {
    fn terms(&self) -> &Terms {
        &self.terms
    }

    fn read(&self, content_type: &str, body: Bytes, _publisher: u64) -> Result<Content, Rejection> {
        let limits = Limits { bytes: MAX_BODY, ..Limits::default() };
        let text = xml::decode(&body, charset(content_type), &limits);
        let info = text.map_err(Into::into).and_then(|text| DialogInfo::of_text(&text, &limits));
        let mut info = info.map_err(Rejection::BadDialogInfo)?;
        info.dialogs.iter_mut().for_each(without_session_descriptions);
        Ok(Content {
            content_type: content_type.into(),
            body,
            part: Part::default(),
            dialogs: info.dialogs.into(),
            room: None,
        })
    }

    /// The full state, for readers without a subscription.
    fn compose(&self, presentity: &Presentity, _form: &Form) -> Option<Body> {
        // Their age at the time of the last publication.
        let now = presentity.publications.newest()?.modified;
        let mut dialogs = Dialogs::new(self.limits.clone());
        dialogs.published(&presentity.publications, now);
        Some(dialogs.body(Told { aor: &presentity.aor, version: 0, seen: &mut None }, now))
    }

    fn teller(&self) -> Option<Box<dyn Teller>> {
        Some(Box::new(Dialogs::new(self.limits.clone())))
    }
}

/// RFC 4235 §3.3: "Session descriptions are not included unless explicitly requested and explicitly authorized". There
/// is no way to authorize that here.
fn without_session_descriptions(dialog: &mut Dialog) {
    let drop = |participant: &mut Participant| participant.session_description = None;
    dialog.local.iter_mut().chain(&mut dialog.remote).for_each(drop);
}
