//! Any XML: reading is bounded, and every element can be looked at, cut out and given an id.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signalbox_documents::xml::{Document, Limits, REPEATED_FREELY};

fuzz_target!(|text: &[u8]| {
    let Ok(document) = Document::parse(text, &Limits::default()) else { return };
    let root = document.root();
    for element in root.descendants().take(64) {
        // The kept octets are limited by the document's size: three times that, a constant, and each element's own
        // octets.
        let Ok(fragment) = element.to_fragment() else { continue };
        assert!(fragment.as_str().len() <= 4 * text.len() + 4 * REPEATED_FREELY, "{}", fragment.as_str().len());
        let cut = Document::parse(fragment.as_str().as_bytes(), &Limits::default())
            .unwrap_or_else(|error| panic!("{error}: cut out as {}", fragment.as_str()));
        assert!(cut.root().is(element.namespace(), element.name()));
        assert_eq!(cut.root().text(), element.text());
        assert!(element.children().all(|child| element.child(child.namespace(), child.name()).is_some()));
        let mut prefixed = String::new();
        fragment.clone().with_id("n").push_with_id_prefix(&mut prefixed, "p-");
        // An id takes five octets at least.
        assert!(
            prefixed.len() <= 2 * fragment.as_str().len() + 16,
            "{} of {}",
            prefixed.len(),
            fragment.as_str().len()
        );
        let named = Document::parse(
            prefixed.as_bytes(),
            &Limits { bytes: usize::MAX, attributes: usize::MAX, ..Limits::default() },
        );
        let named = named.unwrap_or_else(|error| panic!("{error}: prefixed as {prefixed}"));
        let id = format!("p-{}", element.attribute("id").unwrap_or("n"));
        assert_eq!(named.root().attribute("id"), Some(&*id), "{prefixed}");
        let _ = (element.attribute("id"), element.lang(), element.raw_text(), fragment.id());
    }
});
