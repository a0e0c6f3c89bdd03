//! Watcher information (RFC 3858): `application/watcherinfo+xml`, who watches a resource and how far each has come.
//!
//! | file | what |
//! |---|---|
//! | [`watcher`] | one watcher: its status and what led to it |
//! | [`table`] | what a recipient knows, after the full and partial documents that it was sent (§4) |

pub mod table;
pub mod watcher;

pub use table::{Applied, Table};
pub use watcher::{Event, Status, Watcher};

use crate::xml::{Document, Element, Limits, XmlError, decode, push_attribute};

pub const CONTENT_TYPE: &str = "application/watcherinfo+xml";
pub const NAMESPACE: &str = "urn:ietf:params:xml:ns:watcherinfo";

/// The watcher lists of one document.
pub const MAX_LISTS: usize = 1024;
/// The watchers of one list.
pub const MAX_WATCHERS: usize = 100_000;

/// A watcherinfo document (§3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatcherInfo {
    /// Grows by one with each document of a subscription, from 0 on.
    pub version: u32,
    pub state: State,
    pub lists: Vec<WatcherList>,
}

/// Whether a document holds the full state or only changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// All watchers there are.
    Full,
    /// Those that have changed since the document before.
    Partial,
}

/// The watchers of one resource.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WatcherList {
    /// The URI of what is watched.
    pub resource: String,
    /// The event package that they subscribed to, such as `presence`.
    pub package: String,
    pub watchers: Vec<Watcher>,
}

/// Why a document is invalid. The texts are short enough for a reason phrase or a Warning header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WatcherInfoError {
    #[error(transparent)]
    Xml(#[from] XmlError),
    #[error("the root element is not <watcherinfo> of {NAMESPACE}")]
    Root,
    #[error("<{element}> has no valid {attribute}")]
    Attribute { element: &'static str, attribute: &'static str },
    #[error("too many elements <{0}>")]
    TooMany(&'static str),
}

impl WatcherInfo {
    /// Reads and validates a document. Elements and attributes of other namespaces are ignored (§3).
    pub fn parse(text: &[u8], limits: &Limits) -> Result<Self, WatcherInfoError> {
        let text = decode(text, None, limits)?;
        let document = Document::of_text(&text, limits)?;
        let root = document.root();
        if !root.is(NAMESPACE, "watcherinfo") {
            return Err(WatcherInfoError::Root);
        }
        let bad = |attribute| WatcherInfoError::Attribute { element: "watcherinfo", attribute };
        let version = root.attribute("version").and_then(|version| version.trim().parse().ok());
        let state = root.attribute("state").and_then(State::parse);
        let mut info = Self {
            version: version.ok_or_else(|| bad("version"))?,
            state: state.ok_or_else(|| bad("state"))?,
            lists: Vec::new(),
        };
        for child in root.children().filter(|child| child.is(NAMESPACE, "watcher-list")) {
            if info.lists.len() == MAX_LISTS {
                return Err(WatcherInfoError::TooMany("watcher-list"));
            }
            info.lists.push(WatcherList::read(child)?);
        }
        Ok(info)
    }

    /// Appends the whole document.
    pub fn write(&self, out: &mut String) {
        out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<watcherinfo xmlns=\"");
        out.push_str(NAMESPACE);
        out.push('"');
        push_attribute(out, "version", &self.version.to_string());
        push_attribute(out, "state", self.state.as_str());
        out.push('>');
        self.lists.iter().for_each(|list| list.write(out));
        out.push_str("</watcherinfo>\n");
    }
}

impl WatcherList {
    fn read(element: Element<'_>) -> Result<Self, WatcherInfoError> {
        let required = |attribute| {
            let value = element.attribute(attribute).map(str::trim).filter(|value| !value.is_empty());
            value.ok_or(WatcherInfoError::Attribute { element: "watcher-list", attribute })
        };
        let (resource, package) = (required("resource")?.to_owned(), required("package")?.to_owned());
        let mut list = Self { resource, package, watchers: Vec::new() };
        for child in element.children().filter(|child| child.is(NAMESPACE, "watcher")) {
            if list.watchers.len() == MAX_WATCHERS {
                return Err(WatcherInfoError::TooMany("watcher"));
            }
            list.watchers.push(Watcher::read(child)?);
        }
        Ok(list)
    }

    fn write(&self, out: &mut String) {
        out.push_str("<watcher-list");
        push_attribute(out, "resource", &self.resource);
        push_attribute(out, "package", &self.package);
        out.push('>');
        self.watchers.iter().for_each(|watcher| watcher.write(out));
        out.push_str("</watcher-list>");
    }
}

