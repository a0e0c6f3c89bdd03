//! Dialog information (RFC 4235): `application/dialog-info+xml`, the calls of a user and how far each has come.
//!
//! | file | what |
//! |---|---|
//! | [`dialog`] | one dialog: its identifiers and its state |
//! | [`participant`] | the local or the remote end of a dialog |
//! | [`table`] | the state of a recipient after full and partial documents (§4.3) |

pub mod dialog;
pub mod participant;
pub mod table;

pub use dialog::{Dialog, DialogState, Direction, Event, Replaces};
pub use participant::{NameAddr, Participant, SessionDescription, Target};
pub use table::{Applied, Table};

use crate::xml::{Document, Limits, XmlError, decode, push_attribute, push_end_tag};

pub const CONTENT_TYPE: &str = "application/dialog-info+xml";
pub const NAMESPACE: &str = "urn:ietf:params:xml:ns:dialog-info";

/// Most dialogs in one document: several times what a busy attendant's phone has.
pub const MAX_DIALOGS: usize = 64;
/// Most identities of a participant, parameters of a target, and hops of a route set; the limit applies to each.
pub const MAX_PARTS: usize = 32;

/// A dialog-info document (§4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialogInfo {
    /// Grows by one with each document of a subscription, from 0 on.
    pub version: u32,
    pub state: State,
    /// The URI of the observed user.
    pub entity: String,
    pub dialogs: Vec<Dialog>,
}

/// Whether a document holds the full state or only changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// All dialogs of the user.
    Full,
    /// Those that have changed since the document before.
    Partial,
}

/// Why a document is invalid. The texts are short enough for a reason phrase or a Warning header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialogInfoError {
    #[error(transparent)]
    Xml(#[from] XmlError),
    #[error("the root element is not <dialog-info> of {NAMESPACE}")]
    Root,
    #[error("<{element}> has no valid {part}")]
    Missing { element: &'static str, part: &'static str },
    #[error("too many elements <{0}>")]
    TooMany(&'static str),
}

impl DialogInfo {
    /// Reads and validates a document. Elements of other namespaces are kept inside dialogs and participants and
    /// ignored elsewhere.
    pub fn parse(text: &[u8], limits: &Limits) -> Result<Self, DialogInfoError> {
        Self::of_text(&decode(text, None, limits)?, limits)
    }

    /// As the function above, for a text that is already [decoded](decode).
    pub fn of_text(text: &str, limits: &Limits) -> Result<Self, DialogInfoError> {
        let document = Document::of_text(text, limits)?;
        let root = document.root();
        if !root.is(NAMESPACE, "dialog-info") {
            return Err(DialogInfoError::Root);
        }
        let missing = |part| DialogInfoError::Missing { element: "dialog-info", part };
        let value = |name| root.attribute(name).map(str::trim).filter(|value| !value.is_empty());
        // The first example of §4.1 calls the state "notify-state".
        let state = value("state").or_else(|| value("notify-state")).and_then(State::parse);
        let mut info = Self {
            version: value("version").and_then(|version| version.parse().ok()).ok_or_else(|| missing("version"))?,
            state: state.ok_or_else(|| missing("state"))?,
            entity: value("entity").ok_or_else(|| missing("entity"))?.to_owned(),
            dialogs: Vec::new(),
        };
        for child in root.children().filter(|child| child.is(NAMESPACE, "dialog")) {
            if info.dialogs.len() == MAX_DIALOGS {
                return Err(DialogInfoError::TooMany("dialog"));
            }
            info.dialogs.push(Dialog::read(child)?);
        }
        Ok(info)
    }

    /// Appends the whole document.
    pub fn write(&self, out: &mut String) {
        write_head(out, self.version, self.state, &self.entity);
        self.dialogs.iter().for_each(|dialog| dialog.write(out));
        write_tail(out);
    }
}

/// Appends the start of the document, before the dialogs.
pub fn write_head(out: &mut String, version: u32, state: State, entity: &str) {
    out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<dialog-info xmlns=\"");
    out.push_str(NAMESPACE);
    out.push('"');
    push_attribute(out, "version", &version.to_string());
    push_attribute(out, "state", state.as_str());
    push_attribute(out, "entity", entity);
    out.push('>');
}

