//! A text for people (RFC 3863 §4.1.6).

use crate::xml::{Element, push_attribute, push_end_tag, push_text};

/// A text for people, with the language that it is in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Note {
    pub lang: Option<String>,
    pub text: String,
}

impl Note {
    pub(crate) fn read(element: Element<'_>) -> Self {
        Self { lang: element.lang().map(str::to_owned), text: element.text().to_owned() }
    }

    /// Appends the element.
    pub fn write(&self, out: &mut String) {
        self.write_as("note", out);
    }

    /// The same under another name, such as `dm:note`.
    pub(crate) fn write_as(&self, name: &str, out: &mut String) {
        out.push('<');
        out.push_str(name);
        if let Some(lang) = &self.lang {
            push_attribute(out, "xml:lang", lang);
        }
        out.push('>');
        push_text(out, &self.text);
        push_end_tag(out, name);
    }
}
