//! One binding as it is kept: numbers, and all text in one buffer. A hundred thousand of these lie in memory.

use std::sync::Arc;
use std::time::Instant;

use signalbox::services::bindings::Binding;
use signalbox::transport::Flow;

/// Texts of one binding together; a REGISTER that needs more is refused.
pub(crate) const MAX_TEXT: usize = 8192;
/// What is kept of a User-Agent header.
pub(crate) const MAX_USER_AGENT: usize = 128;

/// A binding in memory. Never changed: a refresh puts another in its place, so what was read stays what it was.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// The row of the binding in the database; a refresh keeps it.
    pub(crate) id: u64,
    pub(crate) expires_at: Instant,
    pub(crate) cseq: u32,
    pub(crate) reg_id: Option<u32>,
    pub(crate) q: u16,
    /// Set when the contact is best reached the way the REGISTER came: over its connection, or through its NAT.
    pub(crate) flow: Option<Box<Flow>>,
    /// The contact is at the address that the REGISTER came from, or behind the proxy there, so it is proved.
    pub(crate) proved: bool,
    /// Where each text ends in `text`, in the order of [`Text`].
    ends: [u16; 6],
    text: Box<str>,
}

/// The texts of a binding.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Texts<'a> {
    pub(crate) contact: &'a str,
    pub(crate) call_id: &'a str,
    pub(crate) path: &'a str,
    pub(crate) instance: &'a str,
    pub(crate) methods: &'a str,
    pub(crate) user_agent: &'a str,
}

/// The numbers of a binding.
#[derive(Debug, Clone)]
pub(crate) struct Numbers {
    pub(crate) id: u64,
    pub(crate) expires_at: Instant,
    pub(crate) cseq: u32,
    pub(crate) reg_id: Option<u32>,
    pub(crate) q: u16,
    pub(crate) flow: Option<Box<Flow>>,
    pub(crate) proved: bool,
}

impl Texts<'_> {
    /// Whether all texts together are within [`MAX_TEXT`].
    pub(crate) fn fit(&self) -> bool {
        self.parts().iter().map(|part| part.len()).sum::<usize>() <= MAX_TEXT
    }

    fn parts(&self) -> [&str; 6] {
        [self.contact, self.call_id, self.path, self.instance, self.methods, self.user_agent]
    }
}

impl Record {
    /// Packs a binding. Texts that do not [fit](Texts::fit) are dropped from the last on; callers refuse them before.
    pub(crate) fn new(numbers: Numbers, texts: &Texts<'_>) -> Arc<Self> {
        let parts = texts.parts();
        let mut text = String::with_capacity(parts.iter().map(|part| part.len()).sum());
        let mut ends = [0; 6];
        for (part, end) in parts.into_iter().zip(&mut ends) {
            if text.len() + part.len() <= MAX_TEXT {
                text.push_str(part);
            }
            // Invariant: `text` is at most MAX_TEXT long, which a u16 holds.
            *end = u16::try_from(text.len()).unwrap_or(u16::MAX);
        }
        let Numbers { id, expires_at, cseq, reg_id, q, flow, proved } = numbers;
        Arc::new(Self { id, expires_at, cseq, reg_id, q, flow, proved, ends, text: text.into_boxed_str() })
    }

    pub(crate) fn contact(&self) -> &str {
        self.part(0)
    }

    pub(crate) fn call_id(&self) -> &str {
        self.part(1)
    }

    pub(crate) fn path(&self) -> &str {
        self.part(2)
    }

    pub(crate) fn instance(&self) -> &str {
        self.part(3)
    }

    pub(crate) fn methods(&self) -> &str {
        self.part(4)
    }

    pub(crate) fn user_agent(&self) -> &str {
        self.part(5)
    }

    /// As other modules see it.
    pub(crate) fn view(&self) -> Binding<'_> {
        Binding {
            contact: self.contact(),
            q: self.q,
            expires_at: self.expires_at,
            call_id: self.call_id(),
            cseq: self.cseq,
            path: self.path(),
            instance: self.instance(),
            reg_id: self.reg_id,
            methods: self.methods(),
            user_agent: self.user_agent(),
            flow: self.flow.as_deref(),
        }
    }

    fn part(&self, index: usize) -> &str {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        self.text.get(usize::from(start)..usize::from(self.ends[index])).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_as_they_went_in() {
        let texts = Texts {
            contact: "sip:alice@192.0.2.1",
            call_id: "a84b4c76e66710",
            path: "",
            instance: "<urn:uuid:1>",
            methods: "MESSAGE",
            user_agent: "Téléphone",
        };
        let numbers =
            Numbers { id: 7, expires_at: Instant::now(), cseq: 3, reg_id: Some(1), q: 500, flow: None, proved: true };
        let record = Record::new(numbers, &texts);
        let view = record.view();
        assert_eq!((view.contact, view.call_id, view.path), (texts.contact, texts.call_id, ""));
        assert_eq!((view.instance, view.methods, view.user_agent), (texts.instance, texts.methods, texts.user_agent));
        assert_eq!((view.cseq, view.reg_id, view.q), (3, Some(1), 500));
    }

    #[test]
    fn too_much_text_neither_fits_nor_panics() {
        let long = "x".repeat(70_000);
        let texts = Texts { contact: "sip:a@b", user_agent: &long, ..Texts::default() };
        assert!(!texts.fit());
        let numbers =
            Numbers { id: 1, expires_at: Instant::now(), cseq: 1, reg_id: None, q: 1000, flow: None, proved: true };
        let record = Record::new(numbers, &texts);
        assert_eq!((record.contact(), record.user_agent()), ("sip:a@b", ""));
    }
}
