//! What a presence document says, as JSON for people: activities, moods, notes, contact cards, capabilities. What is not said is left out.

use serde_json::{Map, Value as Json, json};
use signalbox_documents::caps::{Capability, DeviceCapabilities, ServiceCapabilities, Support};
use signalbox_documents::cipid::Cipid;
use signalbox_documents::data_model::{Device, Person, Presence, Service};
use signalbox_documents::pidf::{Note, Timestamp};
use signalbox_documents::rpid::{Listing, PlaceIs, Rpid, UserInput, Word};

/// Persons, services and devices.
pub(super) fn presence(presence: &Presence) -> Json {
    let mut said = Said::default();
    said.list("persons", presence.persons.iter().map(|one| person(presence, one)));
    said.list("services", presence.services.iter().map(service));
    said.list("devices", presence.devices.iter().map(device));
    said.notes("notes", &presence.notes);
    said.0.into()
}

fn person(presence: &Presence, person: &Person) -> Json {
    let mut said = Said::default();
    said.text("id", Some(&person.id));
    said.rpid(&person.rpid);
    said.cipid(&person.cipid);
    said.notes("notes", presence.notes_of(person));
    said.timestamp(person.timestamp.as_ref());
    said.0.into()
}

fn service(service: &Service) -> Json {
    let mut said = Said::default();
    said.text("id", Some(&service.id));
    said.text("basic", service.basic.map(|basic| basic.as_str()));
    said.text("contact", service.contact.as_ref().map(|contact| contact.uri.as_str()));
    let priority = service.contact.as_ref().and_then(|contact| contact.priority);
    said.value("priority", priority.map(|priority| f64::from(priority.thousandths()) / 1000.0));
    said.list("devices", service.device_ids.iter().map(|id| id.as_str().into()));
    said.rpid(&service.rpid);
    said.cipid(&service.cipid);
    said.value("capabilities", service.capabilities.as_ref().map(service_capabilities));
    said.notes("notes", &service.notes);
    said.timestamp(service.timestamp.as_ref());
    said.0.into()
}

fn device(device: &Device) -> Json {
    let mut said = Said::default();
    said.text("id", Some(&device.id));
    said.text("device_id", Some(&device.device_id));
    said.rpid(&device.rpid);
    said.value("capabilities", device.capabilities.as_ref().map(device_capabilities));
    said.notes("notes", &device.notes);
    said.timestamp(device.timestamp.as_ref());
    said.0.into()
}

fn service_capabilities(capabilities: &ServiceCapabilities) -> Json {
    let mut said = Said::default();
    for (name, flag) in capabilities.flags() {
        said.value(name, flag);
    }
    said.support("actor", &capabilities.actor);
    said.support("class", &capabilities.class);
    said.support("duplex", &capabilities.duplex);
    said.support("event_packages", &capabilities.event_packages);
    said.support("extensions", &capabilities.sip_extensions);
    said.support("methods", &capabilities.methods);
    said.support("languages", &capabilities.languages);
    said.support("priority", &capabilities.priority);
    said.support("schemes", &capabilities.schemes);
    said.list("types", capabilities.types.iter().map(|one| one.as_str().into()));
    said.notes("descriptions", &capabilities.descriptions);
    said.0.into()
}

fn device_capabilities(capabilities: &DeviceCapabilities) -> Json {
    let mut said = Said::default();
    said.support("mobility", &capabilities.mobility);
    said.notes("descriptions", &capabilities.descriptions);
    said.0.into()
}

fn place(place: &PlaceIs) -> Json {
    let mut said = Said::default();
    said.text("audio", place.audio.as_ref().map(|value| value.name()));
    said.text("video", place.video.as_ref().map(|value| value.name()));
    said.text("text", place.text.as_ref().map(|value| value.name()));
    said.0.into()
}

