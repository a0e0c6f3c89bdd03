//! The state of a dialog (RFC 3261 §12.1), how requests within it are made and checked (§12.2).

use std::borrow::Cow;

use super::{DialogId, RouteSet, Sequence};
use crate::header::HeaderName;
use crate::message::Message;
use crate::method::Method;
use crate::uri::{NameAddr, Uri, escape_octets};

/// A dialog, seen from one of its ends. All parts are plain, so that a store can keep and restore them. In URIs, octets
/// that are not UTF-8 are escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialog {
    pub id: DialogId,
    pub phase: Phase,
    /// The URI of the From of requests sent.
    pub local_uri: Box<str>,
    /// The URI of the To of requests sent.
    pub remote_uri: Box<str>,
    /// The URI of the peer's newest Contact.
    pub remote_target: Box<str>,
    pub route_set: RouteSet,
    pub local_cseq: Sequence,
    /// None until the peer has sent a request.
    pub remote_cseq: Option<u32>,
    /// Created over TLS with a SIPS Request-URI, so that the Contact must be a SIPS URI as well.
    pub secure: bool,
}

/// Whether a final response has confirmed the dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    Early,
    Confirmed,
}

/// Why a message creates no dialog or is refused in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialogError {
    #[error("no Contact with a SIP URI")]
    Contact,
    #[error("a Record-Route that is no list of SIP URIs, or too long a one")]
    RecordRoute,
    #[error("no URI in From or To")]
    Address,
    #[error("CSeq {received} after {newest}")]
    OutOfOrder { received: u32, newest: u32 },
}

/// Max-Forwards of requests made here (§8.1.1.6).
const MAX_FORWARDS: &str = "70";

impl DialogError {
    /// The status that refuses a request for this.
    pub fn status(self) -> u16 {
        match self {
            Self::Contact | Self::RecordRoute | Self::Address => 400,
            // §12.2.2: "the request is out of order and MUST be rejected with a 500".
            Self::OutOfOrder { .. } => 500,
        }
    }
}

impl Dialog {
    /// At the side that received a request and answers it with `local_tag` in To (§12.1.1). `tls`: the request came
    /// over TLS. The numbers of [`Dialog::local_cseq`] are volatile; replace it for a dialog that is stored.
    pub fn of_request(request: &Message, local_tag: &str, phase: Phase, tls: bool) -> Result<Self, DialogError> {
        Ok(Self {
            id: DialogId::new(request.call_id(), local_tag, request.from_tag().unwrap_or_default()),
            phase,
            local_uri: address(request, HeaderName::To)?,
            remote_uri: address(request, HeaderName::From)?,
            remote_target: (*contact(request).ok_or(DialogError::Contact)?).into(),
            route_set: RouteSet::of_request(request)?,
            local_cseq: Sequence::volatile(0),
            remote_cseq: Some(request.cseq()),
            secure: tls && is_sips(request.request_uri()),
        })
    }

    /// At the side that sent a request and received a 101 to 299 response with a To tag (§12.1.2). `tls`: the request
    /// went over TLS.
    pub fn of_response(request: &Message, response: &Message, tls: bool) -> Result<Self, DialogError> {
        Ok(Self {
            id: DialogId::of_response(response),
            phase: if response.status() < 200 { Phase::Early } else { Phase::Confirmed },
            local_uri: address(request, HeaderName::From)?,
            remote_uri: address(response, HeaderName::To)?,
            remote_target: (*contact(response).ok_or(DialogError::Contact)?).into(),
            route_set: RouteSet::of_response(response)?,
            local_cseq: Sequence::volatile(request.cseq()),
            remote_cseq: None,
            secure: tls && is_sips(request.request_uri()),
        })
    }

    /// At the side that sent a SUBSCRIBE and received a NOTIFY for it (RFC 6665 §4.4.1): not the 2xx but the NOTIFY
    /// creates the dialog, and the route set is taken from it.
    pub fn of_notify(subscribe: &Message, notify: &Message, tls: bool) -> Result<Self, DialogError> {
        let local_tag = subscribe.from_tag().unwrap_or_default();
        Ok(Self {
            local_cseq: Sequence::volatile(subscribe.cseq()),
            secure: tls && is_sips(subscribe.request_uri()),
            ..Self::of_request(notify, local_tag, Phase::Confirmed, tls)?
        })
    }

