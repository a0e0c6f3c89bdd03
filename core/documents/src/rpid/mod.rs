//! RPID, rich presence (RFC 4480): what a person is doing, how it is and where; whom a service reaches; whether a device is in use.
//!
//! | file | what |
//! |---|---|
//! | [`elements`] | all that RPID says about one person, service or device |
//! | [`listing`] | an element that lists words, with its notes and its time |
//! | [`enumeration`] | one word, a free text or a word of another namespace |
//! | [`words`] | the words: activities, moods, place types, … |
//! | [`place_is`] | `<place-is>` |
//! | [`simple`] | `<status-icon>`, `<time-offset>` |
//! | [`user_input`] | `<user-input>` |
//!
//! Values that aren't valid are never an error: an element that says nothing is kept as it came.

pub mod elements;
pub mod enumeration;
pub mod listing;
pub mod place_is;
pub mod simple;
pub mod user_input;
pub mod words;

pub use elements::Rpid;
pub(crate) use enumeration::push_if_room;
pub use enumeration::{MAX_VALUES, Value, Word};
pub use listing::{Listing, Span};
pub use place_is::PlaceIs;
pub use simple::{StatusIcon, TimeOffset};
pub use user_input::{UserInput, UserInputState};
pub use words::{
    Activity, AudioPlace, Mood, PlaceType, Privacy, Relationship, ServiceClass, Sphere, TextPlace, VideoPlace,
};

use crate::xml::Element;
use crate::{data_model, pidf};

pub const NAMESPACE: &str = "urn:ietf:params:xml:ns:pidf:rpid";
/// The prefix that it is written with.
pub const PREFIX: &str = "rpid";
/// The media type that old clients ask for it by; it has been that of PIDF since RFC 4480.
pub const CONTENT_TYPE: &str = "application/rpid+xml";

/// Notes are written in three namespaces, and clients mix them up.
fn is_note(element: Element<'_>) -> bool {
    element.name() == "note" && matches!(element.namespace(), NAMESPACE | data_model::NAMESPACE | pidf::NAMESPACE)
}
