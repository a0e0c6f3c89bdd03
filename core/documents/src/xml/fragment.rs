//! An element kept as it came, so that what a reader doesn't understand passes through.

use std::sync::Arc;

use super::document::{Declaration, Document, Element, Namespace};
use super::{Limits, XmlError, push_attribute};

/// An element of any namespace as a text that stands on its own: the namespace declarations that it relied on
/// from around it have been added to its start tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    text: Box<str>,
    /// Shared with the other fragments of its document.
    namespace: Arc<str>,
    name: Box<str>,
    /// Where the value of the start tag's `id` attribute stands in `text`.
    id: Option<(u32, u32)>,
    /// Where the values of further `id` attributes begin that must be unique in the document.
    ids_inside: Box<[u32]>,
}

/// What the namespaces of presence formats begin with. Their schemas make `id` an `xs:ID`: no two in a document are the same.
const PRESENCE: &str = "urn:ietf:params:xml:ns:pidf";

impl Fragment {
    /// Of the text of one element that stands on its own.
    pub fn parse(text: &str) -> Result<Self, XmlError> {
        Document::of_text(text, &Limits::default())?.root().to_fragment()
    }

    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The name without its prefix.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The XML text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The value of its `id` attribute, still escaped.
    pub fn id(&self) -> Option<&str> {
        let (start, end) = self.id?;
        self.text.get(start as usize..end as usize)
    }

    /// Appends the text with `prefix` put in front of its id, if it has one, and of those of presence formats inside it.
    pub fn push_with_id_prefix(&self, out: &mut String, prefix: &str) {
        let mut done = 0;
        for at in self.id.iter().map(|(start, _)| start).chain(&self.ids_inside) {
            out.push_str(self.text.get(done..*at as usize).unwrap_or_default());
            out.push_str(prefix);
            done = *at as usize;
        }
        out.push_str(self.text.get(done..).unwrap_or_default());
    }

    /// The same, with this id where it has none.
    pub fn with_id(self, id: &str) -> Self {
        let name_end = self.text.find([' ', '\t', '\r', '\n', '/', '>']).unwrap_or(self.text.len());
        match self.id {
            Some(_) => self,
            None => {
                let (head, tail) = self.text.split_at_checked(name_end).unwrap_or((&self.text, ""));
                let mut text = head.to_owned();
                push_attribute(&mut text, "id", id);
                let added = (text.len() - head.len()) as u32;
                text.push_str(tail);
                let end = name_end as u32 + added - 1;
                let start = end - (added - " id=\"\"".len() as u32);
                let ids_inside = self.ids_inside.iter().map(|at| at + added).collect();
                Self { text: text.into(), id: Some((start, end)), ids_inside, ..self }
            }
        }
    }
}

impl<'d> Element<'d> {
    /// Keeps the element with its content. Fails if the document would then repeat more of its namespace declarations
    /// than [`Limits::repetition`] allows: a short element may rely on a long declaration.
    pub fn to_fragment(self) -> Result<Fragment, XmlError> {
        let node = self.node();
        let raw = self.document.text.get(node.span.clone()).unwrap_or_default();
        let inherited = self.inherited(raw);
        self.document.take_room(inherited.iter().map(|declaration| declaration.len()).sum())?;
        let mut missing = String::new();
        for declaration in &inherited {
            push_declaration(&mut missing, declaration.prefix, &declaration.uri);
        }
        let mut in_scope = inherited.into_iter().chain(self.declarations());
        // Unprefixed names without any default namespace must not fall into that of the new surroundings.
        if self.uses(raw, "") && !in_scope.any(|declaration| declaration.prefix.is_empty()) {
            push_declaration(&mut missing, "", "");
        }
        let name_end = 1 + node.name.len();
        let (head, tail) = raw.split_at_checked(name_end).unwrap_or((raw, ""));
        let id = self.find_attribute("", "id").map(|attribute| {
            let start = attribute.span.start - node.span.start + missing.len();
            (start as u32, (start + attribute.span.len()) as u32)
        });
        let inside = self.descendants().skip(1).filter(|element| element.namespace().starts_with(PRESENCE));
        let ids = inside.filter_map(|element| element.find_attribute("", "id"));
        let ids_inside = ids.map(|attribute| (attribute.span.start - node.span.start + missing.len()) as u32).collect();
        Ok(Fragment {
            text: [head, &missing, tail].concat().into(),
            namespace: self.document.shared_uri(node.namespace),
            name: self.name().into(),
            id,
            ids_inside,
        })
    }

