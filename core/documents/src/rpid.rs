//! RPID: what a person is doing, how it is and where (RFC 4480), in the `<person>` of the data model (RFC 4479).
//!
//! Documents carry persons as [`Fragment`]s, so that all of them passes through; this reads what one says.

use crate::pidf::{self, Note, Timestamp};
use crate::xml::{Document, Element, Fragment, Limits};

/// The data model of RFC 4479: `<person>`, `<device>`, `<deviceID>`.
pub const DATA_MODEL: &str = "urn:ietf:params:xml:ns:pidf:data-model";
/// RPID of RFC 4480.
pub const NAMESPACE: &str = "urn:ietf:params:xml:ns:pidf:rpid";
/// The media type that old clients ask for it by; it has been that of PIDF since RFC 4480.
pub const CONTENT_TYPE: &str = "application/rpid+xml";

/// A `<person>`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Person {
    /// As it stands in the document; empty without.
    pub id: String,
    /// §3.2. Those that RFC 4480 doesn't name are not here.
    pub activities: Vec<Activity>,
    /// §3.2: what `<other>` of the activities says.
    pub other_activities: Vec<String>,
    /// §3.5: names such as `happy`.
    pub moods: Vec<String>,
    /// §3.7: names such as `home`, of the place types of RFC 4589.
    pub place_types: Vec<String>,
    /// §3.6.
    pub place_is: PlaceIs,
    /// §3.8: the media, `audio`, `video` and `text`, that others may hear or see too.
    pub privacy: Vec<String>,
    /// §3.3.
    pub class: Option<String>,
    /// §3.11: a name such as `work` or `home`, or another word.
    pub sphere: Option<String>,
    /// §3.12: a URI.
    pub status_icon: Option<String>,
    /// §3.13: minutes from UTC.
    pub time_offset: Option<i32>,
    /// §3.14.
    pub user_input: Option<UserInput>,
    /// Notes of the person and of its activities and mood, with their languages.
    pub notes: Vec<Note>,
    pub timestamp: Option<Timestamp>,
}

/// What the place allows (§3.6): names such as `noisy`, `dark`, `ok`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlaceIs {
    pub audio: Option<String>,
    pub video: Option<String>,
    pub text: Option<String>,
}

/// Whether the person or device was used of late (§3.14).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UserInput {
    Active,
    Idle,
}

macro_rules! activities {
    ($($name:ident $text:literal),* $(,)?) => {
        /// What a person does (§3.2).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Activity {
            $($name),*
        }

        impl Activity {
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The name of its element.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text),*
                }
            }
        }
    };
}

activities! {
    Appointment "appointment", Away "away", Breakfast "breakfast", Busy "busy", Dinner "dinner", Holiday "holiday",
    InTransit "in-transit", LookingForWork "looking-for-work", Meal "meal", Meeting "meeting", OnThePhone "on-the-phone",
    Performance "performance", PermanentAbsence "permanent-absence", Playing "playing", Presentation "presentation",
    Shopping "shopping", Sleeping "sleeping", Spectator "spectator", Steering "steering", Travel "travel", Tv "tv",
    Vacation "vacation", Working "working", Worship "worship", Unknown "unknown",
}

/// Elements that are read of one list.
const MAX_LIST: usize = 64;

impl Activity {
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|activity| activity.as_str() == name)
    }
}

impl Person {
    /// Reads an extension element of a presence document. None where it is no `<person>`.
    pub fn read(fragment: &Fragment) -> Option<Self> {
        if (fragment.namespace(), fragment.name()) != (DATA_MODEL, "person") {
            return None;
        }
        let document = Document::parse(fragment.as_str().as_bytes(), &Limits::default()).ok()?;
        let root = document.root();
        let mut person = Self { id: root.attribute("id").unwrap_or_default().to_owned(), ..Self::default() };
        root.children().for_each(|child| person.take(child));
        Some(person)
    }

    fn take(&mut self, element: Element<'_>) {
        let text = || Some(element.text().trim().to_owned()).filter(|text| !text.is_empty());
        match (element.namespace(), element.name()) {
            (DATA_MODEL | NAMESPACE | pidf::NAMESPACE, "note") => self.take_note(element),
            (DATA_MODEL, "timestamp") => self.timestamp = Timestamp::parse(element.text().trim()),
            (NAMESPACE, "activities") => self.take_activities(element),
            (NAMESPACE, "mood") => self.moods = self.names_in(element),
            (NAMESPACE, "place-type") => self.place_types = self.names_in(element),
            (NAMESPACE, "privacy") => self.privacy = self.names_in(element),
            (NAMESPACE, "place-is") => {
                let condition = |name| {
                    let element = element.child(NAMESPACE, name)?;
                    element.children().next().map(|child| child.name().to_owned())
                };
                self.place_is =
                    PlaceIs { audio: condition("audio"), video: condition("video"), text: condition("text") };
            }
            (NAMESPACE, "class") => self.class = text(),
            (NAMESPACE, "sphere") => {
                let named = element.children().next().map(|child| child.name().to_owned());
                self.sphere = named.or_else(text);
            }
            (NAMESPACE, "status-icon") => self.status_icon = text(),
            (NAMESPACE, "time-offset") => self.time_offset = text().and_then(|text| text.parse().ok()),
            (NAMESPACE, "user-input") => {
                self.user_input = match element.text().trim() {
                    "active" => Some(UserInput::Active),
                    "idle" => Some(UserInput::Idle),
                    _ => None,
                }
            }
            _ => {} // What isn't known is ignored (RFC 4480 §2).
        }
    }

