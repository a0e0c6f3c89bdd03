//! What a presence document says of persons, services and devices can be written, and is read as the same; once written, nothing of it
//! changes any more.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signalbox_documents::data_model::Presence;
use signalbox_documents::pidf::Pidf;
use signalbox_documents::xml::Limits;

fuzz_target!(|text: &[u8]| {
    let Ok(document) = Pidf::parse(text, &Limits::default()) else { return };
    let first = Presence::of(&document);
    let second = rewritten(&first);
    // Extension elements may gain declarations, once.
    let persons = |presence: &Presence| -> Vec<_> {
        let said = presence.persons.iter().map(|person| {
            let rpid = (person.rpid.class.clone(), person.rpid.user_input.clone(), person.rpid.time_offsets.clone());
            (person.id.clone(), person.cipid.clone(), rpid, person.notes.clone(), person.timestamp.clone())
        });
        said.collect()
    };
    let services = |presence: &Presence| -> Vec<_> {
        let said = presence.services.iter().map(|service| {
            let flags = service.capabilities.as_ref().map(|capabilities| capabilities.flags());
            (service.id.clone(), service.contact.clone(), service.device_ids.clone(), service.cipid.clone(), flags)
        });
        said.collect()
    };
    assert_eq!(persons(&first), persons(&second));
    assert_eq!(services(&first), services(&second));
    assert_eq!(first.devices.len(), second.devices.len());
    assert_eq!(rewritten(&second), second);
});

fn rewritten(presence: &Presence) -> Presence {
    let mut printed = String::new();
    let pidf = presence.to_pidf().unwrap_or_else(|error| panic!("{error}: {presence:?}"));
    pidf.write(&mut printed);
    let again = Pidf::parse(printed.as_bytes(), &Limits::default());
    Presence::of(&again.unwrap_or_else(|error| panic!("{error}: printed as {printed}")))
}
