//! What holds for all typed headers: no input makes them panic, and what they print they read back.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// Runs a check for every typed header, given a value that it reads.
macro_rules! for_all_headers {
    ($check:ident, $($argument:expr),*) => {{
        $check::<Accept<'_>>("text/*;q=0.5;level=1", $($argument),*);
        $check::<AcceptEncoding<'_>>("gzip;q=1.0", $($argument),*);
        $check::<AcceptLanguage<'_>>("en-gb;q=0.8", $($argument),*);
        $check::<AlertInfo<'_>>("<http://www.example.com/sounds/moo.wav>", $($argument),*);
        $check::<Allow<'_>>("INVITE", $($argument),*);
        $check::<AllowEvents<'_>>("presence.winfo", $($argument),*);
        $check::<AuthenticationInfo<'_>>("nextnonce=\"47364c\", qop=auth, nc=00000001", $($argument),*);
        $check::<CallId<'_>>("f81d4fae@foo.bar.com", $($argument),*);
        $check::<CallInfo<'_>>("<http://www.example.com/a.jpg> ;purpose=icon", $($argument),*);
        $check::<Contact<'_>>("\"Mr. Watson\" <sip:watson@example.com>;q=0.7; expires=3600", $($argument),*);
        $check::<ContentDisposition<'_>>("session;handling=optional", $($argument),*);
        $check::<ContentEncoding<'_>>("gzip", $($argument),*);
        $check::<ContentLanguage<'_>>("fr", $($argument),*);
        $check::<ContentLength>("349", $($argument),*);
        $check::<ContentType<'_>>("multipart/mixed;boundary=\"a b\"", $($argument),*);
        $check::<CSeq<'_>>("4711 INVITE", $($argument),*);
        $check::<Date>("Sat, 13 Nov 2010 23:29:00 GMT", $($argument),*);
        $check::<ErrorInfo<'_>>("<sip:not-in-service@example.com>", $($argument),*);
        $check::<Event<'_>>("presence.winfo;id=a7x", $($argument),*);
        $check::<Expires>("5", $($argument),*);
        $check::<FlowTimer>("126", $($argument),*);
        $check::<super::From<'_>>("\"A. G. Bell\" <sip:agb@example.com> ;tag=a48s", $($argument),*);
        $check::<InReplyTo<'_>>("70710@saturn.example.com", $($argument),*);
        $check::<MaxBreadth>("60", $($argument),*);
        $check::<MaxForwards>("70", $($argument),*);
        $check::<MimeVersion>("1.0", $($argument),*);
        $check::<MinExpires>("60", $($argument),*);
        $check::<Organization<'_>>("Boxes by Bob", $($argument),*);
        $check::<PAssertedIdentity<'_>>("tel:+14085264000", $($argument),*);
        $check::<PPreferredIdentity<'_>>("\"Cullen Jennings\" <sip:fluffy@example.com>", $($argument),*);
        $check::<Path<'_>>("<sip:p1.example.com;lr>", $($argument),*);
        $check::<Priority<'_>>("emergency", $($argument),*);
        $check::<ProxyRequire<'_>>("foo", $($argument),*);
        $check::<RAck<'_>>("776656 1 INVITE", $($argument),*);
        $check::<Reason<'_>>("SIP ;cause=200 ;text=\"Call completed elsewhere\"", $($argument),*);
        $check::<RecordRoute<'_>>("<sip:server10.example.com;lr>", $($argument),*);
        $check::<ReferTo<'_>>("<sip:dave@example.org?Replaces=12345%40192.0.2.1>", $($argument),*);
        $check::<ReplyTo<'_>>("Bob <sip:bob@example.com>", $($argument),*);
        $check::<Require<'_>>("100rel", $($argument),*);
        $check::<RetryAfter<'_>>("18000 (I'm in a meeting);duration=3600", $($argument),*);
        $check::<Route<'_>>("<sip:bigbox3.example.com;lr>", $($argument),*);
        $check::<RSeq>("988789", $($argument),*);
        $check::<Server<'_>>("HomeServer v2", $($argument),*);
        $check::<ServiceRoute<'_>>("<sip:HSP.example.com;lr>", $($argument),*);
        $check::<SipEtag<'_>>("dx200xyz", $($argument),*);
        $check::<SipIfMatch<'_>>("dx200xyz", $($argument),*);
        $check::<Subject<'_>>("Tech Support", $($argument),*);
        $check::<SubscriptionState<'_>>("terminated;reason=rejected;retry-after=5", $($argument),*);
        $check::<Supported<'_>>("100rel", $($argument),*);
        $check::<SuppressIfMatch<'_>>("*", $($argument),*);
        $check::<Timestamp<'_>>("54.21 0.3", $($argument),*);
        $check::<To<'_>>("The Operator <sip:operator@example.com>;tag=287447", $($argument),*);
        $check::<Unsupported<'_>>("foo", $($argument),*);
        $check::<UserAgent<'_>>("Softphone Beta1.5", $($argument),*);
        $check::<Via<'_>>("SIP / 2.0 / UDP first.example.com: 4000;ttl=16 ;branch=z9hG4bKa7c6a8dlze.1", $($argument),*);
        $check::<Warning<'_>>("307 isi.edu \"Session parameter 'foo' not understood\"", $($argument),*);
        $check::<Authorization<'_>>(CREDENTIALS, $($argument),*);
        $check::<ProxyAuthorization<'_>>(CREDENTIALS, $($argument),*);
        $check::<WwwAuthenticate<'_>>(CHALLENGE, $($argument),*);
        $check::<ProxyAuthenticate<'_>>(CHALLENGE, $($argument),*);
    }};
}