/// Appends the end of the document, after the dialogs.
pub fn write_tail(out: &mut String) {
    push_end_tag(out, "dialog-info");
    out.push('\n');
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

    /// RFC 4235 §6.2, with the elements that its examples leave out.
    const EXAMPLE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
        <dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="2" state="full" entity="sip:alice@example.com">
          <dialog id="as7d900as8" call-id="a84b4c76e66710" local-tag="1928301774" remote-tag="456887766" direction="initiator">
            <state event="rejected" code="486">terminated</state>
            <duration>145</duration>
            <replaces call-id="hg287s98s89" local-tag="6762h7" remote-tag="09278hsb"/>
            <referred-by display="Bob">sip:bob@example.com</referred-by>
            <route-set><hop>&lt;sip:p1.example.com;lr&gt;</hop></route-set>
            <local>
              <identity display="Alice">sip:alice@example.com</identity>
              <target uri="sip:alice@pc33.example.com">
                <param pname="isfocus" pval="true"/><param pname="description" pval="Alice's desk &amp; office"/>
              </target>
              <session-description type="application/sdp">v=0</session-description>
              <cseq>7</cseq>
            </local>
            <remote><identity>sip:bob@example.org</identity></remote>
            <x:exclusive xmlns:x="urn:x">true</x:exclusive>
          </dialog>
        </dialog-info>"#;

    fn parse(text: &str) -> Result<DialogInfo, DialogInfoError> {
        DialogInfo::parse(text.as_bytes(), &Limits::default())
    }

    fn written(info: &DialogInfo) -> String {
        let mut out = String::new();
        info.write(&mut out);
        out
    }

    #[test]
    fn all_that_the_schema_has_is_read_and_written_again() {
        let info = parse(EXAMPLE).unwrap();
        assert_eq!((info.version, info.state, &*info.entity), (2, State::Full, "sip:alice@example.com"));
        let [dialog] = &info.dialogs[..] else { panic!("one dialog") };
        assert_eq!((&*dialog.id, dialog.direction), ("as7d900as8", Some(Direction::Initiator)));
        assert_eq!(dialog.remote_tag.as_deref(), Some("456887766"));
        let end = (dialog.state, dialog.event, dialog.code);
        assert_eq!(end, (DialogState::Terminated, Some(Event::Rejected), Some(486)));
        assert_eq!(dialog.duration, Some(Duration::from_secs(145)));
        assert_eq!(dialog.route_set, ["<sip:p1.example.com;lr>"]);
        let local = dialog.local.as_ref().unwrap();
        assert_eq!((&*local.identities[0].uri, local.cseq), ("sip:alice@example.com", Some(7)));
        let target = local.target.as_ref().unwrap();
        assert_eq!(target.params[1], ("description".to_owned(), "Alice's desk & office".to_owned()));
        assert_eq!(local.session_description.as_ref().unwrap().text, "v=0");
        assert_eq!(dialog.extensions[0].name(), "exclusive");
        assert_eq!(parse(&written(&info)).unwrap(), info);
    }

    #[test]
    fn an_error_names_the_part_that_is_missing_or_invalid() {
        let without = |text: &str| parse(&EXAMPLE.replacen(text, "", 1)).unwrap_err().to_string();
        assert_eq!(without(" version=\"2\""), "<dialog-info> has no valid version");
        assert_eq!(without(" state=\"full\""), "<dialog-info> has no valid state");
        assert_eq!(without(" entity=\"sip:alice@example.com\""), "<dialog-info> has no valid entity");
        assert_eq!(without(" id=\"as7d900as8\""), "<dialog> has no valid id");
        let ended = "<state event=\"rejected\" code=\"486\">terminated</state>";
        assert_eq!(without(ended), "<dialog> has no valid state");
        let unknown = EXAMPLE.replace(">terminated<", ">TERMINATED<");
        assert_eq!(parse(&unknown).unwrap_err().to_string(), "<dialog> has no valid state");
        assert_eq!(parse(&EXAMPLE.replace("ns:dialog-info", "ns:other")), Err(DialogInfoError::Root));
    }

    #[test]
    fn a_detail_that_means_nothing_costs_the_detail_and_not_the_document() {
        let details = [
            ("direction=\"initiator\"", "direction=\"sideways\""),
            ("event=\"rejected\" code=\"486\"", "event=\"eaten\" code=\"7\""),
            ("<duration>145", "<duration>long"),
            ("<cseq>7", "<cseq>-1"),
        ];
        let text = details.iter().fold(EXAMPLE.to_owned(), |text, (good, bad)| text.replace(good, bad));
        let dialog = &parse(&text).unwrap().dialogs[0];
        assert_eq!((dialog.direction, dialog.event, dialog.code, dialog.duration), (None, None, None, None));
        assert_eq!(dialog.local.as_ref().unwrap().cseq, None);
    }

    #[test]
    fn the_state_is_found_under_the_name_of_the_first_example_too() {
        let text = EXAMPLE.replacen(" state=\"full\"", " notify-state=\"partial\"", 1);
        assert_eq!(parse(&text).unwrap().state, State::Partial);
    }

    #[test]
    fn too_many_elements_are_refused() {
        let many = |inside: &str, count: usize| {
            let text = format!("<dialog id='1'><state>early</state><local>{}</local></dialog>", inside.repeat(count));
            parse(&format!(
                "<dialog-info xmlns='{NAMESPACE}' version='0' state='full' entity='a:b'>{text}</dialog-info>"
            ))
        };
        assert!(many("<identity>a:b</identity>", MAX_PARTS).is_ok());
        assert_eq!(many("<identity>a:b</identity>", MAX_PARTS + 1), Err(DialogInfoError::TooMany("identity")));
        let dialogs = "<dialog id='1'><state>early</state></dialog>".repeat(MAX_DIALOGS + 1);
        let text =
            format!("<dialog-info xmlns='{NAMESPACE}' version='0' state='full' entity='a:b'>{dialogs}</dialog-info>");
        assert_eq!(parse(&text), Err(DialogInfoError::TooMany("dialog")));
    }

    fn dialogs() -> impl Strategy<Value = Vec<Dialog>> {
        let text = || proptest::option::of("[!-~\u{e4}\u{20ac}]{1,8}");
        let dialog = ("[!-~]{1,8}", text(), text(), 0usize..5, proptest::option::of(0usize..7), text(), 0u64..1 << 40);
        let dialog = dialog.prop_map(|(id, call_id, uri, state, event, display, seconds)| Dialog {
            id,
            call_id,
            state: DialogState::ALL[state],
            event: event.map(|event| Event::ALL[event]),
            duration: Some(Duration::from_secs(seconds)),
            remote: uri.map(|uri| Participant {
                identities: vec![NameAddr { uri: uri.clone(), display }],
                target: Some(Target { uri, params: Vec::new() }),
                ..Participant::default()
            }),
            ..Dialog::default()
        });
        proptest::collection::vec(dialog, 0..4)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(version: u32, full: bool, dialogs in dialogs()) {
            let state = if full { State::Full } else { State::Partial };
            let info = DialogInfo { version, state, entity: "sip:a@x".to_owned(), dialogs };
            prop_assert_eq!(parse(&written(&info)), Ok(info));
        }
    }
}