    /// The declarations that this element, whose text is `raw`, relies on and that stand on elements around it, nearest first.
    fn inherited(self, raw: &str) -> Vec<&'d Declaration<'d>> {
        let own = self.declarations();
        let mut found: Vec<&Declaration<'_>> = Vec::new();
        let mut around = self.parent();
        while let Some(element) = around {
            for declaration in element.declarations() {
                let same = |other: &Declaration<'_>| other.prefix == declaration.prefix;
                let is_used = self.uses(raw, declaration.prefix);
                if is_used && !own.iter().any(same) && !found.iter().any(|other| same(other)) {
                    found.push(declaration);
                }
            }
            around = element.parent();
        }
        found
    }

    fn declarations(self) -> &'d [Declaration<'d>] {
        self.document.declarations.get(self.node().declarations.clone()).unwrap_or_default()
    }

    /// Whether a name in here may rely on the prefix. Content counts too, since values may be qualified names.
    fn uses(self, raw: &str, prefix: &str) -> bool {
        if prefix.is_empty() {
            return self.descendants().any(|element| element.node().local == 0);
        }
        raw.contains(&[prefix, ":"].concat())
    }
}

impl Document<'_> {
    /// Subtracts `octets` from the octets that may still be repeated.
    fn take_room(&self, octets: usize) -> Result<(), XmlError> {
        let room = self.repeatable.get();
        let left = room.checked_sub(octets).ok_or(XmlError::Repetition(self.repeatable_at_first))?;
        self.repeatable.set(left);
        Ok(())
    }

    fn shared_uri(&self, namespace: Namespace) -> Arc<str> {
        match namespace {
            Namespace::Declared(at) if let Some(declaration) = self.declarations.get(at as usize) => {
                declaration.shared.get_or_init(|| (*declaration.uri).into()).clone()
            }
            _ => self.uri(namespace).into(),
        }
    }
}

impl Declaration<'_> {
    /// The least octets that the declaration takes in a start tag.
    fn len(&self) -> usize {
        " xmlns:=\"\"".len() + self.prefix.len() + self.uri.len()
    }
}