impl State {
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Full, Self::Partial].into_iter().find(|state| state.as_str() == text)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Partial => "partial",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    /// RFC 3858 §5.
    const EXAMPLE: &str = r#"<?xml version="1.0"?>
        <watcherinfo xmlns="urn:ietf:params:xml:ns:watcherinfo" version="0" state="full">
          <watcher-list resource="sip:professor@example.net" package="presence">
            <watcher status="active" id="8ajksjda7s" duration-subscribed="509" event="approved">sip:userA@example.net</watcher>
            <watcher status="pending" id="hh8juja87s997-ass7" display-name="Mr. Subscriber" event="subscribe">sip:userB@example.org</watcher>
          </watcher-list>
        </watcherinfo>"#;

    fn parse(text: &str) -> Result<WatcherInfo, WatcherInfoError> {
        WatcherInfo::parse(text.as_bytes(), &Limits::default())
    }

    fn written(info: &WatcherInfo) -> String {
        let mut out = String::new();
        info.write(&mut out);
        out
    }

    #[test]
    fn the_example_of_the_rfc_is_read_and_written_again() {
        let info = parse(EXAMPLE).unwrap();
        assert_eq!((info.version, info.state, info.lists.len()), (0, State::Full, 1));
        let list = &info.lists[0];
        assert_eq!((&*list.resource, &*list.package), ("sip:professor@example.net", "presence"));
        let [a, b] = &list.watchers[..] else { panic!("two watchers") };
        assert_eq!((a.status, a.event, &*a.id), (Status::Active, Event::Approved, "8ajksjda7s"));
        assert_eq!((a.duration_subscribed, &*a.uri), (Some(Duration::from_secs(509)), "sip:userA@example.net"));
        assert_eq!((b.status, b.display_name.as_deref()), (Status::Pending, Some("Mr. Subscriber")));
        assert_eq!(parse(&written(&info)).unwrap(), info);
    }

    #[test]
    fn what_is_of_another_namespace_is_ignored() {
        let text = EXAMPLE
            .replace("<watcher-list", "<x:y xmlns:x=\"urn:x\" version=\"9\"/><watcher-list x:a=\"\" xmlns:x=\"urn:x\"");
        assert_eq!(parse(&text).unwrap(), parse(EXAMPLE).unwrap());
    }

    #[test]
    fn what_is_missing_is_named() {
        let without = |text: &str| parse(&EXAMPLE.replace(text, "")).unwrap_err().to_string();
        assert_eq!(without(" version=\"0\""), "<watcherinfo> has no valid version");
        assert_eq!(without(" state=\"full\""), "<watcherinfo> has no valid state");
        assert_eq!(without(" package=\"presence\""), "<watcher-list> has no valid package");
        assert_eq!(without(" id=\"8ajksjda7s\""), "<watcher> has no valid id");
        assert_eq!(
            parse(&EXAMPLE.replace("approved", "asked")).unwrap_err().to_string(),
            "<watcher> has no valid event"
        );
        assert_eq!(parse(&EXAMPLE.replace("ns:watcherinfo", "ns:other")), Err(WatcherInfoError::Root));
        assert_eq!(
            parse(&EXAMPLE.replace("version=\"0\"", "version=\"4294967296\"")).unwrap_err().to_string(),
            "<watcherinfo> has no valid version"
        );
    }

    fn watchers() -> impl Strategy<Value = Vec<Watcher>> {
        let span = || proptest::option::of((0u64..1 << 40).prop_map(Duration::from_secs));
        let watcher =
            ("sip:[a-z&<\"']{1,9}@x", "[A-Za-z0-9.!%*_+`'~-]{1,9}", 0usize..4, 0usize..8, "\\PC{0,9}", span(), span());
        let watcher = watcher.prop_map(|(uri, id, status, event, name, expiration, duration_subscribed)| Watcher {
            uri,
            id,
            status: Status::ALL[status],
            event: Event::ALL[event],
            display_name: Some(name.trim().to_owned()).filter(|name| !name.is_empty()),
            lang: None,
            expiration,
            duration_subscribed,
        });
        proptest::collection::vec(watcher, 0..4)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(version: u32, full: bool, watchers in watchers()) {
            let list = WatcherList { resource: "sip:a@x".to_owned(), package: "presence".to_owned(), watchers };
            let info = WatcherInfo { version, state: if full { State::Full } else { State::Partial }, lists: vec![list] };
            prop_assert_eq!(parse(&written(&info)), Ok(info));
        }
    }
}
