//! A watcher information document that is read prints as one that is read as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signalbox_documents::watcherinfo::WatcherInfo;
use signalbox_documents::xml::Limits;

fuzz_target!(|text: &[u8]| {
    let Ok(document) = WatcherInfo::parse(text, &Limits::default()) else { return };
    let mut printed = String::new();
    document.write(&mut printed);
    let again = WatcherInfo::parse(printed.as_bytes(), &Limits::default())
        .unwrap_or_else(|error| panic!("{error}: printed as {printed}"));
    assert_eq!(again, document, "{printed}");
});