fn push_declaration(out: &mut String, prefix: &str, uri: &str) {
    match prefix {
        "" => push_attribute(out, "xmlns", uri),
        prefix => push_attribute(out, &["xmlns:", prefix].concat(), uri),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_child(text: &str) -> Fragment {
        let document = Document::parse(text.as_bytes(), &Limits::default()).unwrap();
        document.root().children().next().unwrap().to_fragment().unwrap()
    }

    #[test]
    fn a_fragment_carries_the_declarations_that_it_needs_and_no_others() {
        let kept = first_child(
            "<a xmlns='u:1' xmlns:p='u:2' xmlns:q='u:3' xmlns:r='u:4'><p:b id='x'><q:c xmlns:q='u:5'/></p:b></a>",
        );
        assert_eq!(kept.as_str(), "<p:b xmlns:p=\"u:2\" xmlns:q=\"u:3\" id='x'><q:c xmlns:q='u:5'/></p:b>");
        assert_eq!((kept.namespace(), kept.name(), kept.id()), ("u:2", "b", Some("x")));
    }

    #[test]
    fn the_default_namespace_is_stated_also_when_there_is_none() {
        assert_eq!(first_child("<a xmlns='u:1'><b/></a>").as_str(), "<b xmlns=\"u:1\"/>");
        assert_eq!(first_child("<p:a xmlns:p='u:1'><b>x</b></p:a>").as_str(), "<b xmlns=\"\">x</b>");
        assert_eq!(first_child("<a xmlns='u:1'><b xmlns='u:2'/></a>").as_str(), "<b xmlns='u:2'/>");
    }

    #[test]
    fn an_id_gets_a_prefix() {
        let mut out = String::new();
        first_child("<a><b c='1' id = \"x\">id='y'</b></a>").push_with_id_prefix(&mut out, "p-");
        assert_eq!(out, "<b xmlns=\"\" c='1' id = \"p-x\">id='y'</b>");
        out.clear();
        first_child("<a xmlns='u'><b xmlns='u'/></a>").push_with_id_prefix(&mut out, "p-");
        assert_eq!(out, "<b xmlns='u'/>");
    }

    #[test]
    fn ids_of_presence_formats_inside_get_it_too() {
        let rpid = "xmlns:r='urn:ietf:params:xml:ns:pidf:rpid' xmlns:x='urn:x'";
        let kept = first_child(&format!("<a {rpid}><b id='1'><r:c id='2'/><x:d id='3'/><r:e id='4'>id</r:e></b></a>"));
        let mut out = String::new();
        kept.push_with_id_prefix(&mut out, "p-");
        let ids: Vec<_> = out.match_indices("id='").map(|(at, _)| &out[at + 4..at + 7]).collect();
        assert_eq!((ids.len(), &ids[..2], ids[3]), (4, &["p-1", "p-2"][..], "p-4"), "{out}");
        assert!(out.contains("<x:d id='3'/>"));
    }

    #[test]
    fn a_fragment_without_an_id_can_be_given_one() {
        let id = |text: &str| {
            let fragment = first_child(text).with_id("n<");
            let mut out = String::new();
            fragment.push_with_id_prefix(&mut out, "p-");
            (fragment.id().map(str::to_owned), out)
        };
        let given = |text: &str| (Some("n&lt;".to_owned()), text.to_owned());
        assert_eq!(id("<a xmlns='u'><b xmlns='u'/></a>"), given("<b id=\"p-n&lt;\" xmlns='u'/>"));
        assert_eq!(
            id("<a><b xmlns='u'><c xmlns='urn:ietf:params:xml:ns:pidf' id='1'/></b></a>"),
            given("<b id=\"p-n&lt;\" xmlns='u'><c xmlns='urn:ietf:params:xml:ns:pidf' id='p-1'/></b>")
        );
        assert_eq!(id("<a><b xmlns='u' id='o'/></a>"), (Some("o".to_owned()), "<b xmlns='u' id='p-o'/>".to_owned()));
    }

    #[test]
    fn a_document_repeats_no_more_declarations_than_a_multiple_of_its_size() {
        // The default namespace, a prefix, and a URI that has to be unescaped.
        for (declaration, name) in [("xmlns", "b"), ("xmlns:n", "n:b"), ("xmlns:n", "n:b c='n:'")] {
            let (long, elements) = ("u&amp;".repeat(1000), format!("<{name}/>").repeat(60));
            let text = format!("<p:a xmlns:p='u' {declaration}='{long}'>{elements}</p:a>");
            let document = Document::of_text(&text, &Limits::default()).unwrap();
            let kept: Vec<_> = document.root().children().map_while(|child| child.to_fragment().ok()).collect();
            let octets: usize = kept.iter().map(|fragment| fragment.as_str().len()).sum();
            assert!(!kept.is_empty() && octets <= 8 * text.len(), "{octets} of {}", text.len());
            let over = document.root().children().nth(kept.len()).unwrap().to_fragment();
            assert_eq!(over, Err(XmlError::Repetition(2 * text.len() + crate::xml::REPEATED_FREELY)));
            assert!(kept.iter().all(|fragment| Arc::ptr_eq(&fragment.namespace, &kept[0].namespace)));
        }
    }

    #[test]
    fn a_fragment_is_a_document() {
        let kept = first_child("<a xmlns='u:1' xmlns:p='u:&amp;2'><b><p:c/><d p:e='f'/></b></a>");
        let document = Document::parse(kept.as_str().as_bytes(), &Limits::default()).unwrap();
        assert!(document.root().child("u:&2", "c").is_some());
        assert_eq!(document.root().child("u:1", "d").unwrap().attribute_of("u:&2", "e"), Some("f"));
    }
}