const CREDENTIALS: &str = "Digest username=\"bob\", realm=\"example.com\", nonce=\"84a4cc6f3082121f32b42a2187831a9e\", \
    uri=\"sip:bob@example.com\", response=\"7587245234b3434cc3412213e5f113a5432\", algorithm=MD5, cnonce=\"c\", qop=auth, \
    nc=00000001";
const CHALLENGE: &str = "Digest realm=\"example.com\", nonce=\"84a4cc6f\", algorithm=SHA-256, qop=\"auth\"";

/// Reads `value`, and if that can be read, what is printed for it.
fn prints_what_it_reads<'a, H: Header<'a> + std::fmt::Display>(value: &'a str) {
    let Ok(header) = H::parse(value) else { return };
    let printed = header.to_string();
    // The trait's lifetime is the input's, so what is printed must live as long: leaking it is the price in a test.
    let again: &'static str = printed.clone().leak();
    let reread = H::parse(again).unwrap_or_else(|error| panic!("{error}: {value:?} was printed as {printed:?}"));
    if names_all(value) {
        assert_eq!(reread.to_string(), printed, "{value:?}");
    }
}

/// An unknown algorithm or `qop` is recognised as such but not kept, so it is not printed.
fn names_all(value: &str) -> bool {
    !value.trim_ascii_start().get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("digest"))
}

fn sample_is_read<'a, H: Header<'a> + std::fmt::Display>(sample: &'a str) {
    assert!(H::parse(sample).is_ok(), "{sample}");
    prints_what_it_reads::<H>(sample);
}

fn any_text<'a, H: Header<'a> + std::fmt::Display>(_: &'a str, text: &'a str) {
    prints_what_it_reads::<H>(text);
}

/// The sample with some of its characters replaced, removed or followed by others.
fn changed<'a, H: Header<'a> + std::fmt::Display>(sample: &'a str, edits: &[(usize, u8, char)]) {
    let mut chars: Vec<char> = sample.chars().collect();
    for (position, kind, char) in edits {
        let at = position % chars.len().max(1);
        match kind {
            0 if !chars.is_empty() => drop(chars.remove(at)),
            1 if !chars.is_empty() => chars[at] = *char,
            _ => chars.insert(at, *char),
        }
    }
    let text: &'static str = String::from_iter(chars).leak();
    prints_what_it_reads::<H>(text);
}

/// Characters that mean something somewhere in the grammar, and some that never do.
const CHARS: &[char] = &[
    '"', '\\', '<', '>', ';', ',', '=', ':', '@', '?', '*', '/', '(', ')', '[', ']', '%', '.', '\'', '+', '-', ' ',
    '\t', '\r', '\n', '0', '1', '9', 'a', 'Z', '\0', '\u{7f}', '\u{e9}', '\u{20ac}',
];

#[test]
fn every_sample_is_read_and_printed() {
    for_all_headers!(sample_is_read,);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_a_header_panic(chars in vec(select(CHARS), 0..24)) {
        let text: &'static str = String::from_iter(chars).leak();
        for_all_headers!(any_text, text);
    }

    #[test]
    fn what_a_header_prints_it_reads_back(edits in vec((0..200usize, 0..3u8, select(CHARS)), 1..4)) {
        for_all_headers!(changed, &edits);
    }
}
