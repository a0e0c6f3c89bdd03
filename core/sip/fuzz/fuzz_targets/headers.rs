//! Every typed header: no value makes it panic, and what it prints it reads back as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signalbox_sip::header::{self, Header};

macro_rules! check {
    ($header:ident, $text:expr) => {
        if let Ok(header) = header::$header::parse($text) {
            let printed = header.to_string();
            match header::$header::parse(&printed) {
                Ok(again) => assert_eq!(again.to_string(), printed, "{} {:?}", stringify!($header), $text),
                Err(error) => panic!("{error}: {:?} was printed as {printed:?}", $text),
            }
        }
    };
}

/// Credentials and challenges may name algorithms that are recognised as unknown and so not printed: what they print
/// must be read, but need not be all that was read.
macro_rules! check_is_read {
    ($header:ident, $text:expr) => {
        if let Ok(header) = header::$header::parse($text) {
            let printed = header.to_string();
            if let Err(error) = header::$header::parse(&printed) {
                panic!("{error}: {:?} was printed as {printed:?}", $text);
            }
        }
    };
}

fuzz_target!(|text: &str| {
    check!(Accept, text);
    check!(AcceptEncoding, text);
    check!(AcceptLanguage, text);
    check!(AlertInfo, text);
    check!(Allow, text);
    check!(AllowEvents, text);
    check_is_read!(AuthenticationInfo, text);
    check!(CallId, text);
    check!(CallInfo, text);
    check!(Contact, text);
    check!(ContentDisposition, text);
    check!(ContentEncoding, text);
    check!(ContentLanguage, text);
    check!(ContentLength, text);
    check!(ContentType, text);
    check!(CSeq, text);
    check!(Date, text);
    check!(ErrorInfo, text);
    check!(Event, text);
    check!(Expires, text);
    check!(FlowTimer, text);
    check!(From, text);
    check!(InReplyTo, text);
    check!(MaxBreadth, text);
    check!(MaxForwards, text);
    check!(MimeVersion, text);
    check!(MinExpires, text);
    check!(Organization, text);
    check!(PAssertedIdentity, text);
    check!(PPreferredIdentity, text);
    check!(Path, text);
    check!(Priority, text);
    check!(ProxyRequire, text);
    check!(RAck, text);
    check!(Reason, text);
    check!(RecordRoute, text);
    check!(ReferTo, text);
    check!(ReplyTo, text);
    check!(Require, text);
    check!(RetryAfter, text);
    check!(Route, text);
    check!(RSeq, text);
    check!(Server, text);
    check!(ServiceRoute, text);
    check!(SipEtag, text);
    check!(SipIfMatch, text);
    check!(Subject, text);
    check!(SubscriptionState, text);
    check!(Supported, text);
    check!(SuppressIfMatch, text);
    check!(Timestamp, text);
    check!(To, text);
    check!(Unsupported, text);
    check!(UserAgent, text);
    check!(Via, text);
    check!(Warning, text);
    check_is_read!(Authorization, text);
    check_is_read!(ProxyAuthorization, text);
    check_is_read!(WwwAuthenticate, text);
    check_is_read!(ProxyAuthenticate, text);
});
