//! Presence in words: from `basic=open activity=on-the-phone note="in a call"` to the document that says so.

use serde_json::Value as Json;
use signalbox::module::CommandError;
use signalbox_documents::data_model::{Person, Presence, Service};
use signalbox_documents::pidf::{Basic, Contact, Note};
use signalbox_documents::rpid::{Activity, Listing, Mood, Value, Word};

use super::parameters::optional;

/// The parameters that are such words.
const PARAMETERS: &[&str] = &["basic", "activity", "mood", "note", "contact"];

/// The document; None where nothing is said in words.
pub(super) fn document(parameters: &Json, entity: String) -> Result<Option<String>, CommandError> {
    if PARAMETERS.iter().all(|name| optional(parameters, name).is_none()) {
        return Ok(None);
    }
    let problem = || CommandError::Parameter { parameter: "basic", problem: "is open or closed".to_owned() };
    let basic = Basic::parse(optional(parameters, "basic").unwrap_or("open")).ok_or_else(problem)?;
    let contact = optional(parameters, "contact").map(|uri| Contact { uri: uri.to_owned(), priority: None });
    let service = Service { id: "service".to_owned(), basic: Some(basic), contact, ..Service::default() };
    let mut person = Person { id: "person".to_owned(), ..Person::default() };
    person.rpid.activities.extend(listing::<Activity>(parameters, "activity"));
    person.rpid.moods.extend(listing::<Mood>(parameters, "mood"));
    person.notes.extend(optional(parameters, "note").map(note));
    let persons = if person == (Person { id: person.id.clone(), ..Person::default() }) { vec![] } else { vec![person] };
    let presence = Presence { entity, persons, services: vec![service], ..Presence::default() };
    let failed = |error| CommandError::Failed(Box::new(error));
    let mut out = String::new();
    presence.to_pidf().map_err(failed)?.write(&mut out);
    Ok(Some(out))
}

/// Words separated by commas. One that RPID doesn't have is free text.
fn listing<W: Word>(parameters: &Json, name: &str) -> Option<Listing<W>> {
    let words = optional(parameters, name)?.split(',').map(str::trim).filter(|word| !word.is_empty());
    let values = words.map(|word| W::parse(word).map_or_else(|| Value::Other(note(word)), Value::Word));
    Some(Listing { values: values.collect(), ..Listing::default() })
}

fn note(text: &str) -> Note {
    Note { lang: None, text: text.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use signalbox_documents::pidf::Pidf;
    use signalbox_documents::xml::Limits;

    use super::*;

    fn said(parameters: Json) -> Option<Presence> {
        let text = document(&parameters, "pres:a@b".to_owned()).unwrap()?;
        Some(Presence::of(&Pidf::parse(text.as_bytes(), &Limits::default()).unwrap()))
    }

    #[test]
    fn what_is_said_in_words_stands_in_the_document() {
        let presence = said(json!({ "activity": "meal, juggling", "mood": "happy", "note": "<back> at 2" })).unwrap();
        let person = &presence.persons[0];
        assert_eq!(person.rpid.activities[0].values[..1], [Value::Word(Activity::Meal)]);
        assert_eq!(person.rpid.activities[0].names().last(), Some("juggling"));
        assert_eq!(person.rpid.moods, [Listing::of([Mood::Happy])]);
        assert_eq!(person.notes, [note("<back> at 2")]);
        assert_eq!(presence.services[0].basic, Some(Basic::Open));
    }

    #[test]
    fn who_says_only_that_it_is_closed_is_no_person() {
        let presence = said(json!({ "basic": "closed" })).unwrap();
        assert_eq!((presence.persons.len(), presence.services[0].basic), (0, Some(Basic::Closed)));
        assert_eq!(said(json!({ "expires": 0 })), None);
        assert!(document(&json!({ "basic": "ajar" }), String::new()).is_err());
    }
}
