//! `<device>`: the physical thing that services run on (RFC 4479 §3.4).

use super::{DECLARATION, NAMESPACE};
use crate::caps::{self, DeviceCapabilities};
use crate::pidf::{self, Note, Timestamp};
use crate::rpid::Rpid;
use crate::xml::{Document, Element, Fragment, Limits, XmlError, push_attribute, push_text_element};

/// What is said about a device. Several with the same device id in a document are several views of the same one (§3.5).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Device {
    /// Tells this occurrence from others; empty where the document has none.
    pub id: String,
    /// A URN that is the device's alone; empty where the document has none.
    pub device_id: String,
    pub rpid: Rpid,
    pub capabilities: Option<DeviceCapabilities>,
    /// Elements that are none of these.
    pub extensions: Vec<Fragment>,
    pub notes: Vec<Note>,
    pub timestamp: Option<Timestamp>,
}

impl Device {
    /// Reads an extension element of a presence document. None where it is no `<device>`.
    pub fn read(fragment: &Fragment) -> Option<Self> {
        if (fragment.namespace(), fragment.name()) != (NAMESPACE, "device") {
            return None;
        }
        let document = Document::parse(fragment.as_str().as_bytes(), &Limits::default()).ok()?;
        let root = document.root();
        let mut device = Self { id: root.attribute("id").unwrap_or_default().to_owned(), ..Self::default() };
        root.children().for_each(|child| device.take(child));
        Some(device)
    }

    fn take(&mut self, element: Element<'_>) {
        match (element.namespace(), element.name()) {
            (NAMESPACE, "deviceID") if self.device_id.is_empty() => self.device_id = element.text().to_owned(),
            (NAMESPACE | pidf::NAMESPACE, "note") if self.notes.len() < pidf::MAX_NOTES => {
                self.notes.push(Note::read(element));
            }
            (NAMESPACE, "timestamp") if self.timestamp.is_none() => self.timestamp = Timestamp::parse(element.text()),
            // As in a person.
            (NAMESPACE, "timestamp") | (NAMESPACE | pidf::NAMESPACE, "note") => {}
            (caps::NAMESPACE, "devcaps") if self.capabilities.is_none() => {
                self.capabilities = DeviceCapabilities::read(element);
            }
            _ if self.rpid.take(element) => {}
            _ if self.extensions.len() < pidf::MAX_EXTENSIONS => self.extensions.extend(element.to_fragment()),
            _ => {}
        }
    }

    /// Appends the element, with all declarations that it needs.
    pub fn write(&self, out: &mut String) {
        out.push_str("<dm:device");
        out.push_str(DECLARATION);
        self.rpid.declare(out);
        if self.capabilities.is_some() {
            out.push_str(caps::DECLARATION);
        }
        if !self.id.is_empty() {
            push_attribute(out, "id", &self.id);
        }
        out.push('>');
        self.rpid.write(out);
        self.capabilities.iter().for_each(|capabilities| capabilities.write(out));
        self.extensions.iter().for_each(|extension| out.push_str(extension.as_str()));
        if !self.device_id.is_empty() {
            push_text_element(out, "dm:deviceID", &self.device_id);
        }
        self.notes.iter().for_each(|note| note.write_as("dm:note", out));
        if let Some(timestamp) = &self.timestamp {
            timestamp.write_as("dm:timestamp", out);
        }
        out.push_str("</dm:device>");
    }

    /// The element as it is written among the extensions of a document. Fails if it is larger than a document may be.
    pub fn to_fragment(&self) -> Result<Fragment, XmlError> {
        let mut text = String::with_capacity(512);
        self.write(&mut text);
        Fragment::parse(&text)
    }
}
