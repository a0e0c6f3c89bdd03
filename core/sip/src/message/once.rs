//! Headers that may come once (RFC 3261 §7.3.1: only headers whose value is a list may be repeated). Of two values one
//! server uses the first and another the last. So a request with two values is refused, because servers would disagree
//! about it.

use super::Message;
use crate::header::HeaderName;
use crate::header::name::{Set, place};
use crate::lex;
use crate::method::Method;

const fn set(names: &[HeaderName]) -> Set {
    let (mut set, mut at) = ([0, 0], 0);
    while at < names.len() {
        let (word, bit) = place(names[at]);
        set[word] |= bit;
        at += 1;
    }
    set
}

/// Headers that this server acts on, and in which a comma outside of quotes separates a second value.
const WITHOUT_COMMA: Set = set(&[
    HeaderName::ContentDisposition,
    HeaderName::ContentType,
    HeaderName::Event,
    HeaderName::Expires,
    HeaderName::MaxBreadth,
    HeaderName::MaxForwards,
    HeaderName::MimeVersion,
    HeaderName::MinExpires,
    HeaderName::MinSe,
    HeaderName::RAck,
    HeaderName::ReferTo,
    HeaderName::SessionExpires,
    HeaderName::SipEtag,
    HeaderName::SipIfMatch,
    HeaderName::SubscriptionState,
    HeaderName::SuppressIfMatch,
]);

/// The header that a request has too often; `None` if there is none.
pub(super) fn repeated(request: &Message) -> Option<HeaderName> {
    let mut seen: Set = [0, 0];
    for line in &request.lines {
        let (word, bit) = place(line.name);
        if seen[word] & bit & HeaderName::SINGLE[word] != 0 {
            return Some(line.name);
        }
        seen[word] |= bit;
        if WITHOUT_COMMA[word] & bit != 0 {
            let value = request.text_of(line.value_span());
            if memchr::memchr(b',', value.as_bytes()).is_some() && lex::split_list(value).nth(1).is_some() {
                return Some(line.name);
            }
        }
    }
    let has_contacts = makes_dialogs(&request.method) && request.items(HeaderName::Contact).nth(1).is_some();
    has_contacts.then_some(HeaderName::Contact)
}

/// §8.1.1.8: Contact "MUST be present and contain exactly one SIP or SIPS URI in any request that can result in the establishment of a
/// dialog", and in those that change where a dialog leads (§12.2, RFC 3311 §5.1).
fn makes_dialogs(method: &Method) -> bool {
    matches!(method, Method::Invite | Method::Subscribe | Method::Refer | Method::Notify | Method::Update)
}

#[cfg(test)]
mod tests {
    use crate::message::Problem;

    use super::*;

    fn problem(method: &str, lines: &str) -> Option<Problem> {
        let text = format!(
            "{method} sip:b@x SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=f\r\nTo: <sip:b@x>\r\n\
             Call-ID: i@a\r\nCSeq: 7 {method}\r\n{lines}\r\n"
        );
        Message::parse(text.as_bytes()).err().map(|error| error.problem)
    }

    #[test]
    fn a_header_that_may_come_once_is_not_taken_twice() {
        for (name, short, value) in [
            ("From", "f", "<sip:c@x>;tag=g"),
            ("To", "t", "<sip:c@x>"),
            ("Call-ID", "i", "j"),
            ("CSeq", "CSEQ", "8 PUBLISH"),
        ] {
            for line in [name, short] {
                let problem = problem("PUBLISH", &format!("{line}: {value}\r\n"));
                assert_eq!(problem, Some(Problem::Repeated(HeaderName::parse(name))), "{line}");
            }
        }
        for (name, short, value) in [
            ("Max-Forwards", "max-forwards", "70"),
            ("Content-Type", "c", "text/plain"),
            ("Content-Length", "l", "0"),
            ("Event", "o", "presence"),
            ("Expires", "EXPIRES", "60"),
            ("SIP-If-Match", "sip-if-match", "a"),
            ("Min-SE", "MIN-SE", "90"),
            ("Session-Expires", "x", "90"),
            ("Refer-To", "r", "<sip:a@x>"),
            ("Subject", "s", "lunch"),
            ("Suppress-If-Match", "suppress-if-match", "*"),
        ] {
            let repeated = Some(Problem::Repeated(HeaderName::parse(name)));
            assert_eq!(problem("PUBLISH", &format!("{name}: {value}\r\n")), None, "{name}");
            for second in [name, short] {
                let lines = format!("{name}: {value}\r\n{second}: {value}\r\n");
                assert_eq!(problem("PUBLISH", &lines), repeated, "{lines}");
            }
        }
    }

    #[test]
    fn two_values_in_one_line_are_two_values() {
        for line in [
            "Event: presence, dialog",
            "Expires: 60, 3600",
            "SIP-If-Match: a, b",
            "c: text/plain, text/html",
            "Max-Forwards: 70,1",
        ] {
            let name = HeaderName::parse(line.split(':').next().unwrap());
            assert_eq!(problem("PUBLISH", &format!("{line}\r\n")), Some(Problem::Repeated(name)), "{line}");
        }
        assert_eq!(problem("PUBLISH", "Content-Type: multipart/related;type=\"a,b\"\r\n"), None);
        assert!(problem("PUBLISH", "X: y\r\nFrom: <sip:a@x>, <sip:b@x>\r\n").is_some());
    }

    #[test]
    fn a_request_that_makes_a_dialog_has_one_contact() {
        let (two_lines, one_line) = ("Contact: <sip:a@h>\r\nm: <sip:b@h>\r\n", "Contact: <sip:a@h>, <sip:b@h>\r\n");
        for method in ["INVITE", "SUBSCRIBE", "REFER", "NOTIFY", "UPDATE"] {
            for lines in [two_lines, one_line] {
                assert_eq!(problem(method, lines), Some(Problem::Repeated(HeaderName::Contact)), "{method} {lines}");
            }
            assert_eq!(problem(method, "Contact: \"a, b\" <sip:a@h>\r\n"), None);
        }
        assert_eq!(problem("REGISTER", two_lines).or_else(|| problem("REGISTER", one_line)), None);
    }

    #[test]
    fn lists_and_credentials_may_be_repeated() {
        let lines = "Route: <sip:a;lr>\r\nRoute: <sip:b;lr>\r\nAccept: a/b\r\nAccept: c/d, e/f\r\nX-Own: 1\r\nX-Own: 2\r\n\
             Authorization: Digest username=\"a\", realm=\"b\"\r\nAuthorization: Digest username=\"a\", realm=\"c\"\r\n\
             Identity: a\r\nIdentity: b\r\n";
        assert_eq!(problem("INVITE", lines), None);
    }
}
