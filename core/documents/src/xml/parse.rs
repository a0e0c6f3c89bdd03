//! From text to [`Document`]: well-formedness, namespaces, limits.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::ops::Range;

use quick_xml::Reader;
use quick_xml::escape::{resolve_xml_entity, unescape};
use quick_xml::events::Event;
use quick_xml::events::attributes::Attributes;

use super::document::{Attribute, Declaration, Document, Namespace, Node};
use super::write::is_xml_char;

pub(super) const XML_NAMESPACE: &str = "http://www.w3.org/XML/1998/namespace";
const XMLNS_NAMESPACE: &str = "http://www.w3.org/2000/xmlns/";

/// How large a document may be. Each limit is inclusive.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of the whole text.
    pub bytes: usize,
    /// Elements inside each other.
    pub depth: usize,
    /// Elements in all.
    pub elements: usize,
    /// Attributes, namespace declarations included, in all.
    pub attributes: usize,
    /// Of these, what one element may have: each is compared with all others.
    pub element_attributes: usize,
    /// Namespace declarations that hold at one element, its own and those around it: each prefix is looked for among them, and each element that
    /// is kept as a [`Fragment`](super::Fragment) tries them all.
    pub declarations: usize,
    /// The limit of namespace declarations that are repeated at the elements kept as [`Fragment`](super::Fragment)s, as
    /// a multiple of the document's size, in addition to [`REPEATED_FREELY`] octets.
    pub repetition: usize,
}

/// Octets of namespace declarations that any document may repeat, even a small one.
pub const REPEATED_FREELY: usize = 4096;

impl Default for Limits {
    /// What a presence document of a person with a few dozen devices needs, several times over.
    fn default() -> Self {
        Self {
            bytes: 256 * 1024,
            depth: 32,
            elements: 4096,
            attributes: 8192,
            element_attributes: 128,
            declarations: 64,
            repetition: 2,
        }
    }
}

/// Why a text is not a document that may be read. Texts are short enough for a Warning header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    #[error("the document has more than {0} bytes")]
    TooLong(usize),
    #[error("elements are nested more than {0} deep")]
    TooDeep(usize),
    #[error("the document has more than {0} elements")]
    TooManyElements(usize),
    #[error("the document has more than {0} attributes")]
    TooManyAttributes(usize),
    #[error("an element has more than {0} attributes")]
    TooManyOfElement(usize),
    #[error("more than {0} namespace declarations hold at an element")]
    TooManyDeclarations(usize),
    #[error("namespace declarations would be repeated beyond {0} bytes")]
    Repetition(usize),
    #[error("the document is not UTF-8")]
    NotUtf8,
    #[error("the document is not UTF-16")]
    NotUtf16,
    #[error("the encoding {0:?} is not supported")]
    Encoding(String),
    #[error("document type declarations are not accepted")]
    DocumentType,
    #[error("the entity {0:?} is not defined")]
    Entity(String),
    #[error("the prefix {0:?} is not declared")]
    Prefix(String),
    #[error("not well-formed at byte {at}: {problem}")]
    IllFormed { at: usize, problem: &'static str },
}

impl XmlError {
    /// Whether the error is about size: the document is too long, or would be if it were kept.
    pub fn is_of_size(&self) -> bool {
        matches!(self, Self::TooLong(_) | Self::Repetition(_))
    }
}

pub(super) fn is_white_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

pub(super) fn document<'a>(text: &'a str, limits: &Limits) -> Result<Document<'a>, XmlError> {
    if text.len() > limits.bytes {
        return Err(XmlError::TooLong(limits.bytes));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some((at, _)) = text.char_indices().find(|&(_, c)| !is_xml_char(c)) {
        return Err(XmlError::IllFormed { at, problem: "a character that XML doesn't allow" });
    }
    let repeatable_at_first = limits.repetition.saturating_mul(text.len()).saturating_add(REPEATED_FREELY);
    let document = Document {
        text,
        nodes: Vec::new(),
        attributes: Vec::new(),
        declarations: Vec::new(),
        repeatable: Cell::new(repeatable_at_first),
        repeatable_at_first,
    };
    let mut parser = Parser { document, limits, open: Vec::new(), last_child: Vec::new(), in_scope: 0 };
    parser.run()?;
    Ok(parser.document)
}

