//! The parts of strangers' requests. Each list begins with usual values, followed by values that a server has misread
//! or could misread.

use std::fmt::Write as _;

use super::story::Story;

pub(super) const METHODS: [&str; 13] = [
    "MESSAGE",
    "INVITE",
    "SUBSCRIBE",
    "PUBLISH",
    "OPTIONS",
    "REGISTER",
    "ACK",
    "BYE",
    "CANCEL",
    "NOTIFY",
    "REFER",
    "INFO",
    "UPDATE",
];

/// Names and addresses of the server.
const OURS: [&str; 9] = [
    "example.com",
    "192.0.2.100",
    "EXAMPLE.com",
    "example.com.",
    "192.0.2.100:5060",
    "example.com:5060",
    "elsewhere.example;maddr=192.0.2.100",
    "ours.example",
    "example.com;transport=tcp",
];

/// Addresses without a user of ours.
const OTHERS: [&str; 7] = [
    "203.0.113.7",
    "victim.example",
    "203.0.113.7:5070",
    "victim.example;transport=tcp",
    "203.0.113.8;transport=tcp",
    "example.com;maddr=203.0.113.7",
    "192.0.2.2:5070",
];

const USERS: [&str; 9] =
    ["bob", "alice", "carol", "%62ob", "bob;x=1", "bob:secret", "BOB", "+15551234;npdi=yes", "nobody"];

const FOREIGN: [&str; 3] = ["sip:mallory@elsewhere.example", "sip:mallory@203.0.113.7", "tel:+15551234"];

const BODY: &str = "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:bob@example.com'><tuple id='t'><status>\
                    <basic>open</basic></status></tuple></presence>";

/// A SIP URI that leads to one of our users, more or less.
pub(super) fn uri_of_ours(story: &mut Story<'_>) -> String {
    let scheme = story.choose(&["sip:", "sip:", "sip:", "sips:", "pres:", "im:", "SIP:"]);
    match story.below(4) {
        3 => format!("{scheme}{}", story.choose(&OURS)),
        _ => format!("{scheme}{}@{}", story.choose(&USERS), story.choose(&OURS)),
    }
}

/// A URI that leads anywhere.
pub(super) fn any_uri(story: &mut Story<'_>) -> String {
    match story.below(4) {
        0 | 1 => uri_of_ours(story),
        2 => format!("sip:{}@{}", story.choose(&USERS), story.choose(&OTHERS)),
        _ => format!("sip:{};lr", story.choose(&OTHERS)),
    }
}

/// The URI in From.
pub(super) fn sender(story: &mut Story<'_>) -> String {
    match story.below(3) {
        0 => story.choose(&FOREIGN).to_owned(),
        _ => uri_of_ours(story),
    }
}

/// A Route value that was not learnt from the server.
fn made_up_route(story: &mut Story<'_>) -> String {
    let host = if story.one_in(2) { story.choose(&OTHERS) } else { story.choose(&OURS) };
    let parameters = story.choose(&[";lr", ";lr", "", ";lr=on", ";lr;r2=on", ";LR", ";lr;token=0123456789abcdef"]);
    format!("<sip:{}{host}{parameters}>", story.choose(&["", "", "x@"]))
}

/// The Route lines of a request: none, invented ones, or those of a dialog.
pub(super) fn routes(story: &mut Story<'_>, learnt: &[String]) -> String {
    let mut lines = String::new();
    for _ in 0..story.below(4) {
        let known = story.below(learnt.len() + 1);
        let value = learnt.get(known).cloned().unwrap_or_else(|| made_up_route(story));
        let _ = write!(lines, "Route: {value}\r\n");
        if story.one_in(8) {
            let many = format!("Route: {}\r\n", vec![value; 40].join(", "));
            lines.push_str(&many);
        }
    }
    lines
}

/// Header lines that methods need, and some that they do not.
pub(super) fn further_lines(story: &mut Story<'_>, method: &str, source: &str) -> String {
    let mut lines = String::new();
    let contact = match story.below(4) {
        0 => format!("sip:mallory@{source}"),
        1 => format!("sip:mallory@{}", story.choose(&OTHERS)),
        2 => any_uri(story),
        _ => format!("sip:mallory@{source};{}", "x".repeat(story.below(256) * 16)),
    };
    let _ = write!(lines, "Contact: <{contact}>\r\n");
    if matches!(method, "SUBSCRIBE" | "PUBLISH" | "NOTIFY") || story.one_in(8) {
        let event =
            story.choose(&["presence", "presence", "presence.winfo", "dialog", "message-summary", "unheard-of"]);
        let id = if story.one_in(4) { ";id=7" } else { "" };
        let _ = write!(lines, "Event: {event}{id}\r\n");
        let _ = write!(lines, "Expires: {}\r\n", story.choose(&["3600", "0", "60", "4294967295"]));
    }
    if method == "NOTIFY" {
        lines.push_str("Subscription-State: active\r\n");
    }
    if story.one_in(4) {
        let value = any_uri(story);
        let _ = write!(lines, "Record-Route: <{value};lr>\r\n");
    }
    if story.one_in(6) {
        let line = story.choose(&[
            "Require: unheard-of\r\n",
            "Proxy-Require: unheard-of\r\n",
            "Max-Breadth: 60\r\n",
            "Event: presence\r\n",
            "Expires: 1\r\n",
            "SIP-If-Match: x\r\n",
            "Suppress-If-Match: *\r\n",
            "P-Asserted-Identity: <sip:alice@example.com>\r\n",
            "Path: <sip:203.0.113.7;lr>\r\n",
            "Proxy-Authorization: Digest username=\"alice\", realm=\"example.com\", nonce=\"n\", uri=\"sip:example.com\", response=\"0\"\r\n",
        ]);
        lines.push_str(line);
    }
    lines
}

/// A body and its type.
pub(super) fn body(story: &mut Story<'_>, method: &str) -> (&'static str, Vec<u8>) {
    match (method, story.below(6)) {
        ("PUBLISH" | "NOTIFY", 0 | 1) => ("application/pidf+xml", BODY.as_bytes().to_vec()),
        ("PUBLISH" | "NOTIFY" | "MESSAGE", 2) => ("application/pidf+xml", bomb(story)),
        (_, 3) => ("text/plain", story.raw(64).to_vec()),
        (_, 4) => ("text/plain", vec![b'x'; story.below(256) * 200]),
        ("MESSAGE", _) => ("text/plain", b"hello".to_vec()),
        _ => ("text/plain", Vec::new()),
    }
}

/// A document whose elements all use the declarations of its root.
fn bomb(story: &mut Story<'_>) -> Vec<u8> {
    let (name, elements) = ("n".repeat(1 + story.below(256) * 64), 1 + story.below(64));
    let tuple = |n: usize| {
        let inner = "<n:b/>".repeat(elements);
        format!("<tuple id='t{n}'><status><basic>open</basic></status>{inner}</tuple>")
    };
    let tuples: String = (0..elements).map(tuple).collect();
    format!(
        "<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:n='{name}' entity='pres:bob@example.com'>{tuples}</presence>"
    )
    .into_bytes()
}
