//! Writing: text is escaped directly into the output, without copies. The result is well-formed whatever text is
//! written: a character that XML 1.0 §2.2 does not allow becomes U+FFFD.

/// Appends character data.
pub fn push_text(out: &mut String, text: &str) {
    let is_special = |b| matches!(b, b'<' | b'&' | ..=0x1f | 0xef) && !matches!(b, b'\n' | b'\t');
    if memchr::memchr(b'>', text.as_bytes()).is_none() {
        return push_escaped(out, text, is_special);
    }
    // XML 1.0 §2.4: a ">" has to be escaped only here, where it would end a CDATA section.
    for (i, part) in text.split("]]>").enumerate() {
        if i > 0 {
            out.push_str("]]&gt;");
        }
        push_escaped(out, part, is_special);
    }
}

/// Appends `<name>`; a prefix is part of the name.
pub fn push_start_tag(out: &mut String, name: &str) {
    ["<", name, ">"].iter().for_each(|part| out.push_str(part));
}

/// Appends `</name>`.
pub fn push_end_tag(out: &mut String, name: &str) {
    ["</", name, ">"].iter().for_each(|part| out.push_str(part));
}

/// Appends an element of character data alone: `<name>text</name>`.
pub fn push_text_element(out: &mut String, name: &str, text: &str) {
    push_start_tag(out, name);
    push_text(out, text);
    push_end_tag(out, name);
}

/// Appends ` name="value"`.
pub fn push_attribute(out: &mut String, name: &str, value: &str) {
    out.push(' ');
    out.push_str(name);
    out.push_str("=\"");
    push_value(out, value);
    out.push('"');
}

/// Appends what stands between the double quotes of an attribute.
pub fn push_value(out: &mut String, value: &str) {
    push_escaped(out, value, |b| matches!(b, b'<' | b'>' | b'&' | b'"' | ..=0x1f | 0xef));
}

fn push_escaped(out: &mut String, text: &str, is_special: impl Fn(u8) -> bool) {
    let mut rest = text;
    while let Some(at) = rest.bytes().position(&is_special) {
        let (plain, special) = rest.split_at(at);
        out.push_str(plain);
        let mut chars = special.chars();
        match chars.next() {
            Some('<') => out.push_str("&lt;"),
            Some('>') => out.push_str("&gt;"),
            Some('&') => out.push_str("&amp;"),
            Some('"') => out.push_str("&quot;"),
            Some('\r') => out.push_str("&#13;"),
            Some('\n') => out.push_str("&#10;"),
            Some('\t') => out.push_str("&#9;"),
            Some(c) => out.push(if is_xml_char(c) { c } else { char::REPLACEMENT_CHARACTER }),
            None => {}
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
}

/// Whether XML 1.0 §2.2 allows the character in a document.
pub fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Document, Limits};
    use super::*;

    fn allowed(text: &str) -> String {
        text.chars().map(|c| if is_xml_char(c) { c } else { '\u{fffd}' }).collect()
    }

    proptest! {
        #[test]
        fn any_text_is_well_formed_and_read_as_it_was_but_for_what_xml_does_not_allow(
            text in r"([\x00-\x20<>&\]\u{fffd}-\u{ffff}\u{10ff80}]|(?s:.)){0,24}",
            value in r#"([\x00-\x20<>&"'\u{fffd}-\u{ffff}\u{10ff80}]|(?s:.)){0,24}"#,
        ) {
            let mut out = "<a".to_owned();
            push_attribute(&mut out, "b", &value);
            out.push('>');
            push_text(&mut out, &text);
            out.push_str("</a>");
            let document = Document::parse(out.as_bytes(), &Limits::default()).unwrap();
            prop_assert_eq!(document.root().attribute("b"), Some(&*allowed(&value)));
            prop_assert_eq!(document.root().raw_text(), &*allowed(&text));
        }

        #[test]
        fn what_is_written_is_read_back(text in "[\\PC\t\n\r<>&\"']{0,40}", value in "[\\PC\t\n\r<>&\"']{0,40}") {
            let mut out = "<a".to_owned();
            push_attribute(&mut out, "b", &value);
            out.push('>');
            push_text(&mut out, &text);
            out.push_str("</a>");
            let document = Document::parse(out.as_bytes(), &Limits::default()).unwrap();
            prop_assert_eq!(document.root().attribute("b"), Some(&*value));
            prop_assert_eq!(document.root().raw_text(), &*text);
        }
    }
}