struct Parser<'a, 'l> {
    document: Document<'a>,
    limits: &'l Limits,
    /// The elements that have begun and not ended, outermost first.
    open: Vec<u32>,
    /// For each of them, its last child so far.
    last_child: Vec<Option<u32>>,
    /// Namespace declarations that hold here.
    in_scope: usize,
}

impl<'a> Parser<'a, '_> {
    fn run(&mut self) -> Result<(), XmlError> {
        let mut reader = Reader::from_str(self.document.text);
        reader.config_mut().check_comments = true;
        loop {
            let at = position(&reader);
            let ill_formed = |problem| XmlError::IllFormed { at, problem };
            let event = reader.read_event().map_err(|_| ill_formed("a tag, comment or reference is broken"))?;
            let end = position(&reader);
            match event {
                Event::Start(_) => self.start(at..end, 1)?,
                Event::Empty(_) => {
                    self.start(at..end, 2)?;
                    self.end(end);
                }
                Event::End(_) => self.end(end),
                Event::Text(_) => self.characters(one_line_end(Cow::Borrowed(self.slice(at..end))), at)?,
                Event::CData(data) => {
                    if self.open.is_empty() {
                        return Err(ill_formed("text outside of the root element"));
                    }
                    self.characters(one_line_end(data.into_inner()), at)?;
                }
                Event::GeneralRef(name) => {
                    let text = match name.resolve_char_ref() {
                        Ok(Some(c)) if is_xml_char(c) => Cow::Owned(c.to_string()),
                        Ok(None) => Cow::Borrowed(
                            resolve_xml_entity(&name)
                                .ok_or_else(|| XmlError::Entity(name.chars().take(32).collect()))?,
                        ),
                        _ => return Err(ill_formed("a reference to a character that XML doesn't allow")),
                    };
                    if self.open.is_empty() {
                        return Err(ill_formed("text outside of the root element"));
                    }
                    self.characters(text, at)?;
                }
                Event::Decl(_) if at != 0 => return Err(ill_formed("an XML declaration that isn't at the start")),
                Event::Decl(declaration) if declaration.encoding().is_some_and(|encoding| encoding.is_err()) => {
                    return Err(ill_formed("the XML declaration is broken"));
                }
                Event::Decl(_) => {}
                Event::DocType(_) => return Err(XmlError::DocumentType),
                Event::Comment(_) | Event::PI(_) => {}
                Event::Eof => break,
            }
        }
        let at = self.document.text.len();
        if !self.open.is_empty() {
            return Err(XmlError::IllFormed { at, problem: "an element has no end tag" });
        }
        if self.document.nodes.is_empty() {
            return Err(XmlError::IllFormed { at, problem: "there is no element" });
        }
        Ok(())
    }

    fn slice(&self, range: Range<usize>) -> &'a str {
        self.document.text.get(range).unwrap_or_default()
    }

    /// `tag` spans the start tag; `tail` is the length of what closes it, `>` or `/>`.
    fn start(&mut self, tag: Range<usize>, tail: usize) -> Result<(), XmlError> {
        let ill_formed = |problem| XmlError::IllFormed { at: tag.start, problem };
        if self.open.len() >= self.limits.depth {
            return Err(XmlError::TooDeep(self.limits.depth));
        }
        if self.document.nodes.len() >= self.limits.elements {
            return Err(XmlError::TooManyElements(self.limits.elements));
        }
        let parent = self.open.last().copied();
        if parent.is_none() && !self.document.nodes.is_empty() {
            return Err(ill_formed("a second root element"));
        }
        let inside = self.slice(tag.start + 1..tag.end.saturating_sub(tail).max(tag.start + 1));
        let name = inside.split(is_white_space).next().unwrap_or_default();
        let local = local_part(name).ok_or_else(|| ill_formed("not an element name"))?;

        let declarations = self.document.declarations.len();
        let attributes = self.document.attributes.len();
        self.attributes(inside, name.len(), tag.start + 1)?;
        self.in_scope += self.document.declarations.len() - declarations;
        if self.in_scope > self.limits.declarations {
            return Err(XmlError::TooManyDeclarations(self.limits.declarations));
        }

        let index = self.document.nodes.len() as u32;
        self.document.nodes.push(Node {
            name,
            local,
            namespace: Namespace::None,
            parent,
            next_sibling: None,
            span: tag.clone(),
            attributes: attributes..self.document.attributes.len(),
            declarations: declarations..self.document.declarations.len(),
            text: Cow::Borrowed(""),
            is_blank: true,
        });
        if let Some(last) = self.last_child.last_mut()
            && let Some(previous) = last.replace(index)
        {
            self.document.nodes[previous as usize].next_sibling = Some(index);
        }
        self.open.push(index);
        self.last_child.push(None);
        self.resolve(index, tag.start)
    }

    fn attributes(&mut self, inside: &'a str, from: usize, offset: usize) -> Result<(), XmlError> {
        let ill_formed = |problem| XmlError::IllFormed { at: offset, problem };
        for (count, attribute) in Attributes::new(inside, from).enumerate() {
            if count >= self.limits.element_attributes {
                return Err(XmlError::TooManyOfElement(self.limits.element_attributes));
            }
            let attribute = attribute.map_err(|_| ill_formed("an attribute is broken or stands twice"))?;
            if self.document.attributes.len() + self.document.declarations.len() >= self.limits.attributes {
                return Err(XmlError::TooManyAttributes(self.limits.attributes));
            }
            let (Cow::Borrowed(raw), name) = (attribute.value, attribute.key.0) else {
                return Err(ill_formed("an attribute is broken"));
            };
            let value =
                attribute_value(raw).ok_or_else(|| ill_formed("an attribute has a value that XML doesn't allow"))?;
            if name == "xmlns" {
                self.document.declarations.push(Declaration { prefix: "", uri: value, shared: OnceCell::new() });
                continue;
            }
            let local = local_part(name).ok_or_else(|| ill_formed("not an attribute name"))?;
            if let Some(prefix) = name.strip_prefix("xmlns:") {
                // Namespaces in XML 1.0 §2.2 and §3: a prefix cannot be undeclared, and two are taken.
                let taken =
                    prefix == "xmlns" || (prefix == "xml") != (value == XML_NAMESPACE) || value == XMLNS_NAMESPACE;
                if value.is_empty() || taken {
                    return Err(ill_formed("a namespace declaration that isn't allowed"));
                }
                self.document.declarations.push(Declaration { prefix, uri: value, shared: OnceCell::new() });
                continue;
            }
            let start = offset + (raw.as_ptr() as usize).saturating_sub(inside.as_ptr() as usize);
            let span = start..start + raw.len();
            self.document.attributes.push(Attribute { name, local, namespace: Namespace::None, value, span });
        }
        Ok(())
    }

    /// Gives an element and its attributes their namespaces.
    fn resolve(&mut self, index: u32, at: usize) -> Result<(), XmlError> {
        let node = &self.document.nodes[index as usize];
        let (name, local, attributes) = (node.name, node.local, node.attributes.clone());
        let namespace = self.lookup(index, prefix_of(name, local))?;
        self.document.nodes[index as usize].namespace = namespace;
        for i in attributes.clone() {
            let (name, local) = (self.document.attributes[i].name, self.document.attributes[i].local);
            if local == 0 {
                continue; // An unprefixed attribute has no namespace (Namespaces in XML §6.2).
            }
            let namespace = self.lookup(index, prefix_of(name, local))?;
            let twin = self.document.attributes[attributes.start..i].iter().any(|other| {
                // The name is compared first, because it is short and a URI may be long.
                let same_name = other.name.get(other.local..) == name.get(local..);
                same_name && self.document.uri(other.namespace) == self.document.uri(namespace)
            });
            if twin {
                return Err(XmlError::IllFormed { at, problem: "an attribute stands twice" });
            }
            self.document.attributes[i].namespace = namespace;
        }
        Ok(())
    }

    fn lookup(&self, index: u32, prefix: &str) -> Result<Namespace, XmlError> {
        let mut here = Some(index);
        while let Some(node) = here.map(|index| &self.document.nodes[index as usize]) {
            let mut declared = node.declarations.clone().zip(&self.document.declarations[node.declarations.clone()]);
            if let Some((at, _)) = declared.find(|(_, declaration)| declaration.prefix == prefix) {
                return Ok(Namespace::Declared(at as u32));
            }
            here = node.parent;
        }
        match prefix {
            "" => Ok(Namespace::None),
            "xml" => Ok(Namespace::Xml),
            _ => Err(XmlError::Prefix(prefix.chars().take(32).collect())),
        }
    }

    fn end(&mut self, at: usize) {
        self.last_child.pop();
        if let Some(index) = self.open.pop() {
            let node = &mut self.document.nodes[index as usize];
            node.span.end = at;
            self.in_scope -= node.declarations.len();
        }
    }

    fn characters(&mut self, text: Cow<'a, str>, at: usize) -> Result<(), XmlError> {
        let Some(&index) = self.open.last() else {
            return match text.chars().all(is_white_space) {
                true => Ok(()),
                false => Err(XmlError::IllFormed { at, problem: "text outside of the root element" }),
            };
        };
        let node = &mut self.document.nodes[index as usize];
        let has_children = self.last_child.last().is_some_and(Option::is_some);
        let is_blank = text.chars().all(is_white_space);
        if node.text.is_empty() || has_children && node.is_blank && is_blank {
            node.text = text; // White space between child elements: the last stretch may stand for all.
        } else {
            node.text.to_mut().push_str(&text);
        }
        node.is_blank &= is_blank;
        Ok(())
    }
}

