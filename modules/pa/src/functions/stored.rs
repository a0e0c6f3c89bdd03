//! The longest texts of a SUBSCRIBE that are kept, in memory and in the database. A longer text is refused with 413, as
//! in the registrar. In URIs, octets that are not UTF-8 are escaped (RFC 3261 §19.1.4). In texts that have no escapes
//! they are refused.

use signalbox_sip::dialog::Dialog;
use signalbox_sip::header::{Contact, HeaderName};
use signalbox_sip::message::Message;
use signalbox_sip::uri::NameAddr;

use crate::rejection::Rejection;

/// Octets of a URI: From, To, Contact, the presentity's address of record.
pub(crate) const MAX_URI: usize = 512;
/// Octets of a display name as it is written.
pub(crate) const MAX_DISPLAY_NAME: usize = 256;
/// Octets of a Call-ID.
pub(crate) const MAX_CALL_ID: usize = 256;
/// Octets of a tag.
pub(crate) const MAX_TAG: usize = 128;
/// Octets of all Record-Route values together.
pub(crate) const MAX_ROUTE_SET: usize = 2048;
/// Octets of the parameter `id` of Event.
pub(crate) const MAX_EVENT_ID: usize = 64;
/// Octets of the Content-Type of a published document.
pub(crate) const MAX_CONTENT_TYPE: usize = 256;
/// Most octets of a subscription in the database: all of these and the names of the headers. A larger one is not
/// restored at the start.
pub(crate) const MAX_DIALOG: usize =
    4 * MAX_URI + MAX_DISPLAY_NAME + MAX_CALL_ID + 2 * MAX_TAG + MAX_ROUTE_SET + MAX_EVENT_ID + 1024;

/// Checks a SUBSCRIBE that makes a subscription, and returns how many octets of it are kept.
pub(crate) fn check_new(request: &Message, dialog: &Dialog, texts: (&str, &str)) -> Result<u32, Rejection> {
    let (aor, event_id) = texts;
    // The Contact of a refresh may be longer than this one.
    let contact_to_come = MAX_URI.saturating_sub(dialog.remote_target.len());
    let from = request.value(HeaderName::From).and_then(|from| NameAddr::parse(from).ok());
    let display = from.and_then(|from| from.display).unwrap_or_default();
    check_ascii("Bad Call-ID", &dialog.id.call_id)?;
    check_ascii("Bad Tag", &dialog.id.remote_tag)?;
    check_ascii("Bad Event Header", event_id)?;
    sum([
        ("Call-ID", dialog.id.call_id.len(), MAX_CALL_ID),
        ("Tag", dialog.id.remote_tag.len(), MAX_TAG),
        ("From", dialog.remote_uri.len(), MAX_URI),
        ("Display Name", display.len(), MAX_DISPLAY_NAME),
        ("To", dialog.local_uri.len(), MAX_URI),
        ("Request-URI", aor.len(), MAX_URI),
        ("Contact", dialog.remote_target.len(), MAX_URI),
        ("Record-Route", dialog.route_set.as_str().len(), MAX_ROUTE_SET),
        ("Event", event_id.len(), MAX_EVENT_ID),
    ])
    .map(|octets| octets + contact_to_come as u32)
}

/// Checks a SUBSCRIBE within a dialog, which brings nothing new but a Contact.
pub(crate) fn check_refresh(request: &Message) -> Result<(), Rejection> {
    let contact = request.header::<Contact<'_>>().and_then(Result::ok).map_or(0, |contact| contact.0.uri.len());
    sum([("Contact", contact, MAX_URI)]).map(drop)
}

/// Checks the texts of a PUBLISH that are kept besides the document.
pub(crate) fn check_publication(aor: &str, content_type: &str) -> Result<(), Rejection> {
    sum([("Request-URI", aor.len(), MAX_URI), ("Content-Type", content_type.len(), MAX_CONTENT_TYPE)]).map(drop)
}

/// RFC 3261 §25.1: Call-IDs, tags and tokens are ASCII. They go out again octet for octet, also after a restart.
fn check_ascii(problem: &'static str, text: &str) -> Result<(), Rejection> {
    if text.is_ascii() { Ok(()) } else { Err(Rejection::Malformed(problem.into())) }
}

fn sum<const N: usize>(texts: [(&'static str, usize, usize); N]) -> Result<u32, Rejection> {
    let mut octets = 0;
    for (name, length, limit) in texts {
        if length > limit {
            return Err(Rejection::TooLong { name, limit });
        }
        octets += length;
    }
    Ok(u32::try_from(octets).unwrap_or(u32::MAX))
}
