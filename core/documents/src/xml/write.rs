//! Writing: escaping into a text that grows, without copies in between.

/// Appends character data.
pub fn push_text(out: &mut String, text: &str) {
    push_escaped(out, text, |b| matches!(b, b'<' | b'>' | b'&' | b'\r'));
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
    push_escaped(out, value, |b| matches!(b, b'<' | b'>' | b'&' | b'"' | b'\r' | b'\n' | b'\t'));
}

fn push_escaped(out: &mut String, text: &str, is_special: impl Fn(u8) -> bool) {
    let mut rest = text;
    while let Some(at) = rest.bytes().position(&is_special) {
        let (plain, special) = rest.split_at(at);
        out.push_str(plain);
        out.push_str(match special.as_bytes().first() {
            Some(b'<') => "&lt;",
            Some(b'>') => "&gt;",
            Some(b'&') => "&amp;",
            Some(b'"') => "&quot;",
            Some(b'\r') => "&#13;",
            Some(b'\n') => "&#10;",
            _ => "&#9;",
        });
        rest = special.get(1..).unwrap_or_default();
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Document, Limits};
    use super::*;

    proptest! {
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
