//! What tells dialogs apart (RFC 3261 §12: "The dialog ID").

use std::fmt;

use crate::message::Message;

/// Call-ID, local tag and remote tag. A peer that follows RFC 2543 may have no tag; then the remote one is empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DialogId {
    pub call_id: Box<str>,
    pub local_tag: Box<str>,
    pub remote_tag: Box<str>,
}

impl DialogId {
    /// The dialog that a received request belongs to; None when it has no To tag and so is in none (§12.2.2).
    pub fn of_request(request: &Message) -> Option<Self> {
        Some(Self::new(request.call_id(), request.to_tag()?, request.from_tag().unwrap_or_default()))
    }

    /// The dialog that a received response belongs to or creates.
    pub fn of_response(response: &Message) -> Self {
        Self::new(response.call_id(), response.from_tag().unwrap_or_default(), response.to_tag().unwrap_or_default())
    }

    pub fn new(call_id: &str, local_tag: &str, remote_tag: &str) -> Self {
        Self { call_id: call_id.into(), local_tag: local_tag.into(), remote_tag: remote_tag.into() }
    }
}

impl fmt::Display for DialogId {
    /// In the form of Replaces and Target-Dialog (RFC 3891, RFC 4538), seen from here.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};local-tag={};remote-tag={}", self.call_id, self.local_tag, self.remote_tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &[u8] = b"BYE sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/UDP pc;branch=z9hG4bK1\r\n\
        From: <sip:a@example.com>;tag=theirs\r\nTo: <sip:b@example.com>;tag=ours\r\nCall-ID: 1@pc\r\n\
        CSeq: 2 BYE\r\n\r\n";

    #[test]
    fn the_tags_change_places_between_request_and_response() {
        let request = Message::parse(REQUEST).unwrap();
        let id = DialogId::of_request(&request).unwrap();
        assert_eq!(id, DialogId::new("1@pc", "ours", "theirs"));
        assert_eq!(id.to_string(), "1@pc;local-tag=ours;remote-tag=theirs");
        let response = request.reply(200, "OK");
        assert_eq!(DialogId::of_response(&response), DialogId::new("1@pc", "theirs", "ours"));
    }

    #[test]
    fn a_request_without_to_tag_is_in_no_dialog() {
        let text = String::from_utf8_lossy(REQUEST).replace(";tag=ours", "");
        assert_eq!(DialogId::of_request(&Message::parse(text.as_bytes()).unwrap()), None);
    }

    #[test]
    fn a_peer_without_tag_has_an_empty_one() {
        let text = String::from_utf8_lossy(REQUEST).replace(";tag=theirs", "");
        let id = DialogId::of_request(&Message::parse(text.as_bytes()).unwrap()).unwrap();
        assert_eq!(&*id.remote_tag, "");
    }
}
