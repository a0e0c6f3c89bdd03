//! A message that is read prints as a message that is read as the same. One that is not read can be answered.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signalbox_sip::header::HeaderName;
use signalbox_sip::message::Message;

fuzz_target!(|datagram: &[u8]| {
    match Message::parse(datagram) {
        Ok(message) => {
            let printed = message.to_bytes();
            let again = Message::parse(&printed).expect("a printed message is a message");
            assert_eq!(again.to_bytes(), printed);
            assert_eq!(
                again.lines().count(),
                message.lines().filter(is_kept).count() + usize::from(has_length(&again))
            );
            let _ = (message.top_via(), message.from_tag(), message.to_tag(), message.call_id());
        }
        Err(error) => {
            if let Some(reply) = error.reply() {
                assert_eq!(reply.status(), error.problem.status());
                assert!(reply.to_bytes().ends_with(b"\r\n\r\n"));
            }
        }
    }
});

/// All lines but Content-Length, which printing rewrites.
fn is_kept((name, _): &(&str, &str)) -> bool {
    HeaderName::parse(name) != HeaderName::ContentLength
}

fn has_length(message: &Message) -> bool {
    message.has(HeaderName::ContentLength)
}
