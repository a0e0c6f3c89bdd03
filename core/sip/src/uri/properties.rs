//! The laws of RFC 3261 §19.1.4's comparison, tried on made-up URIs. It is reflexive and symmetric; it is not
//! transitive, as the RFC notes.

use proptest::prelude::*;

use super::{Aor, NameAddr, Uri};

/// URIs from few words, so that equivalent ones come up often.
fn uri() -> impl Strategy<Value = String> {
    let scheme = prop_oneof![Just("sip"), Just("SIP"), Just("sips"), Just("pres")];
    let user = prop_oneof![
        Just(""),
        Just("alice@"),
        Just("%61lice@"),
        Just("Alice@"),
        Just("a;b@"),
        Just("a%3bb@"),
        Just("caf%E9@"),
        Just("caf\u{10ffe9}@"),
        Just("a:pw@")
    ];
    let host = prop_oneof![Just("a.example"), Just("A.Example"), Just("192.0.2.1"), Just("[::1]"), Just("[0:0::1]")];
    let port = prop_oneof![Just(""), Just(":5060"), Just(":5061")];
    let param = prop_oneof![
        Just(";lr"),
        Just(";transport=tcp"),
        Just(";Transport=TCP"),
        Just(";user=phone"),
        Just(";x=1"),
        Just(";x=%31"),
        Just(";x=%e9"),
        Just(";x=\u{10ffe9}"),
        Just(";x=2"),
        Just(";maddr=b"),
    ];
    let headers = prop_oneof![Just(""), Just("?a=b"), Just("?c=d&a=b"), Just("?a=b&c=D")];
    (scheme, user, host, port, prop::collection::vec(param, 0..3), headers).prop_map(
        |(scheme, user, host, port, params, headers)| {
            [scheme, ":", user, host, port, &params.concat(), headers].concat()
        },
    )
}

/// The same URI written differently: escapes, case and order.
fn respelled(uri: &Uri<'_>) -> String {
    let escape = |text: &str| {
        let escape = |c: char| if c.is_ascii_alphabetic() { format!("%{:02x}", c as u32) } else { c.to_string() };
        if text.contains('%') { text.to_owned() } else { text.chars().map(escape).collect() }
    };
    let mut text = format!("{}:", uri.scheme_text.to_uppercase());
    if let Some(user) = uri.user {
        text.push_str(&escape(user));
        if let Some(password) = uri.password {
            text.push_str(&format!(":{}", escape(password)));
        }
        text.push('@');
    }
    text.push_str(&uri.host.unwrap().to_string().to_uppercase());
    let mut params: Vec<_> = uri.params.iter().collect();
    params.reverse();
    for (name, value) in params {
        text.push_str(&format!(";{}", name.to_uppercase()));
        if let Some(value) = value {
            text.push_str(&format!("={}", escape(value)));
        }
    }
    let mut fields: Vec<_> = uri.header_fields().map(|(name, value)| format!("{name}={value}")).collect();
    fields.reverse();
    if !fields.is_empty() {
        text.push_str(&format!("?{}", fields.join("&")));
    }
    text
}

proptest! {
    #[test]
    fn comparison_is_reflexive_and_symmetric(a in uri(), b in uri()) {
        let (a, b) = (Uri::parse(&a).unwrap(), Uri::parse(&b).unwrap());
        prop_assert!(a.equivalent(&a));
        prop_assert_eq!(a.equivalent(&b), b.equivalent(&a));
    }

    #[test]
    fn spelling_makes_no_difference(text in uri()) {
        let uri = Uri::parse(&text).unwrap();
        let other = respelled(&uri);
        let other = Uri::parse(&other).unwrap();
        prop_assert!(uri.equivalent(&other) && other.equivalent(&uri), "{other}");
        prop_assert_eq!(Aor::of(&uri), Aor::of(&other));
    }

    #[test]
    fn equivalent_uris_have_one_address_of_record(a in uri(), b in uri()) {
        let (a, b) = (Uri::parse(&a).unwrap(), Uri::parse(&b).unwrap());
        if a.equivalent(&b) {
            prop_assert_eq!(Aor::of(&a), Aor::of(&b));
        }
    }

    #[test]
    fn an_address_of_record_is_its_own(text in uri()) {
        let aor = Aor::parse(&text).unwrap();
        prop_assert_eq!(Aor::parse(aor.as_str()), Some(aor));
    }

    #[test]
    fn any_text_is_refused_or_read(text in "(sips?:|tel:|pres:)?[ -~\u{e9}]{0,30}") {
        if let Ok(uri) = Uri::parse(&text) {
            prop_assert!(uri.equivalent(&uri));
            prop_assert_eq!(uri.to_string(), text.clone());
            if let Some(aor) = Aor::of(&uri) {
                prop_assert_eq!(Aor::parse(aor.as_str()), Some(aor));
            }
        }
        if let Ok(address) = NameAddr::parse(&text) {
            let printed = address.to_string();
            let again = NameAddr::parse(&printed).unwrap();
            prop_assert_eq!((again.uri, again.params), (address.uri, address.params));
        }
    }
}
