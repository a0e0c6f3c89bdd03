//! An element that lists words, and what all such elements have: notes, an id and a time of their own.

use super::enumeration::{MAX_VALUES, Value, Word};
use super::is_note;
use crate::pidf::{Note, Timestamp};
use crate::xml::{Element, push_attribute, push_end_tag, push_text};

/// The attributes that tell when an element holds (RFC 4480 §3.1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Span {
    /// Refers to the element uniquely.
    pub id: Option<String>,
    /// When it took its value.
    pub from: Option<Timestamp>,
    /// Until when it is expected to hold.
    pub until: Option<Timestamp>,
}

impl Span {
    /// A time that can't be read is as if it weren't there.
    pub(super) fn read(element: Element<'_>) -> Self {
        let time = |name| element.attribute(name).and_then(|text| Timestamp::parse(text.trim()));
        let id = element.attribute("id").filter(|id| !id.is_empty()).map(str::to_owned);
        Self { id, from: time("from"), until: time("until") }
    }

    pub(super) fn write(&self, out: &mut String) {
        if let Some(id) = &self.id {
            push_attribute(out, "id", id);
        }
        for (name, time) in [("from", &self.from), ("until", &self.until)] {
            if let Some(time) = time {
                push_attribute(out, name, time.as_str());
            }
        }
    }
}

/// A list of words such as `<activities>`: of one enumeration, with notes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing<W> {
    pub span: Span,
    pub notes: Vec<Note>,
    pub values: Vec<Value<W>>,
}

impl<W> Default for Listing<W> {
    fn default() -> Self {
        Self { span: Span::default(), notes: Vec::new(), values: Vec::new() }
    }
}

impl<W: Word> Listing<W> {
    /// Of these words, without notes.
    pub fn of(words: impl IntoIterator<Item = W>) -> Self {
        Self { values: words.into_iter().map(Value::Word).collect(), ..Self::default() }
    }

    pub fn has(&self, word: W) -> bool {
        self.values.iter().any(|value| matches!(value, Value::Word(known) if *known == word))
    }

    /// What there is to show of each value.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(Value::name)
    }

    /// Reads the element. Text in place of a word, as the example of RFC 4480 §4 has in `<sphere>`, counts as free text.
    pub(super) fn read(element: Element<'_>) -> Self {
        let mut listing = Self { span: Span::read(element), ..Self::default() };
        for child in element.children().take(MAX_VALUES) {
            match is_note(child) {
                true => listing.notes.push(Note::read(child)),
                false => listing.values.extend(Value::read(child)),
            }
        }
        if listing.values.is_empty() && !element.text().is_empty() {
            listing.values.push(Value::Other(Note::read(element)));
        }
        listing
    }

    pub(super) fn write(&self, name: &str, out: &mut String) {
        out.push('<');
        out.push_str(name);
        self.span.write(out);
        out.push('>');
        self.notes.iter().for_each(|note| note.write_as("rpid:note", out));
        for value in &self.values {
            match value {
                // §3.11: <sphere> has no <other>; the example of §4 has the text itself.
                Value::Other(text) if name == "rpid:sphere" && self.values.len() == 1 => push_text(out, &text.text),
                value => value.write(out),
            }
        }
        push_end_tag(out, name);
    }
}
