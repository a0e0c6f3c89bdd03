//! The local or the remote end of a dialog (§4.1.6).

use super::dialog::extensions;
use super::{DialogInfoError, MAX_PARTS, NAMESPACE};
use crate::xml::{Element, Fragment, push_attribute, push_end_tag, push_start_tag, push_text, push_text_element};

/// One end of a dialog.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Participant {
    pub identities: Vec<NameAddr>,
    pub target: Option<Target>,
    pub session_description: Option<SessionDescription>,
    pub cseq: Option<u32>,
    /// Elements of other namespaces.
    pub extensions: Vec<Fragment>,
}

/// A URI with a display name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameAddr {
    pub uri: String,
    pub display: Option<String>,
}

/// The remote target of a dialog (§4.1.6.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub uri: String,
    /// Parameters of the Contact: names and values.
    pub params: Vec<(String, String)>,
}

/// A session description (§4.1.6.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionDescription {
    /// Its media type.
    pub content_type: String,
    pub text: String,
}

impl Participant {
    pub(super) fn read(element: Element<'_>) -> Result<Self, DialogInfoError> {
        let child = |name| element.child(NAMESPACE, name);
        let mut identities = Vec::new();
        for identity in element.children().filter(|child| child.is(NAMESPACE, "identity")) {
            if identities.len() == MAX_PARTS {
                return Err(DialogInfoError::TooMany("identity"));
            }
            identities.push(NameAddr::read(identity));
        }
        Ok(Self {
            identities,
            target: child("target").map(Target::read).transpose()?,
            session_description: child("session-description").and_then(SessionDescription::read),
            cseq: child("cseq").and_then(|cseq| cseq.text().parse().ok()),
            extensions: extensions(element)?,
        })
    }

    pub(super) fn write(&self, out: &mut String, name: &str) {
        push_start_tag(out, name);
        self.identities.iter().for_each(|identity| identity.write(out, "identity"));
        if let Some(target) = &self.target {
            target.write(out);
        }
        if let Some(description) = &self.session_description {
            description.write(out);
        }
        if let Some(cseq) = self.cseq {
            push_text_element(out, "cseq", &cseq.to_string());
        }
        self.extensions.iter().for_each(|extension| out.push_str(extension.as_str()));
        push_end_tag(out, name);
    }
}

impl NameAddr {
    /// The text of §4.1.6.1 calls the display name `display`, the schema of §4.4 `display-name`; both are read.
    pub(super) fn read(element: Element<'_>) -> Self {
        let display = element.attribute("display").or_else(|| element.attribute("display-name"));
        Self { uri: element.text().to_owned(), display: display.map(str::to_owned) }
    }

    pub(super) fn write(&self, out: &mut String, name: &str) {
        out.push('<');
        out.push_str(name);
        if let Some(display) = &self.display {
            push_attribute(out, "display", display);
        }
        out.push('>');
        push_text(out, &self.uri);
        push_end_tag(out, name);
    }
}

impl Target {
    fn read(element: Element<'_>) -> Result<Self, DialogInfoError> {
        let uri = element.attribute("uri").unwrap_or_default().to_owned();
        let mut params = Vec::new();
        for param in element.children().filter(|child| child.is(NAMESPACE, "param")) {
            if params.len() == MAX_PARTS {
                return Err(DialogInfoError::TooMany("param"));
            }
            if let (Some(name), Some(value)) = (param.attribute("pname"), param.attribute("pval")) {
                params.push((name.to_owned(), value.to_owned()));
            }
        }
        Ok(Self { uri, params })
    }

    fn write(&self, out: &mut String) {
        out.push_str("<target");
        push_attribute(out, "uri", &self.uri);
        out.push('>');
        for (name, value) in &self.params {
            out.push_str("<param");
            push_attribute(out, "pname", name);
            push_attribute(out, "pval", value);
            out.push_str("/>");
        }
        push_end_tag(out, "target");
    }
}

impl SessionDescription {
    fn read(element: Element<'_>) -> Option<Self> {
        let content_type = element.attribute("type")?.to_owned();
        Some(Self { content_type, text: element.text().to_owned() })
    }

    fn write(&self, out: &mut String) {
        out.push_str("<session-description");
        push_attribute(out, "type", &self.content_type);
        out.push('>');
        push_text(out, &self.text);
        push_end_tag(out, "session-description");
    }
}