    /// A request within the dialog came: checks its CSeq and notes it (§12.2.2). ACK and CANCEL have the number of
    /// another request and are not looked at.
    pub fn on_request(&mut self, request: &Message) -> Result<(), DialogError> {
        if matches!(request.method(), Method::Ack | Method::Cancel) {
            return Ok(());
        }
        let received = request.cseq();
        match self.remote_cseq {
            Some(newest) if received < newest => Err(DialogError::OutOfOrder { received, newest }),
            _ => {
                self.remote_cseq = Some(received);
                Ok(())
            }
        }
    }

    /// The first 2xx to the INVITE of an early dialog: confirms it and takes the route set from it (§13.2.2.4).
    pub fn confirm(&mut self, response: &Message) -> Result<(), DialogError> {
        self.route_set = RouteSet::of_response(response)?;
        self.phase = Phase::Confirmed;
        self.refresh_target(response);
        Ok(())
    }

    /// Takes the remote target from a target refresh request that was accepted (§12.2.2) or from the 2xx to one that
    /// was sent (§12.2.1.2). Says whether it changed.
    pub fn refresh_target(&mut self, message: &Message) -> bool {
        match contact(message) {
            Some(target) if refreshes_target(message.method()) && *target != *self.remote_target => {
                self.remote_target = (*target).into();
                true
            }
            _ => false,
        }
    }

    /// A request within the dialog, without Via, Contact and body (§12.2.1.1). `cseq` comes from
    /// [`Dialog::local_cseq`]; an ACK has that of its INVITE.
    pub fn request(&self, method: &Method, cseq: u32) -> Message {
        let routing = self.route_set.routing(&self.remote_target);
        let mut request = Message::request(method, &routing.request_uri);
        request.push(HeaderName::From, &tagged(&self.local_uri, &self.id.local_tag));
        request.push(HeaderName::To, &tagged(&self.remote_uri, &self.id.remote_tag));
        request.push(HeaderName::CallId, &self.id.call_id);
        request.push(HeaderName::CSeq, &[&cseq.to_string(), " ", method.as_str()].concat());
        request.push(HeaderName::MaxForwards, MAX_FORWARDS);
        if !routing.route.is_empty() {
            request.push(HeaderName::Route, &routing.route);
        }
        request
    }

    /// The URI that requests are sent to: the nearest proxy's, else the remote target.
    pub fn next_hop(&self) -> &str {
        self.route_set.next_hop().unwrap_or(&self.remote_target)
    }
}

/// Requests whose Contact replaces the remote target (§12.2, RFC 3311 §5.1, RFC 6665 §3.1 and §3.2).
pub fn refreshes_target(method: &Method) -> bool {
    matches!(method, Method::Invite | Method::Update | Method::Subscribe | Method::Notify)
}

/// Whether this response to a request within a dialog, or a time-out (408), ends the dialog (§12.2.1.2).
pub fn ends_dialog(status: u16) -> bool {
    matches!(status, 408 | 481)
}

fn address(message: &Message, name: HeaderName) -> Result<Box<str>, DialogError> {
    let value = message.value(name).ok_or(DialogError::Address)?;
    NameAddr::parse(value).map(|address| (*escape_octets(address.uri)).into()).map_err(|_| DialogError::Address)
}

/// The first Contact; §12.1.1: it "MUST be a SIP or SIPS URI".
fn contact(message: &Message) -> Option<Cow<'_, str>> {
    let contact = NameAddr::parse(message.items(HeaderName::Contact).next()?).ok()?;
    let uri = contact.uri().ok().filter(Uri::is_sip)?;
    // §19.1.1, table 1: headers, which a Contact may have, must not go into the Request-URI.
    Some(escape_octets(if uri.headers.is_empty() {
        uri.raw
    } else {
        &uri.raw[..uri.raw.len() - uri.headers.len() - 1]
    }))
}

fn is_sips(uri: &str) -> bool {
    Uri::parse(uri).is_ok_and(|uri| uri.is_sips())
}

