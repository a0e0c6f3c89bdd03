//! A presence document as persons, services and devices.

use super::{Device, Person, Service};
use crate::pidf::{Note, Pidf};
use crate::rpid::{UserInput, UserInputState};
use crate::xml::{Fragment, XmlError};

/// What a presence document says, by the data model.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Presence {
    /// The presentity's URI.
    pub entity: String,
    pub persons: Vec<Person>,
    pub services: Vec<Service>,
    pub devices: Vec<Device>,
    /// Those of the document: they are the notes of each person without notes of its own (RFC 4479 §5).
    pub notes: Vec<Note>,
    /// Elements of the document that are none of these.
    pub extensions: Vec<Fragment>,
}

impl Presence {
    /// What the document says.
    pub fn of(pidf: &Pidf) -> Self {
        let mut presence = Self {
            entity: pidf.entity.clone(),
            services: pidf.tuples.iter().map(Service::of).collect(),
            notes: pidf.notes.clone(),
            ..Self::default()
        };
        for extension in &pidf.extensions {
            if let Some(person) = Person::read(extension) {
                presence.persons.push(person);
            } else if let Some(device) = Device::read(extension) {
                presence.devices.push(device);
            } else {
                presence.extensions.push(extension.clone());
            }
        }
        presence
    }

    /// The notes that hold for a person: its own, else those of the document (RFC 4479 §5).
    pub fn notes_of<'a>(&'a self, person: &'a Person) -> &'a [Note] {
        if person.notes.is_empty() { &self.notes } else { &person.notes }
    }

    /// Whether nothing that says so is in use (RFC 4480 §3.14): what a person says sums up the rest.
    pub fn is_idle(&self) -> bool {
        let persons = || self.persons.iter().filter_map(|person| person.rpid.user_input.as_ref());
        let services = self.services.iter().map(|service| &service.rpid);
        let parts = services.chain(self.devices.iter().map(|device| &device.rpid));
        let is_idle = |input: &UserInput| input.state == UserInputState::Idle;
        if persons().next().is_some() {
            return persons().all(is_idle);
        }
        let mut inputs = parts.filter_map(|rpid| rpid.user_input.as_ref()).peekable();
        inputs.peek().is_some() && inputs.all(is_idle)
    }

