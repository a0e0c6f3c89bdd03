//! A message that is read prints as a message that is read as the same. One that is not read can be answered. A glance sees what reading shows.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signalbox_sip::header::HeaderName;
use signalbox_sip::message::{Glance, Message};

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
            if let Some(glance) = Glance::at(datagram) {
                let seen = (glance.call_id, glance.from_tag, glance.cseq, Ok(glance.top_via));
                assert_eq!(seen, (message.call_id(), message.from_tag(), message.cseq(), message.top_via()));
                assert_eq!((glance.method, message.to_tag()), (message.method().as_str(), None));
                let (mut short, mut long) = (Vec::new(), message.reply(503, "Service Unavailable"));
                glance.write_reply(&mut short, "503 Service Unavailable", (None, "t"), "");
                long.set_to_tag("t");
                assert_eq!(short, long.to_bytes());
            }
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
