//! The names of header fields that are known by number, so that a table of header lines needs no strings.

use std::fmt;

macro_rules! header_names {
    ($($variant:ident $name:literal $compact:literal $kind:ident,)*) => {
        /// A header field's name (RFC 3261 §20 and the RFCs that add headers); [`HeaderName::Other`] for all
        /// names that are not in the table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum HeaderName {
            $($variant,)*
            /// A name that is not in the table. It stands in the message's text only.
            Other,
        }

        const ROWS: [Row; HeaderName::Other as usize] =
            [$(Row { variant: HeaderName::$variant, name: $name, compact: $compact, kind: Kind::$kind },)*];
    };
}

struct Row {
    variant: HeaderName,
    name: &'static str,
    /// RFC 3261 §7.3.3; a space where there is none.
    compact: u8,
    kind: Kind,
}

#[derive(PartialEq)]
enum Kind {
    /// One line with one value. A comma in it does not separate values.
    One,
    /// Several lines, each with one value.
    Lines,
    /// The line holds a comma-separated list (§7.3.1).
    List,
}

header_names! {
    Accept "Accept" b' ' List,
    AcceptContact "Accept-Contact" b'a' List,
    AcceptEncoding "Accept-Encoding" b' ' List,
    AcceptLanguage "Accept-Language" b' ' List,
    AcceptResourcePriority "Accept-Resource-Priority" b' ' List,
    AlertInfo "Alert-Info" b' ' List,
    Allow "Allow" b' ' List,
    AllowEvents "Allow-Events" b'u' List,
    AuthenticationInfo "Authentication-Info" b' ' Lines,
    Authorization "Authorization" b' ' Lines,
    CallId "Call-ID" b'i' One,
    CallInfo "Call-Info" b' ' List,
    Contact "Contact" b'm' List,
    ContentDisposition "Content-Disposition" b' ' One,
    ContentEncoding "Content-Encoding" b'e' List,
    ContentLanguage "Content-Language" b' ' List,
    ContentLength "Content-Length" b'l' One,
    ContentType "Content-Type" b'c' One,
    CSeq "CSeq" b' ' One,
    Date "Date" b' ' One,
    ErrorInfo "Error-Info" b' ' List,
    Event "Event" b'o' One,
    Expires "Expires" b' ' One,
    FlowTimer "Flow-Timer" b' ' One,
    From "From" b'f' One,
    HistoryInfo "History-Info" b' ' List,
    Identity "Identity" b'y' Lines,
    IdentityInfo "Identity-Info" b'n' Lines,
    InReplyTo "In-Reply-To" b' ' List,
    Join "Join" b' ' One,
    MaxBreadth "Max-Breadth" b' ' One,
    MaxForwards "Max-Forwards" b' ' One,
    MimeVersion "MIME-Version" b' ' One,
    MinExpires "Min-Expires" b' ' One,
    MinSe "Min-SE" b' ' One,
    Organization "Organization" b' ' One,
    PAccessNetworkInfo "P-Access-Network-Info" b' ' List,
    PAssertedIdentity "P-Asserted-Identity" b' ' List,
    PAssociatedUri "P-Associated-URI" b' ' List,
    Path "Path" b' ' List,
    PCalledPartyId "P-Called-Party-ID" b' ' One,
    PPreferredIdentity "P-Preferred-Identity" b' ' List,
    PVisitedNetworkId "P-Visited-Network-ID" b' ' List,
    PermissionMissing "Permission-Missing" b' ' List,
    Priority "Priority" b' ' One,
    Privacy "Privacy" b' ' One,
    ProxyAuthenticate "Proxy-Authenticate" b' ' Lines,
    ProxyAuthenticationInfo "Proxy-Authentication-Info" b' ' Lines,
    ProxyAuthorization "Proxy-Authorization" b' ' Lines,
    ProxyRequire "Proxy-Require" b' ' List,
    RAck "RAck" b' ' One,
    Reason "Reason" b' ' List,
    RecordRoute "Record-Route" b' ' List,
    ReferSub "Refer-Sub" b' ' One,
    ReferTo "Refer-To" b'r' One,
    ReferredBy "Referred-By" b'b' One,
    RejectContact "Reject-Contact" b'j' List,
    Replaces "Replaces" b' ' One,
    ReplyTo "Reply-To" b' ' One,
    RequestDisposition "Request-Disposition" b'd' List,
    Require "Require" b' ' List,
    ResourcePriority "Resource-Priority" b' ' List,
    RetryAfter "Retry-After" b' ' One,
    Route "Route" b' ' List,
    RSeq "RSeq" b' ' One,
    SecurityClient "Security-Client" b' ' List,
    SecurityServer "Security-Server" b' ' List,
    SecurityVerify "Security-Verify" b' ' List,
    Server "Server" b' ' One,
    ServiceRoute "Service-Route" b' ' List,
    SessionExpires "Session-Expires" b'x' One,
    SipEtag "SIP-ETag" b' ' One,
    SipIfMatch "SIP-If-Match" b' ' One,
    Subject "Subject" b's' One,
    SubscriptionState "Subscription-State" b' ' One,
    Supported "Supported" b'k' List,
    SuppressIfMatch "Suppress-If-Match" b' ' One,
    TargetDialog "Target-Dialog" b' ' One,
    Timestamp "Timestamp" b' ' One,
    To "To" b't' One,
    TriggerConsent "Trigger-Consent" b' ' List,
    Unsupported "Unsupported" b' ' List,
    UserAgent "User-Agent" b' ' One,
    Via "Via" b'v' List,
    Warning "Warning" b' ' List,
    WwwAuthenticate "WWW-Authenticate" b' ' Lines,
}

