//! Transaction keys and dialogs out of any message: a key survives printing, and a dialog's next request is a message.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signalbox_sip::dialog::{Dialog, Phase};
use signalbox_sip::header::HeaderName;
use signalbox_sip::message::Message;
use signalbox_sip::method::Method;
use signalbox_sip::transaction::TransactionKeys;

fuzz_target!(|datagram: &[u8]| {
    let Ok(mut message) = Message::parse(datagram) else { return };
    let keys = TransactionKeys::new((1, 2));
    let again = Message::parse(&message.to_bytes()).expect("a printed message is a message");
    assert_eq!(keys.of_request(&message).ok(), keys.of_request(&again).ok());
    let dialog = if message.is_request() {
        Dialog::of_request(&message, "local", Phase::Confirmed, false)
    } else {
        Dialog::of_response(&message, &message, false)
    };
    let Ok(mut dialog) = dialog else { return };
    let mut request = dialog.request(&Method::Notify, 7);
    request.prepend(HeaderName::Via, "SIP/2.0/UDP fuzz");
    let request = Message::parse(&request.to_bytes()).expect("a dialog's request is a message");
    assert_eq!((request.call_id(), request.cseq()), (&*dialog.id.call_id, 7));
    if message.is_request() {
        message.set(HeaderName::CSeq, "2147483647 INVITE");
        let _ = dialog.on_request(&message);
    }
});
