//! URIs, addresses of record and name-addrs keep their laws. Input: two texts with a line feed between them, octets that are not UTF-8 included.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signalbox_sip::message::{octets_of, readable, text_of};
use signalbox_sip::uri::{Aor, HostPort, NameAddr, Uri, escape_octets, escape_user, unescape_octets};

fuzz_target!(|octets: &[u8]| {
    let input = text_of(octets);
    assert_eq!(*octets_of(&input), *octets);
    assert_eq!(readable(&readable(&input)), readable(&input));
    let (first, second) = input.split_once('\n').unwrap_or((&input, ""));
    name_addr(first);
    host_port(first);
    let mut escaped = String::new();
    escape_user(&octets_of(first), &mut escaped);
    assert_eq!(unescape_octets(&escaped), octets_of(first));
    let Ok(a) = Uri::parse(first) else { return };
    assert_eq!(a.to_string(), first);
    assert!(a.equivalent(&a), "{first} is not equivalent to itself");
    if let Some(aor) = Aor::of(&a) {
        assert_eq!(Aor::parse(aor.as_str()), Some(aor.clone()));
        assert!(aor.as_str().is_ascii());
        let _ = (aor.user(), aor.host());
    }
    let escaped = escape_octets(first);
    assert_eq!(*octets_of(&escaped), *escaped.as_bytes());
    let same = Uri::parse(&escaped).expect("what is escaped is a URI");
    assert!(same.equivalent(&a), "{first} is not equivalent to {escaped}");
    assert_eq!(Aor::of(&same), Aor::of(&a));
    let Ok(b) = Uri::parse(second) else { return };
    assert_eq!(a.equivalent(&b), b.equivalent(&a));
    if a.equivalent(&b) {
        assert_eq!(Aor::of(&a), Aor::of(&b));
    }
});

fn name_addr(text: &str) {
    let Ok(address) = NameAddr::parse(text) else { return };
    let printed = address.to_string();
    let again = NameAddr::parse(&printed).expect("a printed name-addr is one");
    assert_eq!((again.uri, again.params, again.display), (address.uri, address.params, address.display));
    let _ = (address.display_name(), address.tag(), address.uri());
}

fn host_port(text: &str) {
    let Ok(address) = HostPort::parse(text) else { return };
    assert_eq!(HostPort::parse(&address.to_string()), Ok(address));
}