impl HeaderName {
    /// Full and compact names, without regard to case.
    pub fn parse(name: &str) -> Self {
        Self::of(name.as_bytes())
    }

    pub(crate) fn of(bytes: &[u8]) -> Self {
        if let [letter] = bytes {
            return COMPACT[usize::from(letter.to_ascii_lowercase() & 127)]
                .filter(|_| letter.is_ascii())
                .unwrap_or(Self::Other);
        }
        let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else { return Self::Other };
        let mut slot = slot_of(bytes.len(), first, last);
        while let Some((known, variant)) = SLOTS[slot] {
            if known == bytes || known.eq_ignore_ascii_case(bytes) {
                return variant;
            }
            slot = (slot + 1) % SLOT_COUNT;
        }
        Self::Other
    }

    /// The full name as the RFC writes it; empty for [`HeaderName::Other`].
    pub fn as_str(self) -> &'static str {
        ROWS.get(self as usize).map_or("", |row| row.name)
    }

    /// Whether the value is a comma-separated list, so that a line with several values and several lines mean
    /// the same (§7.3.1). Credentials and challenges are not: their commas separate parameters.
    pub fn is_list(self) -> bool {
        ROWS.get(self as usize).is_some_and(|row| row.kind == Kind::List)
    }
}

/// A set of headers: a bit for each, in two words.
pub(crate) type Set = [u64; 2];

/// Word and bit of a header.
pub(crate) const fn place(name: HeaderName) -> (usize, u64) {
    place_at(name as usize)
}

const fn place_at(row: usize) -> (usize, u64) {
    ((row >> 6) & 1, 1 << (row & 63))
}

const _: () = assert!((HeaderName::Other as u32) < 2 * u64::BITS, "every header has a bit");

impl HeaderName {
    /// The headers of which a message may have only one line (§7.3.1).
    pub(crate) const SINGLE: Set = {
        let (mut single, mut row) = ([0, 0], 0);
        while row < ROWS.len() {
            let (word, bit) = place_at(row);
            if matches!(ROWS[row].kind, Kind::One) {
                single[word] |= bit;
            }
            row += 1;
        }
        single
    };

    /// Whether a message may have one line of this name only (§7.3.1).
    pub fn is_single(self) -> bool {
        let (word, bit) = place(self);
        Self::SINGLE[word] & bit != 0
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

const SLOT_COUNT: usize = 512;

/// Names are told apart by length, first and last letter; what still collides goes to the next free slot.
const fn slot_of(length: usize, first: u8, last: u8) -> usize {
    (length * 37 + (first | 0x20) as usize * 11 + (last | 0x20) as usize * 101) % SLOT_COUNT
}

static SLOTS: [Option<(&[u8], HeaderName)>; SLOT_COUNT] = {
    let mut slots = [None; SLOT_COUNT];
    let mut row = 0;
    while row < ROWS.len() {
        let name = ROWS[row].name.as_bytes();
        let mut slot = slot_of(name.len(), name[0], name[name.len() - 1]);
        while slots[slot].is_some() {
            slot = (slot + 1) % SLOT_COUNT;
        }
        slots[slot] = Some((name, ROWS[row].variant));
        row += 1;
    }
    slots
};

static COMPACT: [Option<HeaderName>; 128] = {
    let mut letters = [None; 128];
    let mut row = 0;
    while row < ROWS.len() {
        if ROWS[row].compact != b' ' {
            letters[ROWS[row].compact as usize] = Some(ROWS[row].variant);
        }
        row += 1;
    }
    letters
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case() {
        for row in &ROWS {
            assert_eq!(HeaderName::parse(row.name), row.variant);
            assert_eq!(HeaderName::parse(&row.name.to_uppercase()), row.variant);
            assert_eq!(HeaderName::parse(&row.name.to_lowercase()), row.variant);
            assert_eq!(row.variant.as_str(), row.name);
        }
    }

    #[test]
    fn compact_names_are_the_standards() {
        let compact = [
            ('v', "Via"),
            ('f', "From"),
            ('t', "To"),
            ('i', "Call-ID"),
            ('m', "Contact"),
            ('l', "Content-Length"),
            ('c', "Content-Type"),
            ('e', "Content-Encoding"),
            ('s', "Subject"),
            ('k', "Supported"),
            ('o', "Event"),
            ('u', "Allow-Events"),
            ('r', "Refer-To"),
            ('b', "Referred-By"),
            ('x', "Session-Expires"),
            ('a', "Accept-Contact"),
            ('j', "Reject-Contact"),
            ('d', "Request-Disposition"),
            ('y', "Identity"),
            ('n', "Identity-Info"),
        ];
        for (letter, name) in compact {
            assert_eq!(HeaderName::parse(&letter.to_string()).as_str(), name);
            assert_eq!(HeaderName::parse(&letter.to_uppercase().to_string()).as_str(), name);
        }
    }

    #[test]
    fn unknown_names_are_other() {
        for name in ["", "z", "X-Header", "Vio", "\u{e9}", "Content-Lengthy", "[", "6"] {
            assert_eq!(HeaderName::parse(name), HeaderName::Other, "{name}");
        }
    }

    #[test]
    fn a_name_is_found_within_few_probes() {
        for row in &ROWS {
            let name = row.name.as_bytes();
            let first = slot_of(name.len(), name[0], name[name.len() - 1]);
            let found = (0..SLOT_COUNT)
                .find(|step| SLOTS[(first + step) % SLOT_COUNT].is_some_and(|(_, variant)| variant == row.variant))
                .unwrap();
            assert!(found < 4, "{} takes {found}", row.name);
        }
    }
}
