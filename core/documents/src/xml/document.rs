//! An XML document as a flat table of elements in document order.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::ops::Range;
use std::sync::Arc;

use super::encoding;
use super::parse::{self, Limits, XmlError};

/// A well-formed document. Names, attribute values and texts borrow from the input where nothing had to be unescaped.
#[derive(Debug)]
pub struct Document<'a> {
    pub(super) text: &'a str,
    /// In document order: the descendants of an element follow it directly.
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) attributes: Vec<Attribute<'a>>,
    pub(super) declarations: Vec<Declaration<'a>>,
    /// Octets of namespace declarations that kept elements may still repeat.
    pub(super) repeatable: Cell<usize>,
    /// The initial value of that number.
    pub(super) repeatable_at_first: usize,
}

/// The namespace of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Namespace {
    None,
    /// The namespace of the prefix `xml`, which needs no declaration.
    Xml,
    /// The index of its declaration in the table. A long URI is stored there once, however many names use it.
    Declared(u32),
}

#[derive(Debug)]
pub(super) struct Node<'a> {
    /// As written, with its prefix.
    pub(super) name: &'a str,
    /// Where the local part begins in `name`.
    pub(super) local: usize,
    pub(super) namespace: Namespace,
    pub(super) parent: Option<u32>,
    pub(super) next_sibling: Option<u32>,
    /// From `<` of the start tag to behind `>` of the end tag.
    pub(super) span: Range<usize>,
    pub(super) attributes: Range<usize>,
    pub(super) declarations: Range<usize>,
    /// The character data directly inside, without that of child elements.
    pub(super) text: Cow<'a, str>,
    /// It is white space, or nothing.
    pub(super) is_blank: bool,
}

#[derive(Debug)]
pub(super) struct Attribute<'a> {
    pub(super) name: &'a str,
    pub(super) local: usize,
    pub(super) namespace: Namespace,
    pub(super) value: Cow<'a, str>,
    /// Where the value stands in the text, still escaped.
    pub(super) span: Range<usize>,
}

/// `xmlns="uri"` (empty prefix) or `xmlns:prefix="uri"`.
#[derive(Debug)]
pub(super) struct Declaration<'a> {
    pub(super) prefix: &'a str,
    pub(super) uri: Cow<'a, str>,
    /// The URI, shared by the elements that are kept.
    pub(super) shared: OnceCell<Arc<str>>,
}

impl<'a> Document<'a> {
    /// Reads a whole document in UTF-8.
    pub fn parse(text: &'a [u8], limits: &Limits) -> Result<Self, XmlError> {
        match encoding::decode(text, None, limits)? {
            Cow::Borrowed(text) => Self::of_text(text, limits),
            Cow::Owned(_) => Err(XmlError::NotUtf8),
        }
    }

    /// Reads a whole document that has been [decoded](super::decode), whatever encoding its XML declaration names.
    pub fn of_text(text: &'a str, limits: &Limits) -> Result<Self, XmlError> {
        parse::document(text, limits)
    }

    pub fn root(&self) -> Element<'_> {
        Element { document: self, index: 0 }
    }

    /// The URI of a namespace; empty if there is none.
    pub(super) fn uri(&self, namespace: Namespace) -> &str {
        match namespace {
            Namespace::None => "",
            Namespace::Xml => parse::XML_NAMESPACE,
            Namespace::Declared(at) => self.declarations.get(at as usize).map_or("", |declaration| &declaration.uri),
        }
    }
}

/// Most octets of a language tag. Each note has a copy of the tag that it inherits. RFC 5646 §4.4.1 recommends room for
/// 35.
pub const MAX_LANG: usize = 64;

/// A handle to one element.
#[derive(Debug, Clone, Copy)]
pub struct Element<'d> {
    pub(super) document: &'d Document<'d>,
    pub(super) index: u32,
}

impl<'d> Element<'d> {
    pub(super) fn node(self) -> &'d Node<'d> {
        // Invariant: handles are made only for indices of the table, which never shrinks.
        &self.document.nodes[self.index as usize]
    }

    /// The URI of the namespace, empty when there is none.
    pub fn namespace(self) -> &'d str {
        self.document.uri(self.node().namespace)
    }

    /// The name without its prefix.
    pub fn name(self) -> &'d str {
        let node = self.node();
        node.name.get(node.local..).unwrap_or_default()
    }

    pub fn is(self, namespace: &str, name: &str) -> bool {
        self.name() == name && self.namespace() == namespace
    }

    /// The value of an attribute without a namespace.
    pub fn attribute(self, name: &str) -> Option<&'d str> {
        self.attribute_of("", name)
    }

    /// The value of an attribute of a namespace.
    pub fn attribute_of(self, namespace: &str, name: &str) -> Option<&'d str> {
        self.find_attribute(namespace, name).map(|attribute| &*attribute.value)
    }

    /// `xml:lang` of this element or of the nearest one around it (XML 1.0 §2.12). None if it is longer than [`MAX_LANG`].
    pub fn lang(self) -> Option<&'d str> {
        let mut element = Some(self);
        while let Some(here) = element {
            if let Some(lang) = here.attribute_of(parse::XML_NAMESPACE, "lang") {
                return Some(lang).filter(|lang| (1..=MAX_LANG).contains(&lang.len()));
            }
            element = here.parent();
        }
        None
    }

    pub(super) fn find_attribute(self, namespace: &str, name: &str) -> Option<&'d Attribute<'d>> {
        let attributes = self.document.attributes.get(self.node().attributes.clone())?;
        attributes.iter().find(|attribute| {
            let is_named = attribute.name.get(attribute.local..) == Some(name);
            is_named && self.document.uri(attribute.namespace) == namespace
        })
    }

    pub(super) fn parent(self) -> Option<Self> {
        self.node().parent.map(|index| Self { index, ..self })
    }

    /// The character data directly inside, with white space around it removed.
    pub fn text(self) -> &'d str {
        self.node().text.trim_matches(parse::is_white_space)
    }

    /// The character data directly inside, as it stands.
    pub fn raw_text(self) -> &'d str {
        &self.node().text
    }

    pub fn children(self) -> Children<'d> {
        let first = self.index + 1;
        let is_child = self.document.nodes.get(first as usize).is_some_and(|node| node.parent == Some(self.index));
        Children { document: self.document, next: is_child.then_some(first) }
    }

    /// The first child of that name.
    pub fn child(self, namespace: &str, name: &str) -> Option<Self> {
        self.children().find(|child| child.is(namespace, name))
    }

    /// This element and all inside it, in document order.
    pub fn descendants(self) -> impl Iterator<Item = Self> {
        let end = self.node().span.end;
        let indices = self.index..self.document.nodes.len() as u32;
        indices.map(move |index| Self { index, ..self }).take_while(move |element| element.node().span.start < end)
    }
}

/// The child elements of an element, in order.
#[derive(Debug, Clone)]
pub struct Children<'d> {
    document: &'d Document<'d>,
    next: Option<u32>,
}

impl<'d> Iterator for Children<'d> {
    type Item = Element<'d>;

    fn next(&mut self) -> Option<Self::Item> {
        let element = Element { document: self.document, index: self.next? };
        self.next = element.node().next_sibling;
        Some(element)
    }
}
