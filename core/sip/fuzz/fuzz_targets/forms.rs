//! A presence document in its other forms: as CPIM-PIDF it says the same; LPIDF that is written or read is read as the same; as
//! XPIDF no document makes anything that fails.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signalbox_documents::lpidf::Lpidf;
use signalbox_documents::pidf::Pidf;
use signalbox_documents::xml::Limits;
use signalbox_documents::{cpim_pidf, xpidf};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = str::from_utf8(bytes)
        && let Some(lines) = Lpidf::parse(text)
        // What looks like another q, or ends with a space, is not told from the line's own.
        && lines.contacts.iter().all(|contact| contact.uri == contact.uri.trim() && !contact.uri.contains(";q="))
    {
        let mut printed = String::new();
        lines.write(&mut printed);
        assert_eq!(Lpidf::parse(&printed), Some(lines), "{printed}");
    }
    let limits = Limits::default();
    let Ok(document) = Pidf::parse(bytes, &limits).or_else(|_| cpim_pidf::parse(bytes, &limits)) else { return };
    let printed = |pidf: &Pidf| {
        let mut printed = String::new();
        pidf.write(&mut printed);
        printed
    };
    let mut cpim = String::new();
    cpim_pidf::write(&document, &mut cpim);
    let again = cpim_pidf::parse(cpim.as_bytes(), &limits).unwrap_or_else(|error| panic!("{error}: printed as {cpim}"));
    assert_eq!(printed(&again), printed(&document));
    xpidf::write(&document, "sip:alice@example.com", &mut String::new());
    let mut lines = String::new();
    Lpidf::of(&document, "sip:alice@example.com").write(&mut lines);
    assert!(Lpidf::parse(&lines).is_some());
});
