//! A presence document that is read prints as one that is read as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signalbox_documents::pidf::Pidf;
use signalbox_documents::xml::{Limits, REPEATED_FREELY};

fuzz_target!(|text: &[u8]| {
    let Ok(document) = Pidf::parse(text, &Limits::default()) else { return };
    let mut printed = String::new();
    document.write(&mut printed);
    // Escapes and encodings make six octets of one at the most, and declarations are repeated up to twice their document's size.
    assert!(printed.len() <= 8 * text.len() + 2 * REPEATED_FREELY, "{} of {}", printed.len(), text.len());
    let again = Pidf::parse(printed.as_bytes(), &Limits::default())
        .unwrap_or_else(|error| panic!("{error}: printed as {printed}"));
    let mut reprinted = String::new();
    again.write(&mut reprinted);
    assert_eq!(reprinted, printed);
});
