//! The expected results of the torture messages with the shipped scripts: `scripts/presence.lua`, and
//! `scripts/proxy.lua`, with which everybody may register. `tests/interop/rfc4475.rs` sends the messages to the real
//! server, `tests/conformance/shipped_script/torture.rs` over the virtual network to one worker and to three. The files
//! are in `tests/conformance/torture`.
//!
//! A valid message meets a server at which nobody has registered. 407 and 401 challenge a local From, which only
//! `presence.lua` does. 404 means that the user has no phone, 403 that the request is for another domain. Each of these
//! shows that the message was parsed. 400, 416, 420, 483 and 505 are the answers that the RFC names.

/// Our domains. Some hosts in the messages must be ours, or they would be looked up in the DNS.
pub const DOMAINS: [&str; 4] = ["example.com", "services.example.com", "chair-dnrc.example.com", "signalbox.test"];

/// The expected result of a message of RFC 4475.
pub struct Outcome {
    pub file: &'static str,
    /// The final status with `scripts/presence.lua`, over UDP and over TCP; 0 if it is dropped.
    pub presence: (u16, u16),
    /// The same with `scripts/proxy.lua`.
    pub proxy: (u16, u16),
    /// The state of the connection afterwards.
    pub after: After,
}

/// The state of a connection after the message and a good OPTIONS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// The OPTIONS is answered.
    Alive,
    /// The server closes the connection, because the beginning of the next message is uncertain.
    Closed,
    /// The OPTIONS is not answered: the server reads it as the rest of the message, and may wait for more.
    Waiting,
}

use After::{Alive, Closed, Waiting};

const fn row(file: &'static str, presence: (u16, u16), proxy: (u16, u16), after: After) -> Outcome {
    Outcome { file, presence, proxy, after }
}

