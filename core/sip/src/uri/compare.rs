//! When two URIs mean the same (RFC 3261 §19.1.4; RFC 3966 §5 for `tel:`). Not transitive, as the RFC notes.

use super::escape::{Octet, is_reserved, octets};
use super::{Scheme, Uri};
use crate::lex::Params;

/// Parameters or headers of a URI up to which their order and spelling makes no difference. Each is looked for among all of the other URI's: a
/// URI with thousands would keep a registrar busy for seconds with one REGISTER.
pub const MAX_PARTS: usize = 32;

/// Parameters that make a difference when only one of the URIs has them.
const NEVER_IGNORED: [&str; 5] = ["user", "ttl", "method", "maddr", "transport"];

impl Uri<'_> {
    /// Whether both URIs are equivalent. With more than [`MAX_PARTS`] parameters or headers they are if they differ in nothing but escapes.
    pub fn equivalent(&self, other: &Uri<'_>) -> bool {
        if !self.scheme_text.eq_ignore_ascii_case(other.scheme_text) {
            return false;
        }
        let same_rest = || same_exactly(&self.raw[self.scheme_text.len()..], &other.raw[other.scheme_text.len()..]);
        if self.has_many_parts() || other.has_many_parts() {
            return same_rest();
        }
        match self.scheme {
            Scheme::Sip | Scheme::Sips => {
                self.address_matches(other)
                    && params_match(self.params, other.params)
                    && params_match(other.params, self.params)
                    && headers_match(self, other)
                    && headers_match(other, self)
            }
            // RFC 3859 §3.2 and RFC 3860 §3.2: an address like a mailbox, and headers.
            Scheme::Pres | Scheme::Im => {
                self.address_matches(other) && headers_match(self, other) && headers_match(other, self)
            }
            Scheme::Tel => {
                same_number(self.user.unwrap_or_default(), other.user.unwrap_or_default())
                    && tel_params_match(self.params, other.params)
                    && tel_params_match(other.params, self.params)
            }
            Scheme::Other => same_rest(),
        }
    }

    fn has_many_parts(&self) -> bool {
        // Each takes two octets at least.
        self.raw.len() > 2 * MAX_PARTS
            && (self.params.iter().nth(MAX_PARTS).is_some() || self.header_fields().nth(MAX_PARTS).is_some())
    }

    fn address_matches(&self, other: &Uri<'_>) -> bool {
        self.host == other.host
            && same_option(self.user, other.user, same_exactly)
            && same_option(self.password, other.password, same_exactly)
    }
}

fn same_option(a: Option<&str>, b: Option<&str>, same: fn(&str, &str) -> bool) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => same(a, b),
        (None, None) => true,
        _ => false,
    }
}

/// Each parameter of `a` is in `b` with the same value, or may be ignored.
fn params_match(a: Params<'_>, b: Params<'_>) -> bool {
    a.iter().all(|(name, value)| {
        let mut namesakes = b.iter().filter(|(candidate, _)| same_without_case(name, candidate)).peekable();
        match namesakes.peek() {
            Some(_) => namesakes.any(|(_, other)| same_option(value, other, same_without_case)),
            None => !NEVER_IGNORED.iter().any(|known| same_without_case(name, known)),
        }
    })
}

/// Each header component of `a` is in `b` with the same value. The rules of single headers (§20) are not
/// consulted: values match when they are the same but for case.
fn headers_match(a: &Uri<'_>, b: &Uri<'_>) -> bool {
    a.header_fields().all(|(name, value)| {
        b.header_fields()
            .any(|(candidate, other)| same_without_case(name, candidate) && same_without_case(value, other))
    })
}

/// RFC 3966 §5: visual separators don't count, nor does case.
fn same_number(a: &str, b: &str) -> bool {
    let digits = |text| {
        octets(text).filter(|o| !matches!(o.byte, b'-' | b'.' | b'(' | b')')).map(|o| o.byte.to_ascii_lowercase())
    };
    digits(a).eq(digits(b))
}

