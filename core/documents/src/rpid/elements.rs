//! All that RPID says about one person, service or device (RFC 4480 §3.1).

use super::listing::Listing;
use super::place_is::PlaceIs;
use super::simple::{StatusIcon, TimeOffset};
use super::user_input::{UserInput, UserInputState};
use super::words::{Activity, Mood, PlaceType, Privacy, Relationship, ServiceClass, Sphere};
use super::{NAMESPACE, push_if_room};
use crate::xml::{Element, push_text_element};

/// The RPID elements inside a `<person>`, `<tuple>` or `<device>`. Each kind may stand wherever a publisher puts it, though Table 1 of the RFC
/// allows only some combinations. Those that may differ by time (`from`, `until`) are lists.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rpid {
    pub activities: Vec<Listing<Activity>>,
    /// Groups elements; not for people to see (§3.3).
    pub class: Option<String>,
    pub moods: Vec<Listing<Mood>>,
    pub place_is: Vec<PlaceIs>,
    pub place_types: Vec<Listing<PlaceType>>,
    pub privacy: Vec<Listing<Privacy>>,
    pub relationship: Option<Listing<Relationship>>,
    pub service_class: Option<Listing<ServiceClass>>,
    pub spheres: Vec<Listing<Sphere>>,
    pub status_icons: Vec<StatusIcon>,
    pub time_offsets: Vec<TimeOffset>,
    pub user_input: Option<UserInput>,
}

impl Rpid {
    /// Takes an element in, if it is one of RPID. False where it is not, or its value means nothing: then it is to be kept as it came.
    pub fn take(&mut self, element: Element<'_>) -> bool {
        if element.namespace() != NAMESPACE {
            return false;
        }
        match element.name() {
            "activities" => push_if_room(&mut self.activities, Listing::read(element)),
            "class" => set(&mut self.class, Some(element.text().to_owned()).filter(|class| !class.is_empty())),
            "mood" => push_if_room(&mut self.moods, Listing::read(element)),
            "place-is" => push_if_room(&mut self.place_is, PlaceIs::read(element)),
            "place-type" => push_if_room(&mut self.place_types, Listing::read(element)),
            "privacy" => push_if_room(&mut self.privacy, Listing::read(element)),
            "relationship" => set(&mut self.relationship, Some(Listing::read(element))),
            "service-class" => set(&mut self.service_class, Some(Listing::read(element))),
            "sphere" => push_if_room(&mut self.spheres, Listing::read(element)),
            "status-icon" => StatusIcon::read(element).is_some_and(|icon| push_if_room(&mut self.status_icons, icon)),
            "time-offset" => {
                TimeOffset::read(element).is_some_and(|offset| push_if_room(&mut self.time_offsets, offset))
            }
            "user-input" => set(&mut self.user_input, UserInput::read(element)),
            _ => false,
        }
    }

    /// Appends the declarations of the prefixes that [`Self::write`] relies on, as attributes.
    pub fn declare(&self, out: &mut String) {
        if *self != Self::default() {
            out.push_str(" xmlns:rpid=\"urn:ietf:params:xml:ns:pidf:rpid\"");
        }
        if !self.place_types.is_empty() {
            out.push_str(" xmlns:lt=\"urn:ietf:params:xml:ns:location-type\"");
        }
    }

    /// Appends the elements. What stands around them [declares](Self::declare) their prefixes.
    pub fn write(&self, out: &mut String) {
        self.activities.iter().for_each(|activities| activities.write("rpid:activities", out));
        if let Some(class) = &self.class {
            push_text_element(out, "rpid:class", class);
        }
        self.moods.iter().for_each(|mood| mood.write("rpid:mood", out));
        self.place_is.iter().for_each(|place| place.write(out));
        self.place_types.iter().for_each(|place| place.write("rpid:place-type", out));
        self.privacy.iter().for_each(|privacy| privacy.write("rpid:privacy", out));
        self.relationship.iter().for_each(|relationship| relationship.write("rpid:relationship", out));
        self.service_class.iter().for_each(|class| class.write("rpid:service-class", out));
        self.spheres.iter().for_each(|sphere| sphere.write("rpid:sphere", out));
        self.status_icons.iter().for_each(|icon| icon.write(out));
        self.time_offsets.iter().for_each(|offset| offset.write(out));
        self.user_input.iter().for_each(|input| input.write(out));
    }

