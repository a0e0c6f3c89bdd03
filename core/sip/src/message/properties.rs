//! Laws of messages, tried on made-up ones.

use proptest::prelude::*;

use super::Message;
use crate::header::HeaderName;

/// A header line's name and value as they may stand in a message.
fn header() -> impl Strategy<Value = (String, String)> {
    let name = prop_oneof![
        Just("Route".to_owned()),
        Just("Record-Route".to_owned()),
        Just("v".to_owned()),
        Just("Accept".to_owned()),
        "[A-Za-z][A-Za-z0-9-]{0,12}".prop_filter("has a meaning of its own", |name| {
            // Nor may a header be repeated that may come once.
            !HeaderName::parse(name).is_single()
        }),
    ];
    (name, "([!-~\u{e9}\u{10ff90}]([ -~]{0,20}[!-~])?)?")
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    let line_end = prop_oneof![3 => Just("\r\n"), 1 => Just("\n")];
    let fold = prop_oneof![3 => Just(""), 1 => Just("\r\n ")];
    (prop::collection::vec((header(), line_end, fold), 0..8), prop::collection::vec(any::<u8>(), 0..20)).prop_map(
        |(headers, body)| {
            let mut text =
                "MESSAGE sip:b@x SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nFrom: <sip:a@x>;tag=f\r\nTo: <sip:b@x>\r\n\
                Call-ID: i\r\nCSeq: 1 MESSAGE\r\n"
                    .to_owned();
            for ((name, value), line_end, fold) in headers {
                text.push_str(&[&name, ":", fold, " ", &value, line_end].concat());
            }
            text.push_str("\r\n");
            [text.into_bytes(), body].concat()
        },
    )
}

#[derive(Clone, Debug)]
enum Edit {
    Set(String, String),
    Push(String, String),
    Prepend(String, String),
    Remove(String),
    ReplaceFirst(HeaderName, String),
    RemoveFirst(HeaderName),
    Uri(String),
    Body(Vec<u8>),
}

fn edit() -> impl Strategy<Value = Edit> {
    let list = || prop_oneof![Just(HeaderName::Via), Just(HeaderName::Route), Just(HeaderName::RecordRoute)];
    prop_oneof![
        header().prop_map(|(name, value)| Edit::Set(name, value)),
        header().prop_map(|(name, value)| Edit::Push(name, value)),
        header().prop_map(|(name, value)| Edit::Prepend(name, value)),
        header().prop_map(|(name, _)| Edit::Remove(name)),
        (list(), "[!-~ ]{1,20}").prop_map(|(name, value)| Edit::ReplaceFirst(name, value)),
        list().prop_map(Edit::RemoveFirst),
        "sip:[a-z]{1,5}@[a-z]{1,5}".prop_map(Edit::Uri),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(Edit::Body),
    ]
}

fn apply(message: &mut Message, edit: &Edit) {
    match edit {
        Edit::Set(name, value) => message.set_of(name, value).unwrap(),
        Edit::Push(name, value) => message.push_of(name, value).unwrap(),
        Edit::Prepend(name, value) => message.prepend_of(name, value).unwrap(),
        Edit::Remove(name) => {
            message.remove_of(name);
        }
        Edit::ReplaceFirst(name, value) => {
            message.replace_first_item(*name, value);
        }
        Edit::RemoveFirst(name) => {
            message.remove_first_item(*name);
        }
        Edit::Uri(uri) => message.set_request_uri(uri),
        Edit::Body(body) => message.set_body(Some("application/x"), body.clone().into()),
    }
}

/// The header lines but for Content-Length, which is printing's.
fn table(message: &Message) -> Vec<(String, String)> {
    let lines = message.lines().filter(|(name, _)| HeaderName::parse(name) != HeaderName::ContentLength);
    lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

proptest! {
    #[test]
    fn a_printed_message_is_read_as_the_same(bytes in message()) {
        let message = Message::parse(&bytes).unwrap();
        let printed = message.to_bytes();
        let again = Message::parse(&printed).unwrap();
        prop_assert_eq!(table(&again), table(&message));
        prop_assert_eq!(again.body(), message.body());
        prop_assert_eq!(again.to_bytes(), printed);
    }

    #[test]
    fn an_edited_message_is_read_as_what_it_says(bytes in message(), edits in prop::collection::vec(edit(), 1..8)) {
        let mut message = Message::parse(&bytes).unwrap();
        edits.iter().for_each(|edit| apply(&mut message, edit));
        // A message whose top Via has been edited away or broken is no longer one.
        message.prepend(HeaderName::Via, "SIP/2.0/UDP me");
        let again = Message::parse(&message.to_bytes()).unwrap();
        prop_assert_eq!(table(&again), table(&message));
        prop_assert_eq!(again.request_uri(), message.request_uri());
        prop_assert_eq!(again.body(), message.body());
        prop_assert_eq!((again.cseq(), again.from_tag(), again.to_tag()), (message.cseq(), message.from_tag(), message.to_tag()));
    }

    #[test]
    fn any_octets_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(message) = Message::parse(&bytes) {
            prop_assert!(Message::parse(&message.to_bytes()).is_ok());
        }
    }

    #[test]
    fn a_broken_message_is_refused_or_read(mut bytes in message(), at in any::<prop::sample::Index>(), octet in any::<u8>()) {
        let at = at.index(bytes.len());
        bytes[at] = octet;
        match Message::parse(&bytes) {
            Ok(message) => prop_assert!(Message::parse(&message.to_bytes()).is_ok()),
            Err(error) => {
                if let Some(reply) = error.reply() {
                    prop_assert!(reply.to_bytes().starts_with(b"SIP/2.0 "));
                }
            }
        }
    }
}