    /// The document with this content. Fails if it is larger than a document may be.
    pub fn to_pidf(&self) -> Result<Pidf, XmlError> {
        let persons = self.persons.iter().map(Person::to_fragment);
        let devices = self.devices.iter().map(Device::to_fragment);
        let mut extensions = persons.chain(devices).collect::<Result<Vec<_>, _>>()?;
        extensions.extend_from_slice(&self.extensions);
        let tuples = self.services.iter().map(Service::to_tuple).collect::<Result<_, _>>()?;
        Ok(Pidf { entity: self.entity.clone(), tuples, notes: self.notes.clone(), extensions })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::arbitrary;
    use super::*;
    use crate::caps::{Extension, Method};
    use crate::pidf::{Basic, PidfError};
    use crate::rpid::{Activity, Value};
    use crate::xml::Limits;

    /// RFC 4479 §7.1, but for its missing entity.
    const EXAMPLE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
   <presence xmlns="urn:ietf:params:xml:ns:pidf"
    xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model"
    xmlns:rp="urn:ietf:params:xml:ns:pidf:rpid"
    xmlns:caps="urn:ietf:params:xml:ns:pidf:caps"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" entity="pres:someone@example.com">
    <tuple id="sg89ae">
     <status>
      <basic>open</basic>
     </status>
     <dm:deviceID>mac:8asd7d7d70</dm:deviceID>
     <caps:servcaps>

      <caps:extensions>
       <caps:supported>
        <caps:pref/>
       </caps:supported>
      </caps:extensions>
      <caps:methods>
       <caps:supported>
        <caps:MESSAGE/>
        <caps:OPTIONS/>
       </caps:supported>
      </caps:methods>
     </caps:servcaps>
     <contact>sip:someone@example.com</contact>
    </tuple>
    <dm:person id="p1">
     <rp:activities>
      <rp:on-the-phone/>
     </rp:activities>
    </dm:person>
    <dm:device id="pc122">
     <rp:user-input>idle</rp:user-input>
     <dm:deviceID>mac:8asd7d7d70</dm:deviceID>
    </dm:device>
   </presence>"#;

    fn read(text: &str) -> Presence {
        Presence::of(&Pidf::parse(text.as_bytes(), &Limits::default()).unwrap())
    }

    fn printed(presence: &Presence) -> String {
        let mut out = String::new();
        presence.to_pidf().unwrap().write(&mut out);
        out
    }

    #[test]
    fn the_example_of_the_data_model_is_read() {
        let without_entity = EXAMPLE.replace("entity=", "identity=");
        assert_eq!(Pidf::parse(without_entity.as_bytes(), &Limits::default()), Err(PidfError::Entity));
        let presence = read(EXAMPLE);
        let (service, person, device) = (&presence.services[0], &presence.persons[0], &presence.devices[0]);
        assert_eq!((service.id.as_str(), service.basic), ("sg89ae", Some(Basic::Open)));
        assert_eq!(service.device_ids, ["mac:8asd7d7d70"]);
        let capabilities = service.capabilities.as_ref().unwrap();
        assert_eq!(capabilities.sip_extensions.supported, [Value::Word(Extension::Pref)]);
        let methods = [Method::Message, Method::Options].map(Value::Word);
        assert_eq!(capabilities.methods.supported, methods);
        assert!(person.rpid.does(Activity::OnThePhone) && !person.rpid.is_idle());
        assert_eq!((device.id.as_str(), device.device_id.as_str()), ("pc122", "mac:8asd7d7d70"));
        assert!(device.rpid.is_idle());
        assert_eq!(read(&printed(&presence)), presence);
    }

    #[test]
    fn a_person_without_notes_has_those_of_the_document() {
        let presence = read(
            "<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:dm='urn:ietf:params:xml:ns:pidf:data-model' entity='pres:a@b'>\
             <note>of all</note><dm:person id='1'/><dm:person id='2'><dm:note>own</dm:note></dm:person></presence>",
        );
        let notes = |at: usize| presence.notes_of(&presence.persons[at])[0].text.as_str();
        assert_eq!((notes(0), notes(1)), ("of all", "own"));
    }

    #[test]
    fn what_is_not_known_or_not_valid_is_kept() {
        let person = "<dm:person id=\"1\"><r:user-input>asleep</r:user-input><r:new xmlns:y=\"u:y\" y:z=\"1\"/><r:time-offset>noon</r:time-offset>\
            <dm:new/><x:y xmlns:x=\"u:x\">z</x:y></dm:person>";
        let presence = read(&format!(
            "<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:dm='urn:ietf:params:xml:ns:pidf:data-model' \
             xmlns:r='urn:ietf:params:xml:ns:pidf:rpid' entity='pres:a@b'>{person}<z xmlns='u:z'/></presence>"
        ));
        let kept: Vec<_> = presence.persons[0].extensions.iter().map(|one| (one.namespace(), one.name())).collect();
        let (rpid, model) = (crate::rpid::NAMESPACE, super::super::NAMESPACE);
        let expected = [(rpid, "user-input"), (rpid, "new"), (rpid, "time-offset"), (model, "new"), ("u:x", "y")];
        assert_eq!(kept, expected);
        assert_eq!(presence.extensions[0].as_str(), "<z xmlns='u:z'/>");
        assert_eq!(read(&printed(&presence)), presence);
    }

    #[test]
    fn of_two_timestamps_the_first_counts_also_when_written_again() {
        for kind in ["person", "device"] {
            let twice = format!(
                r#"<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" entity="pres:a@b">
                  <dm:{kind} id="x"><dm:timestamp>2005-05-30T16:09:44Z</dm:timestamp><dm:timestamp>2005-05-30T17:09:44Z</dm:timestamp></dm:{kind}>
                </presence>"#
            );
            let first = read(&twice);
            let timestamp = first.persons.first().map(|person| &person.timestamp);
            let timestamp = timestamp.or_else(|| first.devices.first().map(|device| &device.timestamp)).unwrap();
            assert!(format!("{timestamp:?}").contains("16:09:44"), "{timestamp:?}");
            let mut printed = String::new();
            first.to_pidf().unwrap().write(&mut printed);
            assert_eq!(read(&printed), first);
        }
    }

    #[test]
    fn what_has_no_id_is_written_without_one() {
        let (persons, devices) = (vec![Person::default()], vec![Device::default()]);
        let text = printed(&Presence { entity: "pres:a@b".to_owned(), persons, devices, ..Presence::default() });
        let model = super::super::NAMESPACE;
        assert!(text.contains(&format!("<dm:person xmlns:dm=\"{model}\"></dm:person>")), "{text}");
        assert!(text.contains(&format!("<dm:device xmlns:dm=\"{model}\"></dm:device>")), "{text}");
    }

    #[test]
    fn what_xml_does_not_allow_is_replaced() {
        let person = Person {
            id: "1".to_owned(),
            notes: vec![Note { lang: None, text: "\u{1}".to_owned() }],
            ..Person::default()
        };
        let text = printed(&Presence { entity: "pres:a@b".to_owned(), persons: vec![person], ..Presence::default() });
        assert_eq!(read(&text).persons[0].notes[0].text, "\u{fffd}");
    }

    proptest! {
        #[test]
        fn any_presence_is_read_as_it_was_written(presence in arbitrary::presence()) {
            prop_assert_eq!(read(&printed(&presence)), presence);
        }
    }
}
