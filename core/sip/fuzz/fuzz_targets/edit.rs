//! Edits with hostile values never add a line that was not meant, and the result is read as what it says.
//!
//! Input: a message, and behind each octet 0xFE an edit: a letter that says which, a name, a colon and a value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signalbox_sip::header::HeaderName;
use signalbox_sip::message::{Message, ParseError, Problem};

fuzz_target!(|input: &[u8]| {
    let mut parts = input.split(|&octet| octet == 0xfe);
    let Some(Ok(mut message)) = parts.next().map(Message::parse) else { return };
    for edit in parts.take(16) {
        let text = String::from_utf8_lossy(edit);
        let Some((operation, (name, value))) = text.chars().next().zip(text.split_once(':')) else { continue };
        let name = name.get(operation.len_utf8()..).unwrap_or_default();
        if !is_base(name) {
            apply(&mut message, operation, name, value);
        }
    }
    // The top Via may have been edited away or broken; a message needs one.
    message.prepend(HeaderName::Via, "SIP/2.0/UDP fuzz");
    let again = match Message::parse(&message.to_bytes()) {
        Ok(again) => again,
        // The Request-URI is taken as it is given, and edits may add more lines than a message may come with, and values that may come once.
        Err(ParseError {
            problem: Problem::RequestUri(_) | Problem::TooManyHeaders | Problem::Repeated(_), ..
        }) => return,
        Err(error) => panic!("{error}: {message:?}"),
    };
    assert_eq!(table(&again), table(&message));
    assert_eq!(again.body(), message.body());
    assert_eq!(
        (again.cseq(), again.from_tag(), again.to_tag()),
        (message.cseq(), message.from_tag(), message.to_tag())
    );
});

fn apply(message: &mut Message, operation: char, name: &str, value: &str) {
    let known = HeaderName::parse(name);
    match operation {
        's' => drop(message.set_of(name, value)),
        'a' => drop(message.push_of(name, value)),
        'p' => drop(message.prepend_of(name, value)),
        'd' => drop(message.remove_of(name)),
        'r' => drop(message.replace_first_item(known, value)),
        'x' => drop(message.remove_first_item(known)),
        'u' => message.set_request_uri(value),
        'e' => message.set_status(486, value),
        'b' => message.set_body(Some("text/plain"), value.as_bytes().to_vec().into()),
        _ => *message = message.clone(),
    }
}

/// The headers without which a message is none.
fn is_base(name: &str) -> bool {
    use HeaderName::{CSeq, CallId, From, To};
    [CSeq, CallId, From, To].contains(&HeaderName::parse(name))
}

/// The header lines but for Content-Length, which is printing's.
fn table(message: &Message) -> Vec<(&str, &str)> {
    message.lines().filter(|(name, _)| HeaderName::parse(name) != HeaderName::ContentLength).collect()
}