fn tagged(uri: &str, tag: &str) -> String {
    if tag.is_empty() { ["<", uri, ">"].concat() } else { ["<", uri, ">;tag=", tag].concat() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscribe(uri: &str, extra: &str) -> Message {
        let text = format!(
            "SUBSCRIBE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP pc;branch=z9hG4bK1\r\n{extra}\
             From: Alice <sip:alice@example.com>;tag=alice\r\nTo: \"Bob\" <sip:bob@example.com>\r\n\
             Call-ID: 1@pc\r\nCSeq: 41 SUBSCRIBE\r\n\r\n"
        );
        Message::parse(text.as_bytes()).unwrap()
    }

    const CONTACT: &str = "Contact: <sip:alice@192.0.2.1;transport=tcp>\r\n";

    fn uas() -> Dialog {
        let request = subscribe("sip:bob@example.com", CONTACT);
        Dialog::of_request(&request, "bob", Phase::Confirmed, false).unwrap()
    }

    fn in_dialog(method: &str, cseq: u32, contact: &str) -> Message {
        let text = format!(
            "{method} sip:bob@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP pc;branch=z9hG4bK2\r\nContact: {contact}\r\n\
             From: <sip:alice@example.com>;tag=alice\r\nTo: <sip:bob@example.com>;tag=bob\r\n\
             Call-ID: 1@pc\r\nCSeq: {cseq} {method}\r\n\r\n"
        );
        Message::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn the_receiver_of_a_request_makes_a_dialog_of_it() {
        let dialog = uas();
        assert_eq!(dialog.id, DialogId::new("1@pc", "bob", "alice"));
        assert_eq!((&*dialog.local_uri, &*dialog.remote_uri), ("sip:bob@example.com", "sip:alice@example.com"));
        assert_eq!(&*dialog.remote_target, "sip:alice@192.0.2.1;transport=tcp");
        assert_eq!((dialog.local_cseq.last(), dialog.remote_cseq), (0, Some(41)));
        assert!(!dialog.secure);
    }

    #[test]
    fn headers_of_a_contact_do_not_get_into_the_request_uri() {
        let request = subscribe("sip:bob@example.com", "Contact: <sip:alice@192.0.2.1;x?Route=%3Csip:evil%3E>\r\n");
        let dialog = Dialog::of_request(&request, "bob", Phase::Confirmed, false).unwrap();
        assert_eq!(dialog.request(&Method::Notify, 1).request_uri(), "sip:alice@192.0.2.1;x");
    }

    #[test]
    fn the_sender_of_a_request_makes_a_dialog_of_the_response() {
        let request = subscribe("sip:bob@example.com", CONTACT);
        let mut response = request.reply(200, "OK");
        response.set_to_tag("bob");
        response.push(HeaderName::Contact, "<sip:bob@192.0.2.2>");
        let dialog = Dialog::of_response(&request, &response, false).unwrap();
        assert_eq!(dialog.id, DialogId::new("1@pc", "alice", "bob"));
        assert_eq!((&*dialog.local_uri, &*dialog.remote_uri), ("sip:alice@example.com", "sip:bob@example.com"));
        assert_eq!(&*dialog.remote_target, "sip:bob@192.0.2.2");
        assert_eq!((dialog.local_cseq.last(), dialog.remote_cseq, dialog.phase), (41, None, Phase::Confirmed));
    }

    #[test]
    fn a_provisional_response_makes_an_early_dialog_and_the_2xx_confirms_it_with_its_own_route_set() {
        let request = subscribe("sip:bob@example.com", CONTACT);
        let mut response = request.reply(183, "Session Progress");
        response.push(HeaderName::Contact, "<sip:bob@192.0.2.2>");
        response.push(HeaderName::RecordRoute, "<sip:p1;lr>");
        let mut dialog = Dialog::of_response(&request, &response, false).unwrap();
        assert_eq!((dialog.phase, dialog.next_hop()), (Phase::Early, "sip:p1;lr"));
        let mut last = request.reply(200, "OK");
        last.push(HeaderName::Contact, "<sip:bob@192.0.2.3>");
        dialog.confirm(&last).unwrap();
        assert_eq!((dialog.phase, dialog.next_hop()), (Phase::Confirmed, "sip:bob@192.0.2.3"));
    }

    #[test]
    fn the_dialog_of_a_subscriber_comes_from_the_notify() {
        let request = subscribe("sip:bob@example.com", CONTACT);
        let text = "NOTIFY sip:alice@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP pc;branch=z9hG4bK2\r\n\
            Record-Route: <sip:p1;lr>, <sip:p2;lr>\r\nContact: <sip:bob@192.0.2.2>\r\n\
            From: <sip:bob@example.com>;tag=fork\r\nTo: <sip:alice@example.com>;tag=alice\r\n\
            Call-ID: 1@pc\r\nCSeq: 9 NOTIFY\r\n\r\n";
        let notify = Message::parse(text.as_bytes()).unwrap();
        let dialog = Dialog::of_notify(&request, &notify, false).unwrap();
        assert_eq!(dialog.id, DialogId::new("1@pc", "alice", "fork"));
        assert_eq!((dialog.local_cseq.last(), dialog.remote_cseq), (41, Some(9)));
        assert_eq!((&*dialog.local_uri, dialog.next_hop()), ("sip:alice@example.com", "sip:p1;lr"));
    }

    #[test]
    fn it_is_secure_only_over_tls_with_a_sips_uri() {
        for (uri, tls, secure) in [
            ("sips:bob@example.com", true, true),
            ("sips:bob@example.com", false, false),
            ("sip:bob@example.com", true, false),
        ] {
            let dialog = Dialog::of_request(&subscribe(uri, CONTACT), "bob", Phase::Early, tls).unwrap();
            assert_eq!(dialog.secure, secure, "{uri} {tls}");
        }
    }

    #[test]
    fn without_a_contact_that_can_be_reached_there_is_no_dialog() {
        for extra in ["", "Contact: *\r\n", "Contact: <tel:+4930123>\r\n", "Contact: <sip:>\r\n"] {
            let request = subscribe("sip:bob@example.com", extra);
            let dialog = Dialog::of_request(&request, "bob", Phase::Confirmed, false);
            assert_eq!(dialog, Err(DialogError::Contact), "{extra}");
        }
        assert_eq!(DialogError::Contact.status(), 400);
    }

    #[test]
    fn a_request_in_the_dialog_goes_from_local_to_remote() {
        let mut dialog = uas();
        dialog.route_set = RouteSet::parse("<sip:p1;lr>").unwrap();
        let cseq = dialog.local_cseq.take().unwrap();
        let text = String::from_utf8(dialog.request(&Method::Notify, cseq).to_bytes()).unwrap();
        assert_eq!(
            text,
            "NOTIFY sip:alice@192.0.2.1;transport=tcp SIP/2.0\r\nFrom: <sip:bob@example.com>;tag=bob\r\n\
             To: <sip:alice@example.com>;tag=alice\r\nCall-ID: 1@pc\r\nCSeq: 1 NOTIFY\r\nMax-Forwards: 70\r\n\
             Route: <sip:p1;lr>\r\nContent-Length: 0\r\n\r\n"
        );
    }

    #[test]
    fn a_tag_that_is_null_is_left_out() {
        let mut dialog = uas();
        dialog.id.remote_tag = "".into();
        assert_eq!(dialog.request(&Method::Notify, 1).value(HeaderName::To), Some("<sip:alice@example.com>"));
    }

    #[test]
    fn a_lower_cseq_is_refused_with_500_and_gaps_are_allowed() {
        let mut dialog = uas();
        let contact = "<sip:alice@192.0.2.1>";
        assert_eq!(dialog.on_request(&in_dialog("SUBSCRIBE", 50, contact)), Ok(()));
        let refused = dialog.on_request(&in_dialog("SUBSCRIBE", 49, contact)).unwrap_err();
        assert_eq!(refused, DialogError::OutOfOrder { received: 49, newest: 50 });
        assert_eq!(refused.status(), 500);
        assert_eq!(dialog.remote_cseq, Some(50));
        assert_eq!(dialog.on_request(&in_dialog("ACK", 1, contact)), Ok(()));
    }

    #[test]
    fn the_first_request_of_the_peer_sets_its_cseq() {
        let mut dialog = uas();
        dialog.remote_cseq = None;
        assert_eq!(dialog.on_request(&in_dialog("NOTIFY", 0, "<sip:a@b>")), Ok(()));
        assert_eq!(dialog.remote_cseq, Some(0));
    }

    #[test]
    fn only_target_refresh_requests_move_the_remote_target() {
        let mut dialog = uas();
        assert!(!dialog.refresh_target(&in_dialog("BYE", 51, "<sip:alice@192.0.2.9>")));
        assert!(dialog.refresh_target(&in_dialog("SUBSCRIBE", 52, "<sip:alice@192.0.2.9>")));
        assert_eq!(&*dialog.remote_target, "sip:alice@192.0.2.9");
        assert!(!dialog.refresh_target(&in_dialog("SUBSCRIBE", 53, "<sip:alice@192.0.2.9>")));
        assert!(!dialog.refresh_target(&in_dialog("SUBSCRIBE", 54, "*")));
    }
}
