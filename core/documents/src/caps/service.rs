//! `<servcaps>` (RFC 5196 §3.2).

use super::words::{Actor, Class, Duplex, EventPackage, Extension, Method};
use super::{Language, NAMESPACE, Priority, Scheme, Support};
use crate::pidf::Note;
use crate::rpid::{MAX_VALUES, Value, push_if_room};
use crate::xml::{Element, Fragment, push_text_element};

/// What a service can do. Nothing is known of what is None or empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServiceCapabilities {
    pub actor: Support<Value<Actor>>,
    pub application: Option<bool>,
    pub audio: Option<bool>,
    /// An automaton answers rather than a human.
    pub automata: Option<bool>,
    pub class: Support<Value<Class>>,
    pub control: Option<bool>,
    pub data: Option<bool>,
    /// In several languages.
    pub descriptions: Vec<Note>,
    pub duplex: Support<Value<Duplex>>,
    pub event_packages: Support<Value<EventPackage>>,
    pub sip_extensions: Support<Value<Extension>>,
    /// It is a conference server.
    pub is_focus: Option<bool>,
    pub message: Option<bool>,
    pub methods: Support<Value<Method>>,
    pub languages: Support<Language>,
    pub priority: Support<Priority>,
    pub schemes: Support<Scheme>,
    pub text: Option<bool>,
    /// Media types, `type/subtype`.
    pub types: Vec<String>,
    pub video: Option<bool>,
    /// Elements beside these, or whose value means nothing.
    pub extensions: Vec<Fragment>,
}

impl ServiceCapabilities {
    /// None where the element is another one.
    pub fn read(element: Element<'_>) -> Option<Self> {
        if !element.is(NAMESPACE, "servcaps") {
            return None;
        }
        let mut capabilities = Self::default();
        for child in element.children().take(MAX_VALUES) {
            if child.namespace() != NAMESPACE || !capabilities.take(child) {
                capabilities.extensions.extend(child.to_fragment());
            }
        }
        Some(capabilities)
    }

    /// False where the element is not one of caps, its value means nothing, or a flag stands there twice.
    fn take(&mut self, element: Element<'_>) -> bool {
        if let Some((_, slot)) = self.flags_mut().into_iter().find(|(name, _)| *name == element.name()) {
            let value = boolean(element.text()).filter(|_| slot.is_none());
            *slot = slot.or(value);
            return value.is_some();
        }
        match element.name() {
            "actor" => self.actor.read(element),
            "class" => self.class.read(element),
            "description" => _ = push_if_room(&mut self.descriptions, Note::read(element)),
            "duplex" => self.duplex.read(element),
            "event-packages" => self.event_packages.read(element),
            "extensions" => self.sip_extensions.read(element),
            "methods" => self.methods.read(element),
            "languages" => self.languages.read(element),
            "priority" => self.priority.read(element),
            "schemes" => self.schemes.read(element),
            "type" => _ = push_if_room(&mut self.types, element.text().to_owned()),
            _ => return false,
        }
        true
    }

    /// Appends the element, its children in the order of the schema (§6). Around it the prefix `caps` stands for the namespace.
    pub fn write(&self, out: &mut String) {
        out.push_str("<caps:servcaps>");
        self.actor.write("caps:actor", out);
        write_flag("caps:application", self.application, out);
        write_flag("caps:audio", self.audio, out);
        write_flag("caps:automata", self.automata, out);
        self.class.write("caps:class", out);
        write_flag("caps:control", self.control, out);
        write_flag("caps:data", self.data, out);
        self.descriptions.iter().for_each(|description| description.write_as("caps:description", out));
        self.duplex.write("caps:duplex", out);
        self.event_packages.write("caps:event-packages", out);
        self.sip_extensions.write("caps:extensions", out);
        write_flag("caps:isfocus", self.is_focus, out);
        write_flag("caps:message", self.message, out);
        self.methods.write("caps:methods", out);
        self.languages.write("caps:languages", out);
        self.priority.write("caps:priority", out);
        self.schemes.write("caps:schemes", out);
        write_flag("caps:text", self.text, out);
        for media_type in &self.types {
            push_text_element(out, "caps:type", media_type);
        }
        write_flag("caps:video", self.video, out);
        self.extensions.iter().for_each(|extension| out.push_str(extension.as_str()));
        out.push_str("</caps:servcaps>");
    }

