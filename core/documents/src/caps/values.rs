//! What stands in `<supported>` and `<notsupported>`.

use super::NAMESPACE;
use crate::rpid::{Value, Word};
use crate::xml::{Element, Fragment, push_attribute, push_text_element};

/// One thing that is supported or not.
pub trait Capability: Sized {
    /// None where the element says nothing.
    fn read(element: Element<'_>) -> Option<Self>;

    /// Appends the element. Around it the prefix `caps` stands for the namespace.
    fn write(&self, out: &mut String);

    /// What there is to show.
    fn name(&self) -> String;
}

impl<W: Word> Capability for Value<W> {
    fn read(element: Element<'_>) -> Option<Self> {
        Self::read(element)
    }

    fn write(&self, out: &mut String) {
        self.write(out);
    }

    fn name(&self) -> String {
        self.name().to_owned()
    }
}

/// Priorities of calls that a service is willing to take (§3.2.15). Bounds are inclusive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Priority {
    Equals(i64),
    HigherThan(i64),
    LowerThan(i64),
    Range(i64, i64),
    /// An element of another namespace.
    Extension(Fragment),
}

impl Capability for Priority {
    fn read(element: Element<'_>) -> Option<Self> {
        if element.namespace() != NAMESPACE {
            return element.to_fragment().ok().map(Self::Extension);
        }
        let number = |name| element.attribute(name)?.trim().parse().ok();
        match element.name() {
            "equals" => number("value").map(Self::Equals),
            // The schema has a misspelling that the text has not.
            "higherthan" | "higherhan" => number("minvalue").map(Self::HigherThan),
            "lowerthan" => number("maxvalue").map(Self::LowerThan),
            "range" => Some(Self::Range(number("minvalue")?, number("maxvalue")?)),
            _ => None,
        }
    }

    fn write(&self, out: &mut String) {
        let (name, attributes): (_, &[(&str, i64)]) = match self {
            Self::Equals(value) => ("equals", &[("value", *value)]),
            Self::HigherThan(least) => ("higherthan", &[("minvalue", *least)]),
            Self::LowerThan(most) => ("lowerthan", &[("maxvalue", *most)]),
            Self::Range(least, most) => ("range", &[("minvalue", *least), ("maxvalue", *most)]),
            Self::Extension(element) => return out.push_str(element.as_str()),
        };
        out.push_str("<caps:");
        out.push_str(name);
        for (name, value) in attributes {
            push_attribute(out, name, &value.to_string());
        }
        out.push_str("/>");
    }

    fn name(&self) -> String {
        match self {
            Self::Equals(value) => value.to_string(),
            Self::HigherThan(least) => format!("{least} and above"),
            Self::LowerThan(most) => format!("{most} and below"),
            Self::Range(least, most) => format!("{least} to {most}"),
            Self::Extension(element) => element.name().to_owned(),
        }
    }
}

/// The scheme of a URI, such as `sip` (§3.2.18.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheme(pub String);

/// The tag of a human language, such as `en` (§3.2.21.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Language(pub String);

impl Capability for Scheme {
    fn read(element: Element<'_>) -> Option<Self> {
        text_of("s", element).map(Self)
    }

    fn write(&self, out: &mut String) {
        push_text_element(out, "caps:s", &self.0);
    }

    fn name(&self) -> String {
        self.0.clone()
    }
}

impl Capability for Language {
    fn read(element: Element<'_>) -> Option<Self> {
        text_of("l", element).map(Self)
    }

    fn write(&self, out: &mut String) {
        push_text_element(out, "caps:l", &self.0);
    }

    fn name(&self) -> String {
        self.0.clone()
    }
}

fn text_of(name: &str, element: Element<'_>) -> Option<String> {
    let text = element.is(NAMESPACE, name).then(|| element.text())?;
    Some(text.to_owned()).filter(|text| !text.is_empty())
}