    pub fn does(&self, activity: Activity) -> bool {
        self.activities.iter().any(|activities| activities.has(activity))
    }

    pub fn is_idle(&self) -> bool {
        self.user_input.as_ref().is_some_and(|input| input.state == UserInputState::Idle)
    }
}

/// False where there is no value, or was one before.
fn set<T>(slot: &mut Option<T>, value: Option<T>) -> bool {
    let takes = slot.is_none() && value.is_some();
    if takes {
        *slot = value;
    }
    takes
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::data_model::{Person, Presence};
    use crate::pidf::{Note, Pidf, Timestamp};
    use crate::rpid::{AudioPlace, Span, Value, Word};
    use crate::xml::{Document, Limits};

    /// RFC 4480 §4.
    const EXAMPLE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
      <presence xmlns="urn:ietf:params:xml:ns:pidf"
        xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model"
        xmlns:lt="urn:ietf:params:xml:ns:location-type"
        xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid"
        entity="pres:someone@example.com">

     <tuple id="bs35r9">
       <status>
         <basic>open</basic>
       </status>
       <dm:deviceID>urn:device:0003ba4811e3</dm:deviceID>
       <rpid:relationship><rpid:self/></rpid:relationship>
       <rpid:service-class><rpid:electronic/></rpid:service-class>
       <contact priority="0.8">im:someone@mobile.example.net</contact>
       <note xml:lang="en">Don't Disturb Please!</note>
       <note xml:lang="fr">Ne derangez pas, s'il vous plait</note>
       <timestamp>2005-10-27T16:49:29Z</timestamp>
     </tuple>

     <tuple id="ty4658">
       <status>
         <basic>open</basic>
       </status>
       <rpid:relationship><rpid:assistant/></rpid:relationship>
       <contact priority="1.0">mailto:secretary@example.com</contact>
     </tuple>

     <tuple id="eg92n8">
       <status>
         <basic>open</basic>
       </status>
       <dm:deviceID>urn:x-mac:0003ba4811e3</dm:deviceID>
       <rpid:class>email</rpid:class>
       <rpid:service-class><rpid:electronic/></rpid:service-class>
       <rpid:status-icon>http://example.com/mail.png</rpid:status-icon>
       <contact priority="1.0">mailto:someone@example.com</contact>
     </tuple>

     <note>I'll be in Tokyo next week</note>

     <dm:device id="pc147">
       <rpid:user-input idle-threshold="600"
         last-input="2004-10-21T13:20:00-05:00">idle</rpid:user-input>
       <dm:deviceID>urn:device:0003ba4811e3</dm:deviceID>

       <dm:note>PC</dm:note>
     </dm:device>

     <dm:person id="p1">
       <rpid:activities from="2005-05-30T12:00:00+05:00"
          until="2005-05-30T17:00:00+05:00">
          <rpid:note>Far away</rpid:note>
          <rpid:away/>
       </rpid:activities>
       <rpid:class>calendar</rpid:class>
       <rpid:mood>
         <rpid:angry/>
         <rpid:other>brooding</rpid:other>
       </rpid:mood>
       <rpid:place-is>
          <rpid:audio>
             <rpid:noisy/>
          </rpid:audio>
       </rpid:place-is>
       <rpid:place-type><lt:residence/></rpid:place-type>
       <rpid:privacy><rpid:unknown/></rpid:privacy>
       <rpid:sphere>bowling league</rpid:sphere>
       <rpid:status-icon>http://example.com/play.gif</rpid:status-icon>

       <rpid:time-offset>-240</rpid:time-offset>
       <dm:note>Scoring 120</dm:note>
       <dm:timestamp>2005-05-30T16:09:44+05:00</dm:timestamp>
     </dm:person>
   </presence>"#;

    fn read(text: &str) -> Presence {
        Presence::of(&Pidf::parse(text.as_bytes(), &Limits::default()).unwrap())
    }

    fn note(text: &str) -> Note {
        Note { lang: None, text: text.to_owned() }
    }

    fn at(text: &str) -> Option<Timestamp> {
        Timestamp::parse(text)
    }

    #[test]
    fn the_person_of_the_example_is_read() {
        let mut activities = Listing::of([Activity::Away]);
        activities.span =
            Span { id: None, from: at("2005-05-30T12:00:00+05:00"), until: at("2005-05-30T17:00:00+05:00") };
        activities.notes.push(note("Far away"));
        let mut mood = Listing::of([Mood::Angry]);
        mood.values.push(Value::Other(note("brooding")));
        let place_is = PlaceIs { audio: Some(Value::Word(AudioPlace::Noisy)), ..PlaceIs::default() };
        let sphere = Listing { values: vec![Value::Other(note("bowling league"))], ..Listing::default() };
        let rpid = Rpid {
            activities: vec![activities],
            class: Some("calendar".to_owned()),
            moods: vec![mood],
            place_is: vec![place_is],
            place_types: vec![Listing::of([PlaceType::Residence])],
            privacy: vec![Listing::of([Privacy::Unknown])],
            spheres: vec![sphere],
            status_icons: vec![StatusIcon { uri: "http://example.com/play.gif".to_owned(), ..StatusIcon::default() }],
            time_offsets: vec![TimeOffset { minutes: -240, ..TimeOffset::default() }],
            ..Rpid::default()
        };
        let person = Person {
            id: "p1".to_owned(),
            rpid,
            notes: vec![note("Scoring 120")],
            timestamp: at("2005-05-30T16:09:44+05:00"),
            ..Person::default()
        };
        assert_eq!(read(EXAMPLE).persons, [person]);
    }

    #[test]
    fn the_services_and_the_device_of_the_example_are_read() {
        let presence = read(EXAMPLE);
        let [own, assistant, mail] = &presence.services[..] else { panic!("three services") };
        assert_eq!(own.device_ids, ["urn:device:0003ba4811e3"]);
        assert_eq!(own.rpid.relationship, Some(Listing::of([Relationship::Self_])));
        assert_eq!(own.rpid.service_class, Some(Listing::of([ServiceClass::Electronic])));
        assert_eq!(own.notes[1].lang.as_deref(), Some("fr"));
        assert_eq!(assistant.rpid.relationship, Some(Listing::of([Relationship::Assistant])));
        assert_eq!(
            (mail.rpid.class.as_deref(), mail.rpid.status_icons[0].uri.as_str()),
            (Some("email"), "http://example.com/mail.png")
        );
        let input = UserInput {
            id: None,
            state: UserInputState::Idle,
            idle_threshold: Some(Duration::from_secs(600)),
            last_input: at("2004-10-21T13:20:00-05:00"),
        };
        assert_eq!(
            (presence.devices[0].rpid.user_input.as_ref(), presence.devices[0].notes[0].text.as_str()),
            (Some(&input), "PC")
        );
        assert!([&own.extensions, &own.status_extensions, &presence.extensions].iter().all(|list| list.is_empty()));
    }

    #[test]
    fn the_example_that_was_written_reads_the_same() {
        let presence = read(EXAMPLE);
        let mut out = String::new();
        presence.to_pidf().unwrap().write(&mut out);
        assert_eq!(read(&out), presence);
        assert!(out.contains("<rpid:sphere>bowling league</rpid:sphere>"), "{out}");
    }

    #[test]
    fn every_word_is_read_as_it_is_written() {
        fn check<W: Word + std::fmt::Debug>(element: &str, count: usize, listing: fn(&Rpid) -> Option<&Listing<W>>) {
            assert_eq!(W::ALL.len(), count, "{element}");
            let words = W::ALL.iter().map(|word| format!("<{}:{}/>", W::PREFIX, word.as_str())).collect::<String>();
            let text = format!(
                "<x xmlns:rpid=\"{NAMESPACE}\" xmlns:lt=\"{}\"><rpid:{element}>{words}</rpid:{element}></x>",
                crate::rpid::words::LOCATION_TYPE
            );
            let document = Document::parse(text.as_bytes(), &Limits::default()).unwrap();
            let mut rpid = Rpid::default();
            assert!(document.root().children().all(|element| rpid.take(element)));
            assert_eq!(listing(&rpid), Some(&Listing::of(W::ALL.iter().copied())));
        }
        check("activities", 26, |rpid| rpid.activities.first());
        check("mood", 60, |rpid| rpid.moods.first());
        check("place-type", 44, |rpid| rpid.place_types.first());
        check("privacy", 4, |rpid| rpid.privacy.first());
        check("relationship", 7, |rpid| rpid.relationship.as_ref());
        check("service-class", 6, |rpid| rpid.service_class.as_ref());
        check("sphere", 3, |rpid| rpid.spheres.first());
    }
}
