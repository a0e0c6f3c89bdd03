//! A dialog information document that is read prints as one that prints as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signalbox_documents::dialog_info::DialogInfo;
use signalbox_documents::xml::Limits;

fuzz_target!(|text: &[u8]| {
    let Ok(document) = DialogInfo::parse(text, &Limits::default()) else { return };
    let print = |document: &DialogInfo| {
        let mut printed = String::new();
        document.write(&mut printed);
        printed
    };
    let printed = print(&document);
    // What is printed may be longer than what was read, and so than what may be read.
    let limits = Limits { bytes: usize::MAX, attributes: usize::MAX, ..Limits::default() };
    let again =
        DialogInfo::parse(printed.as_bytes(), &limits).unwrap_or_else(|error| panic!("{error}: printed as {printed}"));
    assert_eq!(print(&again), printed);
});