fn user_input(input: &UserInput) -> Json {
    let mut said = Said::default();
    said.text("state", Some(input.state.as_str()));
    said.text("last_input", input.last_input.as_ref().map(Timestamp::as_str));
    said.value("idle_threshold", input.idle_threshold.map(|threshold| threshold.as_secs()));
    said.0.into()
}

fn note(note: &Note) -> Json {
    match &note.lang {
        None => json!({ "text": note.text }),
        Some(lang) => json!({ "text": note.text, "lang": lang }),
    }
}

/// An object that has only what is said.
#[derive(Default)]
struct Said(Map<String, Json>);

impl Said {
    fn value(&mut self, name: &str, value: Option<impl Into<Json>>) {
        if let Some(value) = value {
            self.0.insert(name.to_owned(), value.into());
        }
    }

    fn text(&mut self, name: &str, text: Option<&str>) {
        self.value(name, text.filter(|text| !text.is_empty()));
    }

    fn list(&mut self, name: &str, items: impl Iterator<Item = Json>) {
        let items: Vec<_> = items.collect();
        self.value(name, Some(items).filter(|items| !items.is_empty()));
    }

    fn notes(&mut self, name: &str, notes: &[Note]) {
        self.list(name, notes.iter().map(note));
    }

    fn timestamp(&mut self, timestamp: Option<&Timestamp>) {
        self.text("timestamp", timestamp.map(Timestamp::as_str));
    }

    /// The values of all listings of one kind, one behind the other.
    fn listings<'a, W: Word>(&mut self, name: &str, listings: impl IntoIterator<Item = &'a Listing<W>>) {
        self.list(name, listings.into_iter().flat_map(Listing::names).map(Json::from));
    }

    fn support<C: Capability>(&mut self, name: &str, support: &Support<C>) {
        let mut said = Self::default();
        said.list("supported", support.supported.iter().map(|one| one.name().into()));
        said.list("not_supported", support.not_supported.iter().map(|one| one.name().into()));
        self.value(name, Some(said.0).filter(|said| !said.is_empty()));
    }

    fn rpid(&mut self, rpid: &Rpid) {
        self.listings("activities", &rpid.activities);
        self.text("class", rpid.class.as_deref());
        self.listings("moods", &rpid.moods);
        self.list("places", rpid.place_is.iter().map(place));
        self.listings("place_types", &rpid.place_types);
        self.listings("privacy", &rpid.privacy);
        self.listings("relationship", &rpid.relationship);
        self.listings("service_class", &rpid.service_class);
        self.listings("spheres", &rpid.spheres);
        self.list("status_icons", rpid.status_icons.iter().map(|icon| icon.uri.as_str().into()));
        self.list("time_offsets", rpid.time_offsets.iter().map(|offset| offset.minutes.into()));
        self.value("user_input", rpid.user_input.as_ref().map(user_input));
        // What is noted beside an activity or mood.
        let activities = rpid.activities.iter().flat_map(|listing| &listing.notes);
        self.list("activity_notes", activities.map(note));
        self.list("mood_notes", rpid.moods.iter().flat_map(|listing| &listing.notes).map(note));
    }

    fn cipid(&mut self, cipid: &Cipid) {
        let mut said = Self::default();
        said.text("card", cipid.card.as_deref());
        said.notes("display_names", &cipid.display_names);
        said.text("homepage", cipid.homepage.as_deref());
        said.text("icon", cipid.icon.as_deref());
        said.text("map", cipid.map.as_deref());
        said.text("sound", cipid.sound.as_deref());
        self.value("contact_card", Some(said.0).filter(|said| !said.is_empty()));
    }
}

#[cfg(test)]
mod tests {
    use signalbox_documents::pidf::Pidf;
    use signalbox_documents::xml::Limits;

    use super::*;

