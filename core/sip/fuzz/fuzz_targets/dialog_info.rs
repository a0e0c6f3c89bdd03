//! A dialog information document that is parsed and printed, and parsed and printed again, is the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signalbox_documents::dialog_info::DialogInfo;
use signalbox_documents::xml::{Limits, REPEATED_FREELY};

fuzz_target!(|text: &[u8]| {
    let Ok(document) = DialogInfo::parse(text, &Limits::default()) else { return };
    let print = |document: &DialogInfo| {
        let mut printed = String::new();
        document.write(&mut printed);
        printed
    };
    let printed = print(&document);
    // Escapes and encodings make six octets of one at the most, and declarations are repeated up to twice their document's size.
    assert!(printed.len() <= 8 * text.len() + 2 * REPEATED_FREELY, "{} of {}", printed.len(), text.len());
    // The printed document may be longer than the one that was parsed, and so exceed the limit.
    let limits = Limits { bytes: usize::MAX, attributes: usize::MAX, ..Limits::default() };
    let again =
        DialogInfo::parse(printed.as_bytes(), &limits).unwrap_or_else(|error| panic!("{error}: printed as {printed}"));
    assert_eq!(print(&again), printed);
});