/// RFC 4475.
#[rustfmt::skip]
pub const OUTCOMES: &[Outcome] = &[
    row("wsinv",      (407, 407), (404, 404), Alive),  // §3.1.1.1: the caller is one of ours; nobody has registered as the callee
    row("intmeth",    (407, 407), (404, 404), Alive),  // §3.1.1.2: a method like any other
    row("esc01",      (403, 403), (403, 403), Alive),  // §3.1.1.3: neither side is ours: no relay
    row("escnull",    (401, 401), (200, 200), Alive),  // §3.1.1.4
    row("esc02",      (407, 407), (403, 403), Alive),  // §3.1.1.5: no REGISTER, and not for a domain of ours
    row("lwsdisp",    (407, 407), (404, 404), Alive),  // §3.1.1.6
    row("longreq",    (404, 404), (404, 404), Alive),  // §3.1.1.7
    row("dblreq",     (401, 401), (200, 200), Closed), // §3.1.1.8: in a stream an INVITE follows, and octets that belong to nothing
    row("semiuri",    (404, 404), (404, 404), Alive),  // §3.1.1.9
    row("transports", (407, 407), (404, 404), Alive),  // §3.1.1.10
    row("mpart01",    (407, 407), (403, 403), Alive),  // §3.1.1.11: not for a domain of ours
    row("unreason",   (  0,   0), (  0,   0), Alive),  // §3.1.1.12: answers nothing of ours
    row("noreason",   (  0,   0), (  0,   0), Alive),  // §3.1.1.13: answers nothing of ours
    row("badinv01",   (400, 400), (400, 400), Alive),  // §3.1.2.1
    row("clerr",      (400,   0), (400,   0), Waiting), // §3.1.2.2: a stream waits for the rest
    row("ncl",        (400, 400), (400, 400), Closed), // §3.1.2.3: says so for streams
    row("scalar02",   (400, 400), (400, 400), Alive),  // §3.1.2.4
    row("scalarlg",   (  0,   0), (  0,   0), Alive),  // §3.1.2.5: a response is dropped
    row("quotbal",    (400, 400), (400, 400), Alive),  // §3.1.2.6
    row("ltgtruri",   (400, 400), (400, 400), Alive),  // §3.1.2.7
    row("lwsruri",    (400, 400), (400, 400), Alive),  // §3.1.2.8
    row("lwsstart",   (400, 400), (400, 400), Alive),  // §3.1.2.9
    row("trws",       (400, 400), (400, 400), Alive),  // §3.1.2.10
    row("escruri",    (400, 400), (400, 400), Alive),  // §3.1.2.11
    row("baddate",    (404, 404), (404, 404), Alive),  // §3.1.2.12: nobody here uses the Date
    row("regbadct",   (401, 401), (400, 400), Alive),  // §3.1.2.13: the Contact is looked at behind the password
    row("badaspec",   (400, 400), (400, 400), Alive),  // §3.1.2.14
    row("baddn",      (400, 400), (400, 400), Waiting), // §3.1.2.15: the file lacks the empty line
    row("badvers",    (505, 505), (505, 505), Alive),  // §3.1.2.16
    row("mismatch01", (400, 400), (400, 400), Alive),  // §3.1.2.17
    row("mismatch02", (400, 400), (400, 400), Alive),  // §3.1.2.18: takes 501 or 400
    row("bigcode",    (  0,   0), (  0,   0), Alive),  // §3.1.2.19: a response is dropped
    row("badbranch",  (404, 404), (404, 404), Alive),  // §3.2.1: falls back to RFC 2543
    row("insuf",      (400, 400), (400, 400), Alive),  // §3.3.1
    row("unkscm",     (416, 416), (416, 416), Alive),  // §3.3.2
    row("novelsc",    (416, 416), (416, 416), Alive),  // §3.3.3
    row("unksm2",     (400, 400), (400, 400), Alive),  // §3.3.4
    row("bext01",     (420, 420), (420, 420), Alive),  // §3.3.5
    row("invut",      (404, 404), (404, 404), Alive),  // §3.3.6: a proxy passes any body
    row("regaut01",   (401, 401), (200, 200), Alive),  // §3.3.7: who asks for no password ignores it
    row("multi01",    (400, 400), (400, 400), Alive),  // §3.3.8
    row("mcl01",      (400, 400), (400, 400), Closed), // §3.3.9: says so for streams
    row("bcast",      (  0,   0), (  0,   0), Alive),  // §3.3.10: "proxies should drop such responses"
    row("zeromf",     (483, 483), (483, 483), Alive),  // §3.3.11
    row("cparam01",   (401, 401), (200, 200), Alive),  // §3.3.12
    row("cparam02",   (401, 401), (200, 200), Alive),  // §3.3.13
    row("regescrt",   (401, 401), (200, 200), Alive),  // §3.3.14
    row("sdp01",      (404, 404), (404, 404), Alive),  // §3.3.15: a proxy does not look at Accept
    row("inv2543",    (404, 400), (404, 400), Closed), // §3.4.1: in a stream there must be a Content-Length (RFC 3261 §18.3)
];

/// The expected answer to a datagram with a message of RFC 5118.
pub struct Answered {
    pub file: &'static str,
    /// The final status with `scripts/presence.lua`.
    pub presence: u16,
    /// The same with `scripts/proxy.lua`.
    pub proxy: u16,
}

/// The messages of RFC 5118 as in its text.
#[rustfmt::skip]
pub const IPV6: &[Answered] = &[
    Answered { file: "ipv6-good",                     presence: 403, proxy: 403 }, // §4.1: a REGISTER for an address that is none of ours
    Answered { file: "ipv6-bad",                      presence: 400, proxy: 400 }, // §4.2
    Answered { file: "port-ambiguous",                presence: 403, proxy: 403 }, // §4.3: the same
    Answered { file: "port-unambiguous",              presence: 403, proxy: 403 }, // §4.4: the same
    Answered { file: "via-received-param-with-delim", presence: 407, proxy: 403 }, // §4.5: the caller is one of ours, the callee is not
    Answered { file: "via-received-param-no-delim",   presence: 407, proxy: 403 }, // §4.5
    Answered { file: "ipv6-in-sdp",                   presence: 407, proxy: 403 }, // §4.6
    Answered { file: "mult-ip-in-header",             presence: 407, proxy: 403 }, // §4.7
    Answered { file: "mult-ip-in-sdp",                presence: 407, proxy: 403 }, // §4.8
    Answered { file: "ipv4-mapped-ipv6",              presence: 404, proxy: 404 }, // §4.9: nobody has registered as the callee
    Answered { file: "ipv6-bug-abnf-3-colons",        presence: 407, proxy: 403 }, // §4.10
    Answered { file: "ipv6-correct-abnf-2-colons",    presence: 407, proxy: 403 }, // §4.10
];