    fn take_activities(&mut self, element: Element<'_>) {
        for child in element.children().filter(|child| child.namespace() == NAMESPACE).take(MAX_LIST) {
            match child.name() {
                "note" => self.take_note(child),
                "other" => self.other_activities.push(child.text().trim().to_owned()),
                name => self.activities.extend(Activity::parse(name)),
            }
        }
    }

    /// The names of the elements inside; of `<other>` what it says.
    fn names_in(&mut self, element: Element<'_>) -> Vec<String> {
        let mut names = Vec::new();
        for child in element.children().take(MAX_LIST) {
            match child.name() {
                "note" => self.take_note(child),
                "other" => names.push(child.text().trim().to_owned()),
                name => names.push(name.to_owned()),
            }
        }
        names
    }

    fn take_note(&mut self, element: Element<'_>) {
        if self.notes.len() < MAX_LIST {
            self.notes.push(Note { lang: element.lang().map(str::to_owned), text: element.text().to_owned() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pidf::Pidf;

    fn person(inside: &str) -> Person {
        let text = format!(
            "<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:dm='urn:ietf:params:xml:ns:pidf:data-model' \
             xmlns:r='urn:ietf:params:xml:ns:pidf:rpid' xmlns:lt='urn:ietf:params:xml:ns:location-type' entity='pres:a@b'>\
             <dm:device id='d'/><dm:person id='p1'>{inside}</dm:person></presence>"
        );
        let pidf = Pidf::parse(text.as_bytes(), &Limits::default()).unwrap();
        let mut persons = pidf.extensions.iter().filter_map(Person::read);
        let person = persons.next().unwrap();
        assert!(persons.next().is_none(), "a device is no person");
        person
    }

    #[test]
    fn all_that_a_person_says_is_read() {
        let read = person(
            "<r:activities from='2005-05-30T12:00:00+05:00'><r:note>Far away</r:note><r:away/><r:other>juggling</r:other><r:unheard-of/></r:activities>\
             <r:class>calendar</r:class><r:mood><r:angry/><r:other>brooding</r:other></r:mood>\
             <r:place-is><r:audio><r:noisy/></r:audio><r:video><r:ok/></r:video></r:place-is>\
             <r:place-type><lt:residence/></r:place-type><r:privacy><r:audio/></r:privacy><r:sphere>bowling league</r:sphere>\
             <r:status-icon>http://example.com/play.gif</r:status-icon><r:time-offset>-240</r:time-offset>\
             <r:user-input last-input='2004-10-21T13:20:00-05:00'>idle</r:user-input>\
             <dm:note xml:lang='en'>Scoring 120</dm:note><dm:timestamp>2005-05-30T16:09:44+05:00</dm:timestamp>",
        );
        let note = |lang: Option<&str>, text: &str| Note { lang: lang.map(str::to_owned), text: text.to_owned() };
        let expected = Person {
            id: "p1".to_owned(),
            activities: vec![Activity::Away],
            other_activities: vec!["juggling".to_owned()],
            moods: vec!["angry".to_owned(), "brooding".to_owned()],
            place_types: vec!["residence".to_owned()],
            place_is: PlaceIs { audio: Some("noisy".to_owned()), video: Some("ok".to_owned()), text: None },
            privacy: vec!["audio".to_owned()],
            class: Some("calendar".to_owned()),
            sphere: Some("bowling league".to_owned()),
            status_icon: Some("http://example.com/play.gif".to_owned()),
            time_offset: Some(-240),
            user_input: Some(UserInput::Idle),
            notes: vec![note(None, "Far away"), note(Some("en"), "Scoring 120")],
            timestamp: Timestamp::parse("2005-05-30T16:09:44+05:00"),
        };
        assert_eq!(read, expected);
    }

    #[test]
    fn every_activity_is_read_as_it_is_written() {
        for activity in Activity::ALL {
            let read = person(&format!("<r:activities><r:{}/></r:activities>", activity.as_str()));
            assert_eq!(read.activities, [*activity]);
        }
        assert_eq!(person("<r:sphere><r:work/></r:sphere>").sphere.as_deref(), Some("work"));
    }
}