fn position(reader: &Reader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

/// XML 1.0 §2.11: every line end becomes a line feed.
fn one_line_end(text: Cow<'_, str>) -> Cow<'_, str> {
    if memchr::memchr(b'\r', text.as_bytes()).is_some() {
        Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
    } else {
        text
    }
}

/// The unescaped, normalized value (XML 1.0 §3.3.3), or nothing where it isn't well-formed.
fn attribute_value(raw: &str) -> Option<Cow<'_, str>> {
    if !raw.bytes().any(|b| matches!(b, b'<' | b'&' | b'\t' | b'\r' | b'\n')) {
        return Some(Cow::Borrowed(raw));
    }
    if raw.contains('<') {
        return None;
    }
    let spaced = raw.replace("\r\n", " ").replace(['\t', '\r', '\n'], " ");
    let value = unescape(&spaced).ok()?;
    value.chars().all(is_xml_char).then(|| Cow::Owned(value.into_owned()))
}

/// Where the local part of a qualified name begins; nothing where it isn't one.
fn local_part(name: &str) -> Option<usize> {
    match name.split_once(':') {
        None => is_ncname(name).then_some(0),
        Some((prefix, local)) => (is_ncname(prefix) && is_ncname(local)).then_some(prefix.len() + 1),
    }
}

fn prefix_of(name: &str, local: usize) -> &str {
    name.get(..local.saturating_sub(1)).unwrap_or_default()
}

/// A name without a colon. Beyond ASCII every character passes.
fn is_ncname(name: &str) -> bool {
    let part = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.') || b >= 0x80;
    name.bytes().all(part) && name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_' || b >= 0x80)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Document<'_>, XmlError> {
        Document::parse(text.as_bytes(), &Limits::default())
    }

    #[test]
    fn elements_attributes_and_texts_are_read_with_their_namespaces() {
        let document = parse("<?xml version='1.0' encoding='UTF-8'?><!-- hello --><a xmlns='u:1' xmlns:p='u:2' x='1 &lt;&#x32;'>\n <p:b p:y='2'>one &amp; <![CDATA[<two>]]></p:b><c xmlns=''/></a>\n").unwrap();
        let root = document.root();
        assert!(root.is("u:1", "a"));
        assert_eq!(root.attribute("x"), Some("1 <2"));
        let names: Vec<_> = root.children().map(|child| (child.namespace(), child.name())).collect();
        assert_eq!(names, [("u:2", "b"), ("", "c")]);
        let b = root.child("u:2", "b").unwrap();
        assert_eq!((b.text(), b.attribute_of("u:2", "y"), b.attribute("y")), ("one & <two>", Some("2"), None));
        assert_eq!(root.text(), "");
        assert_eq!(root.descendants().count(), 3);
        assert_eq!(b.descendants().count(), 1);
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        let texts = [
            "",
            " ",
            "x",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "<a/>x",
            "<a/>&amp;",
            "<a/><![CDATA[]]>",
            "</a>",
            "<a",
            "<a x></a>",
            "<a x=1/>",
            "<a x='1' x='2'/>",
            "<a x='<'/>",
            "<a x='&no;'/>",
            "<a x='&#0;'/>",
            "<a>&#x1;</a>",
            "<a>&no;</a>",
            "<a>&</a>",
            "<1a/>",
            "<a:b:c/>",
            "<p:a/>",
            "<a p:x='1'/>",
            "<a xmlns:p='u' xmlns:q='u' p:x='1' q:x='2'/>",
            "<a xmlns:p=''/>",
            "<a xmlns:xml='u'/>",
            "<a xmlns:xmlns='u'/>",
            "<a><!-- -- --></a>",
            "<a><!-- </a>",
            " <?xml version='1.0'?><a/>",
            "<a><?xml version='1.0'?></a>",
            "<a>\u{1}</a>",
            "<a>\u{ffff}</a>",
            "<!DOCTYPE a><a/>",
            "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
            "<?xml version='1.0' encoding='UTF-16'?><a/>",
            "<?xml version='1.0' encoding='koi8-r'?><a/>",
            "< a/>",
            "<:a/>",
        ];
        for text in texts {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(Document::parse(b"<a>\xff</a>", &Limits::default()).is_err());
    }

    #[test]
    fn each_limit_holds_at_its_value_and_not_beyond() {
        let limits = Limits { bytes: 20, depth: 2, elements: 3, attributes: 2, ..Limits::default() };
        let parse = |text: &'static str| Document::parse(text.as_bytes(), &limits).map(|_| ());
        assert_eq!(parse("<a><b/><c></c></a>  "), Ok(()));
        assert_eq!(parse("<a><b/><c></c></a>   "), Err(XmlError::TooLong(20)));
        assert_eq!(parse("<a><b><c/></b></a>"), Err(XmlError::TooDeep(2)));
        assert_eq!(parse("<a><b/><b/><b/></a>"), Err(XmlError::TooManyElements(3)));
        assert_eq!(parse("<a b='' c='' d=''/>"), Err(XmlError::TooManyAttributes(2)));
    }

    #[test]
    fn what_all_others_are_compared_with_has_a_limit_of_its_own() {
        let limits = Limits { element_attributes: 2, declarations: 3, ..Limits::default() };
        let parse = |text: &str| Document::parse(text.as_bytes(), &limits).map(|_| ());
        assert_eq!(parse("<a b='' c=''><d b='' xmlns=''/></a>"), Ok(()));
        assert_eq!(parse("<a b='' c='' d=''/>"), Err(XmlError::TooManyOfElement(2)));
        let inside = |text: &str| format!("<a xmlns:p='u' xmlns:q='u'>{text}</a>");
        let siblings = inside("<b xmlns:r='u'/><b xmlns:s='u'></b><b xmlns:p='v'/>");
        assert_eq!(parse(&siblings), Ok(()), "what holds no more does not count");
        assert_eq!(parse(&inside("<b xmlns:r='u'><c xmlns:s='u'/></b>")), Err(XmlError::TooManyDeclarations(3)));
    }

    #[test]
    fn the_language_is_inherited() {
        let document = parse("<a xml:lang='en'><b/><c xml:lang='fr'/></a>").unwrap();
        let langs: Vec<_> = document.root().children().map(Element::lang).collect();
        assert_eq!(langs, [Some("en"), Some("fr")]);
    }

    use super::super::Element;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "[<>&;/a:b='\"!\\[\\]\\-? \\PC]{0,60}") {
            let _ = parse(&text);
        }
    }
}