    fn described(inside: &str) -> Json {
        let text = format!(
            "<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:dm='urn:ietf:params:xml:ns:pidf:data-model' xmlns:r='urn:ietf:params:xml:ns:pidf:rpid' \
             xmlns:c='urn:ietf:params:xml:ns:pidf:cipid' xmlns:caps='urn:ietf:params:xml:ns:pidf:caps' xmlns:lt='urn:ietf:params:xml:ns:location-type' \
             entity='pres:a@b'>{inside}</presence>"
        );
        presence(&Presence::of(&Pidf::parse(text.as_bytes(), &Limits::default()).unwrap()))
    }

    #[test]
    fn what_a_person_does_and_is_stands_in_words() {
        let said = described(
            "<note>of all</note><dm:person id='p'><r:activities><r:note>far</r:note><r:away/><r:other>juggling</r:other></r:activities><r:class>c</r:class>\
             <r:mood><r:note xml:lang='en'>why</r:note><r:angry/></r:mood><r:place-is><r:audio><r:noisy/></r:audio></r:place-is><r:place-type><lt:street/></r:place-type>\
             <r:privacy><r:audio/></r:privacy><r:sphere><r:work/></r:sphere><r:status-icon>i:1</r:status-icon><r:time-offset>-240</r:time-offset>\
             <r:user-input last-input='2004-10-21T13:20:00-05:00' idle-threshold='600'>idle</r:user-input>\
             <c:card>c:1</c:card><c:display-name>A</c:display-name><dm:timestamp>2005-05-30T16:09:44+05:00</dm:timestamp></dm:person>",
        );
        let person = json!({
            "id": "p", "activities": ["away", "juggling"], "class": "c", "moods": ["angry"], "places": [{ "audio": "noisy" }],
            "place_types": ["street"], "privacy": ["audio"], "spheres": ["work"], "status_icons": ["i:1"], "time_offsets": [-240],
            "user_input": { "state": "idle", "last_input": "2004-10-21T13:20:00-05:00", "idle_threshold": 600 },
            "activity_notes": [{ "text": "far" }], "mood_notes": [{ "text": "why", "lang": "en" }],
            "contact_card": { "card": "c:1", "display_names": [{ "text": "A" }] },
            "notes": [{ "text": "of all" }], "timestamp": "2005-05-30T16:09:44+05:00",
        });
        assert_eq!(said, json!({ "persons": [person], "notes": [{ "text": "of all" }] }));
    }

    #[test]
    fn what_services_and_devices_can_do_stands_in_words() {
        let said = described(
            "<tuple id='t'><status><basic>closed</basic></status><dm:deviceID>urn:d</dm:deviceID><r:relationship><r:assistant/></r:relationship>\
             <r:service-class><r:electronic/></r:service-class><caps:servcaps><caps:audio>true</caps:audio><caps:type>text/plain</caps:type>\
             <caps:methods><caps:supported><caps:INVITE/></caps:supported><caps:notsupported><caps:INFO/></caps:notsupported></caps:methods>\
             <caps:priority><caps:supported><caps:range minvalue='1' maxvalue='3'/></caps:supported></caps:priority></caps:servcaps></tuple>\
             <dm:device id='d'><caps:devcaps><caps:mobility><caps:supported><caps:fixed/></caps:supported></caps:mobility></caps:devcaps>\
             <dm:deviceID>urn:d</dm:deviceID></dm:device>",
        );
        let capabilities = json!({
            "audio": true, "methods": { "supported": ["INVITE"], "not_supported": ["INFO"] }, "priority": { "supported": ["1 to 3"] },
            "types": ["text/plain"],
        });
        let service = json!({
            "id": "t", "basic": "closed", "devices": ["urn:d"], "relationship": ["assistant"], "service_class": ["electronic"],
            "capabilities": capabilities,
        });
        let device =
            json!({ "id": "d", "device_id": "urn:d", "capabilities": { "mobility": { "supported": ["fixed"] } } });
        assert_eq!(said, json!({ "services": [service], "devices": [device] }));
    }
}
