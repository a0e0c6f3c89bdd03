//! The enumerations of RPID and caps: elements without content, one for each word, among them words of other namespaces.

use crate::pidf::Note;
use crate::xml::{Element, Fragment};

/// Values of one list that are read, such as words or notes; further ones are dropped.
pub const MAX_VALUES: usize = 64;

/// The words of an enumeration.
pub trait Word: Copy + Eq + 'static {
    /// The namespace of their elements.
    const NAMESPACE: &'static str;
    /// The prefix that they are written with.
    const PREFIX: &'static str;
    const ALL: &'static [Self];

    /// The name of its element.
    fn as_str(self) -> &'static str;

    /// Whether `<other>` of RPID may stand in place of a word.
    fn takes_free_text() -> bool {
        Self::NAMESPACE != crate::caps::NAMESPACE
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|word| word.as_str() == name)
    }
}

/// Declares an enumeration: its type, the namespace and prefix of its elements, and the name of each.
macro_rules! words {
    ($(#[$doc:meta])* $type:ident of $namespace:path, $prefix:path: $($name:ident $text:literal),* $(,)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $type {
            $($name),*
        }

        impl $crate::rpid::Word for $type {
            const NAMESPACE: &'static str = $namespace;
            const PREFIX: &'static str = $prefix;
            const ALL: &'static [Self] = &[$(Self::$name),*];

            fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text),*
                }
            }
        }
    };
}
pub(crate) use words;

/// One value of an enumeration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<W> {
    Word(W),
    /// What `<other>` says: free text, with its language. Only where the words take that.
    Other(Note),
    /// A word that the enumeration doesn't have, of its own namespace or another.
    Extension(Fragment),
}

impl<W: Word> Value<W> {
    /// Reads the element of a value. `<other>` is free text if the enumeration has no such word. `None` if it is
    /// neither and cannot be kept.
    pub fn read(element: Element<'_>) -> Option<Self> {
        let own = element.namespace() == W::NAMESPACE;
        match own.then(|| W::parse(element.name())).flatten() {
            Some(word) => Some(Self::Word(word)),
            None if W::takes_free_text() && element.is(super::NAMESPACE, "other") => {
                Some(Self::Other(Note::read(element)))
            }
            None => element.to_fragment().ok().map(Self::Extension),
        }
    }

    /// Appends the element.
    pub fn write(&self, out: &mut String) {
        match self {
            Self::Word(word) => {
                for part in ["<", W::PREFIX, ":", word.as_str(), "/>"] {
                    out.push_str(part);
                }
            }
            Self::Other(text) => text.write_as("rpid:other", out),
            Self::Extension(element) => out.push_str(element.as_str()),
        }
    }

    /// What there is to show: the word, the free text, or the name of the extension element.
    pub fn name(&self) -> &str {
        match self {
            Self::Word(word) => word.as_str(),
            Self::Other(text) => &text.text,
            Self::Extension(element) => element.name(),
        }
    }
}

/// False where the list has [`MAX_VALUES`] already.
pub(crate) fn push_if_room<T>(list: &mut Vec<T>, value: T) -> bool {
    let room = list.len() < MAX_VALUES;
    if room {
        list.push(value);
    }
    room
}
