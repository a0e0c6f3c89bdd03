//! Writes log lines to standard error. Characters that carry octets which are not UTF-8 become U+FFFD.

use std::borrow::Cow;
use std::io::{self, Stderr, Write};

use memchr::memmem;
use signalbox_sip::message::readable;

/// How such a character begins in a text that is logged with escapes, as fields are: `"caf\u{10ffe9}"`.
const ESCAPED: &str = "\\u{10ff";

/// Writes one line at a time.
pub(super) struct Lines(Stderr);

impl Lines {
    pub(super) fn new() -> Self {
        Self(io::stderr())
    }
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match str::from_utf8(line) {
            Ok(text) => self.0.write_all(shown(text).as_bytes())?,
            Err(_) => self.0.write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The line as it is shown.
fn shown(line: &str) -> Cow<'_, str> {
    let line = readable(line);
    let Some(first) = memmem::find(line.as_bytes(), ESCAPED.as_bytes()) else { return line };
    let mut shown = line[..first].to_owned();
    let mut rest = &line[first..];
    while let Some(at) = rest.find(ESCAPED) {
        let (before, escape) = rest.split_at(at);
        let digits =
            escape[ESCAPED.len()..].split_once('}').map(|(digits, _)| digits).filter(|digits| digits.len() == 2);
        let is_carrier = digits.is_some_and(|digits| u8::from_str_radix(digits, 16).is_ok_and(|low| low >= 0x80));
        shown.push_str(before);
        // This applies in all formats, whatever precedes the backslash.
        shown.push_str(if is_carrier { "\\u{fffd" } else { ESCAPED });
        rest = &escape[ESCAPED.len() + if is_carrier { 2 } else { 0 }..];
    }
    shown.push_str(rest);
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_that_are_not_utf_8_are_replaced_however_they_are_logged() {
        let text = "caf\u{10ffe9} \u{10ff80}";
        assert_eq!(shown(text), "caf\u{fffd} \u{fffd}");
        assert_eq!(shown(&format!("a={text:?} b")), "a=\"caf\\u{fffd} \\u{fffd}\" b");
        let json = serde_json::json!({ "a": format!("{text:?}"), "b": text }).to_string();
        let read: serde_json::Value = serde_json::from_str(&shown(&json)).unwrap();
        assert_eq!(read["a"], "\"caf\\u{fffd} \\u{fffd}\"");
        assert_eq!(read["b"], "caf\u{fffd} \u{fffd}");
    }

    #[test]
    fn other_text_is_logged_unchanged() {
        for line in ["caf\u{e9} \u{10ff7f}", "\\u{10ff7f} \\u{10ff", "\\u{10ffe", "\\u{10ff+8}", ""] {
            assert_eq!(shown(line), line);
        }
    }
}