    /// What is either so or not, by the names of the elements.
    pub fn flags(&self) -> [(&'static str, Option<bool>); 9] {
        [
            ("application", self.application),
            ("audio", self.audio),
            ("automata", self.automata),
            ("control", self.control),
            ("data", self.data),
            ("isfocus", self.is_focus),
            ("message", self.message),
            ("text", self.text),
            ("video", self.video),
        ]
    }

    fn flags_mut(&mut self) -> [(&'static str, &mut Option<bool>); 9] {
        [
            ("application", &mut self.application),
            ("audio", &mut self.audio),
            ("automata", &mut self.automata),
            ("control", &mut self.control),
            ("data", &mut self.data),
            ("isfocus", &mut self.is_focus),
            ("message", &mut self.message),
            ("text", &mut self.text),
            ("video", &mut self.video),
        ]
    }
}

/// `xs:boolean`.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

fn write_flag(name: &str, flag: Option<bool>, out: &mut String) {
    if let Some(flag) = flag {
        push_text_element(out, name, if flag { "true" } else { "false" });
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DECLARATION, Mobility};
    use super::*;
    use crate::caps::Capability;
    use crate::data_model::Presence;
    use crate::pidf::Pidf;
    use crate::xml::{Document, Limits};

    /// RFC 5196 §5.
    const EXAMPLE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
   <presence xmlns="urn:ietf:params:xml:ns:pidf"
         xmlns:caps="urn:ietf:params:xml:ns:pidf:caps"
         xmlns:mod="urn:ietf:params:xml:ns:pidf:data-model"
         entity="pres:someone@example.com">

     <tuple id="joi9877866786ua9">
       <status>
         <basic>open</basic>
       </status>
       <caps:servcaps>
         <caps:audio>true</caps:audio>
         <caps:description xml:lang="en">
            Example service
         </caps:description>
         <caps:description xml:lang="hu">
            Pe'lda szolga'ltata's
         </caps:description>
         <caps:duplex>
           <caps:supported>
             <caps:full/>
           </caps:supported>
         </caps:duplex>
         <caps:message>true</caps:message>
         <caps:methods>
           <caps:supported>
             <caps:ACK/>
             <caps:BYE/>
             <caps:INVITE/>
             <caps:MESSAGE/>
           </caps:supported>
         </caps:methods>
         <caps:priority>
           <caps:supported>
             <caps:lowerthan maxvalue="10"/>
           </caps:supported>

         </caps:priority>
         <caps:schemes>
           <caps:supported>
             <caps:s>sip</caps:s>
           </caps:supported>
         </caps:schemes>
         <caps:video>false</caps:video>
       </caps:servcaps>
       <contact>sip:someone@example.com</contact>
     </tuple>
     <mod:device id="hgt67">
       <caps:devcaps>
         <caps:mobility>
           <caps:supported>
             <caps:mobile/>
           </caps:supported>
         </caps:mobility>
       </caps:devcaps>
       <mod:deviceID
        >urn:uuid:d27459b7-8213-4395-aa77-ed859a3e5b3a</mod:deviceID>
     </mod:device>
   </presence>"#;

    fn supported<C: Capability>(supported: impl IntoIterator<Item = C>) -> Support<C> {
        Support { supported: supported.into_iter().collect(), not_supported: Vec::new() }
    }

    fn note(lang: &str, text: &str) -> Note {
        Note { lang: Some(lang.to_owned()), text: text.to_owned() }
    }

    fn capabilities(inside: &str) -> ServiceCapabilities {
        let text = format!("<caps:servcaps{DECLARATION}>{inside}</caps:servcaps>");
        ServiceCapabilities::read(Document::parse(text.as_bytes(), &Limits::default()).unwrap().root()).unwrap()
    }

    #[test]
    fn the_example_is_read() {
        let presence = Presence::of(&Pidf::parse(EXAMPLE.as_bytes(), &Limits::default()).unwrap());
        let expected = ServiceCapabilities {
            audio: Some(true),
            descriptions: vec![note("en", "Example service"), note("hu", "Pe'lda szolga'ltata's")],
            duplex: supported([Value::Word(Duplex::Full)]),
            message: Some(true),
            methods: supported([Method::Ack, Method::Bye, Method::Invite, Method::Message].map(Value::Word)),
            priority: supported([Priority::LowerThan(10)]),
            schemes: supported([Scheme("sip".to_owned())]),
            video: Some(false),
            ..ServiceCapabilities::default()
        };
        assert_eq!(presence.services[0].capabilities, Some(expected));
        let mobility = supported([Value::Word(Mobility::Mobile)]);
        assert_eq!(presence.devices[0].capabilities.as_ref().unwrap().mobility, mobility);
        assert_eq!(presence.devices[0].device_id, "urn:uuid:d27459b7-8213-4395-aa77-ed859a3e5b3a");
    }

    #[test]
    fn every_element_is_known() {
        let lists =
            ["actor", "class", "duplex", "event-packages", "extensions", "methods", "languages", "priority", "schemes"];
        let lists = lists.map(|name| format!("<caps:{name}><caps:notsupported/></caps:{name}>")).concat();
        let flags = ServiceCapabilities::default().flags().map(|(name, _)| format!("<caps:{name}>1</caps:{name}>"));
        let read = capabilities(&format!("{lists}{}<caps:type>text/html</caps:type>", flags.concat()));
        assert!(read.flags().iter().all(|(_, flag)| *flag == Some(true)));
        assert_eq!((read.types, read.extensions), (vec!["text/html".to_owned()], vec![]));
    }

    #[test]
    fn what_is_not_supported_is_told_from_what_is() {
        let read = capabilities(
            "<caps:languages><caps:notsupported><caps:l>en</caps:l></caps:notsupported></caps:languages>\
             <caps:priority><caps:supported><caps:higherhan minvalue='3'/><caps:range minvalue='1' maxvalue='x'/></caps:supported></caps:priority>\
             <caps:audio>maybe</caps:audio><caps:video>true</caps:video><caps:video>false</caps:video>",
        );
        assert_eq!(read.languages, Support { supported: vec![], not_supported: vec![Language("en".to_owned())] });
        assert_eq!(read.priority.supported, [Priority::HigherThan(3)]);
        assert_eq!((read.audio, read.extensions[0].name()), (None, "audio"));
        assert_eq!((read.video, read.extensions[1].name()), (Some(true), "video"), "the first counts");
    }
}