/// RFC 3966 §5: all parameters must be in both, in any order, and compare without regard to case.
fn tel_params_match(a: Params<'_>, b: Params<'_>) -> bool {
    a.iter().all(|(name, value)| {
        b.iter().any(|(candidate, other)| {
            same_without_case(name, candidate)
                && if value.is_some_and(|value| value.starts_with('+')) || same_without_case(name, "ext") {
                    same_option(value, other, same_number)
                } else {
                    same_option(value, other, same_without_case)
                }
        })
    })
}

fn same_exactly(a: &str, b: &str) -> bool {
    a == b || octets(a).map(canonical).eq(octets(b).map(canonical))
}

fn same_without_case(a: &str, b: &str) -> bool {
    let lower = |octet: Octet| {
        let Octet { byte, escaped } = canonical(octet);
        Octet { byte: byte.to_ascii_lowercase(), escaped }
    };
    a == b || octets(a).map(lower).eq(octets(b).map(lower))
}

/// Characters outside of the reserved set are equivalent to their escapes.
fn canonical(octet: Octet) -> Octet {
    Octet { escaped: octet.escaped && is_reserved(octet.byte), ..octet }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &str, b: &str) -> bool {
        Uri::parse(a).unwrap().equivalent(&Uri::parse(b).unwrap())
    }

    #[test]
    fn the_rfcs_equivalent_uris_are_equivalent() {
        for (a, b) in [
            ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
            ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
            (
                "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
                "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
            ),
            (
                "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
                "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
            ),
        ] {
            assert!(same(a, b), "{a} {b}");
        }
    }

    #[test]
    fn of_uris_with_endless_parameters_or_headers_only_escapes_are_looked_at() {
        let many = |count: usize, separator: &str| -> Vec<String> {
            (0..count).map(|n| format!("{separator}a{n}=b")).collect()
        };
        for (start, separator) in [("sip:a@b", ";"), ("sip:a@b?x=y", "&"), ("tel:1", ";")] {
            for (count, in_any_order) in [(MAX_PARTS - 1, true), (MAX_PARTS + 1, false)] {
                let (one, mut other) = (many(count, separator), many(count, separator));
                other.reverse();
                let (one, other) = ([start, &one.concat()].concat(), [start, &other.concat()].concat());
                assert_eq!(same(&one, &other), in_any_order, "{one}");
                assert!(same(&one, &one.replacen("a0", "%610", 1)));
                assert!(!same(&one, &one.replacen("a0=b", "a0=c", 1)));
            }
        }
    }

    #[test]
    fn the_rfcs_different_uris_are_different() {
        for (a, b) in [
            ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
            ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
            ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
            ("sip:a@b", "sips:a@b"),
            ("sip:a@b", "sip:b"),
            ("sip:a:x@b", "sip:a@b"),
            ("sip:a%3Bb@c", "sip:a;b@c"),
            ("sip:a@b;maddr=c", "sip:a@b"),
            ("sip:a@b;user=ip", "sip:a@b"),
        ] {
            assert!(!same(a, b) && !same(b, a), "{a} {b}");
        }
    }

    #[test]
    fn telephone_numbers_compare_without_visual_separators() {
        assert!(same("tel:+1-(201)-555.0123", "TEL:+12015550123"));
        assert!(same("tel:863-1234;phone-context=+1-914-555", "tel:8631234;phone-context=+1914555"));
        assert!(!same("tel:8631234;phone-context=+1914555", "tel:8631234"));
        assert!(!same("tel:+1", "tel:1"));
    }

    #[test]
    fn other_schemes_compare_behind_the_scheme_exactly() {
        assert!(same("URN:service:sos", "urn:service:sos"));
        assert!(!same("urn:service:sos", "urn:service:SOS"));
        assert!(same("pres:alice@EXAMPLE.com", "pres:%61lice@example.com"));
    }
}
