//! `<place-is>`: what the place allows (RFC 4480 §3.6).

use super::enumeration::{Value, Word};
use super::is_note;
use super::listing::Span;
use super::words::{AudioPlace, TextPlace, VideoPlace};
use super::{MAX_VALUES, NAMESPACE};
use crate::pidf::Note;
use crate::xml::{Element, Fragment, push_end_tag, push_start_tag};

/// How a place suits each kind of media. Nothing is said of those that are None.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlaceIs {
    pub span: Span,
    pub notes: Vec<Note>,
    pub audio: Option<Value<AudioPlace>>,
    pub video: Option<Value<VideoPlace>>,
    pub text: Option<Value<TextPlace>>,
    /// Elements beside these.
    pub extensions: Vec<Fragment>,
}

impl PlaceIs {
    pub(super) fn read(element: Element<'_>) -> Self {
        let mut place = Self { span: Span::read(element), ..Self::default() };
        for child in element.children().take(MAX_VALUES) {
            match (child.namespace(), child.name()) {
                _ if is_note(child) => place.notes.push(Note::read(child)),
                (NAMESPACE, "audio") => place.audio = condition(child),
                (NAMESPACE, "video") => place.video = condition(child),
                (NAMESPACE, "text") => place.text = condition(child),
                _ => place.extensions.extend(child.to_fragment()),
            }
        }
        place
    }

    pub(super) fn write(&self, out: &mut String) {
        out.push_str("<rpid:place-is");
        self.span.write(out);
        out.push('>');
        self.notes.iter().for_each(|note| note.write_as("rpid:note", out));
        write_condition("rpid:audio", self.audio.as_ref(), out);
        write_condition("rpid:video", self.video.as_ref(), out);
        write_condition("rpid:text", self.text.as_ref(), out);
        self.extensions.iter().for_each(|extension| out.push_str(extension.as_str()));
        out.push_str("</rpid:place-is>");
    }
}

fn condition<W: Word>(medium: Element<'_>) -> Option<Value<W>> {
    medium.children().next().and_then(Value::read)
}

fn write_condition<W: Word>(medium: &str, condition: Option<&Value<W>>, out: &mut String) {
    if let Some(condition) = condition {
        push_start_tag(out, medium);
        condition.write(out);
        push_end_tag(out, medium);
    }
}
