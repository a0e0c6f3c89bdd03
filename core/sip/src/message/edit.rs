//! Changing a message: the table is changed, new text is appended behind the old.
//!
//! Values come from peers and scripts. A line end in one would start a header of its own, so it becomes a space.

use bytes::Bytes;

use super::line::{HeaderLine, Span};
use super::view::{Kind, Wanted};
use super::{Message, octets, parse};
use crate::header::{HeaderError, HeaderName};
use crate::lex;
use crate::uri::NameAddr;

/// The start line and the body.
impl Message {
    /// Of a request; a response is left as it is. White space in the URI is escaped.
    pub fn set_request_uri(&mut self, uri: &str) {
        if !self.is_request() {
            return;
        }
        let start = self.text.len();
        self.text.push_str(self.method.as_str());
        self.text.push(' ');
        let uri_start = self.text.len();
        if uri.bytes().all(|byte| byte > b' ' && byte != 0x7f) {
            self.text.push_str(uri);
        } else {
            uri.chars().for_each(|c| match c {
                '\0'..=' ' | '\x7f' => self.text.push_str("%20"),
                c => self.text.push(c),
            });
        }
        self.kind = Kind::Request { uri: Span::new(uri_start, self.text.len()) };
        self.text.push_str(" SIP/2.0");
        self.end_start_line(start);
        self.carries_octets |= octets::may_carry(uri);
    }

    /// Of a response; a request is left as it is. The status must have three digits.
    pub fn set_status(&mut self, status: u16, reason: &str) {
        if self.is_request() {
            return;
        }
        let start = self.text.len();
        self.text.push_str("SIP/2.0 ");
        let status = status.clamp(100, 699);
        self.text.extend([status / 100, status / 10 % 10, status % 10].map(|digit| char::from(b'0' + digit as u8)));
        self.text.push(' ');
        let reason_start = self.text.len();
        push_line_text(lex::trim(reason), &mut self.text);
        self.kind = Kind::Response { status, reason: Span::new(reason_start, self.text.len()) };
        self.end_start_line(start);
        self.carries_octets |= octets::may_carry(reason);
    }

    fn end_start_line(&mut self, start: usize) {
        self.start = Span::new(start, self.text.len());
        self.text.push_str("\r\n");
    }

    /// Replaces the body; with a type also the Content-Type, without one that is removed.
    pub fn set_body(&mut self, content_type: Option<&str>, body: Bytes) {
        match content_type {
            Some(content_type) => self.set(HeaderName::ContentType, content_type),
            None => {
                self.remove(HeaderName::ContentType);
            }
        }
        self.body = body;
    }

    /// The same message with this body, headers as they are.
    pub(crate) fn with_body(mut self, body: Bytes) -> Self {
        self.body = body;
        self
    }

    /// Adds the tag to To where it has none.
    pub fn set_to_tag(&mut self, tag: &str) {
        if self.to_tag().is_none()
            && let Some(to) = self.value(HeaderName::To)
        {
            let value = [to, ";tag=", tag].concat();
            self.set(HeaderName::To, &value);
        }
    }
}

/// The headers, by known name. [`HeaderName::Other`] is no name: nothing happens.
impl Message {
    /// Replaces all lines of this name by one, which stands where the first stood, or last.
    pub fn set(&mut self, name: HeaderName, value: &str) {
        if name != HeaderName::Other {
            self.set_line(Wanted::Known(name), name.as_str(), value);
        }
    }

    /// Adds a line behind all others.
    pub fn push(&mut self, name: HeaderName, value: &str) {
        if name != HeaderName::Other {
            let line = self.append(name, name.as_str(), value);
            self.lines.push(line);
            self.refresh(name);
        }
    }

    /// Adds a line before the first of its name, or else before all others.
    pub fn prepend(&mut self, name: HeaderName, value: &str) {
        if name != HeaderName::Other {
            let line = self.append(name, name.as_str(), value);
            let at = self.position(Wanted::Known(name)).unwrap_or(0);
            self.lines.insert(at, line);
            self.refresh(name);
        }
    }

    /// Removes all lines of this name and says how many there were.
    pub fn remove(&mut self, name: HeaderName) -> usize {
        self.remove_lines(Wanted::Known(name))
    }

    /// Replaces the topmost item of a list header, such as the top Via. `false` where there is none.
    pub fn replace_first_item(&mut self, name: HeaderName, value: &str) -> bool {
        self.change_first_item(name, Some(value))
    }

    /// Removes the topmost item of a list header, such as the top Via or Route. `false` where there is none.
    pub fn remove_first_item(&mut self, name: HeaderName) -> bool {
        self.change_first_item(name, None)
    }
}

/// The headers, by any name, full or compact.
impl Message {
    /// As [`Message::set`]. An error where the name is no token.
    pub fn set_of(&mut self, name: &str, value: &str) -> Result<(), HeaderError> {
        check_name(name)?;
        self.set_line(Wanted::named(name), name, value);
        Ok(())
    }

    /// As [`Message::push`]. An error where the name is no token.
    pub fn push_of(&mut self, name: &str, value: &str) -> Result<(), HeaderError> {
        check_name(name)?;
        let known = HeaderName::parse(name);
        let line = self.append(known, name, value);
        self.lines.push(line);
        self.refresh(known);
        Ok(())
    }

    /// As [`Message::prepend`]. An error where the name is no token.
    pub fn prepend_of(&mut self, name: &str, value: &str) -> Result<(), HeaderError> {
        check_name(name)?;
        let known = HeaderName::parse(name);
        let line = self.append(known, name, value);
        let at = self.position(Wanted::named(name)).unwrap_or(0);
        self.lines.insert(at, line);
        self.refresh(known);
        Ok(())
    }

    /// As [`Message::remove`].
    pub fn remove_of(&mut self, name: &str) -> usize {
        self.remove_lines(Wanted::named(name))
    }
}

fn check_name(name: &str) -> Result<(), HeaderError> {
    if lex::is_token(name) && name.len() <= usize::from(u16::MAX) {
        Ok(())
    } else {
        Err(HeaderError::new(HeaderName::Other, "the name is no token"))
    }
}

impl Message {
    fn position(&self, wanted: Wanted<'_>) -> Option<usize> {
        self.lines.iter().position(|line| wanted.is(line, &self.text))
    }

    fn set_line(&mut self, wanted: Wanted<'_>, name: &str, value: &str) {
        let known = HeaderName::parse(name);
        let line = self.append(known, name, value);
        match self.position(wanted) {
            None => self.lines.push(line),
            Some(first) => {
                self.lines[first] = line;
                let text = &self.text;
                let mut at = 0;
                self.lines.retain(|line| {
                    at += 1;
                    at - 1 == first || !wanted.is(line, text)
                });
            }
        }
        self.refresh(known);
    }

    fn remove_lines(&mut self, wanted: Wanted<'_>) -> usize {
        let before = self.lines.len();
        let text = &self.text;
        self.lines.retain(|line| !wanted.is(line, text));
        if let Wanted::Known(name) = wanted {
            self.refresh(name);
        }
        before - self.lines.len()
    }

    fn change_first_item(&mut self, name: HeaderName, new: Option<&str>) -> bool {
        // Lines of empty values hold no item; they are no loss.
        let Some((at, value)) = self.lines.iter().enumerate().find_map(|(at, line)| {
            (line.name == name && line.value < line.end).then(|| (at, self.text_of(line.value_span())))
        }) else {
            return false;
        };
        let mut list = lex::split_list(value);
        list.next();
        let rest = list.rest();
        match (new, rest) {
            (None, "") => {
                self.lines.remove(at);
            }
            (None, rest) => {
                let rest = rest.to_owned();
                self.lines[at] = self.append(name, name.as_str(), &rest);
            }
            (Some(new), "") => self.lines[at] = self.append(name, name.as_str(), new),
            (Some(new), rest) => {
                let value = [new, ", ", rest].concat();
                self.lines[at] = self.append(name, name.as_str(), &value);
            }
        }
        self.refresh(name);
        true
    }

    /// Appends `name: value` to the text; the line is in no table yet.
    fn append(&mut self, name: HeaderName, written: &str, value: &str) -> HeaderLine {
        let value = lex::trim(value);
        let start = self.text.len();
        self.text.push_str(written);
        self.text.push_str(if value.is_empty() { ":" } else { ": " });
        let value_start = self.text.len();
        push_line_text(value, &mut self.text);
        self.carries_octets |= octets::may_carry(value);
        let line = HeaderLine {
            name,
            ends_clean: true,
            name_length: written.len() as u16,
            start: start as u32,
            value: value_start as u32,
            end: self.text.len() as u32,
        };
        self.text.push_str("\r\n");
        line
    }

    /// Brings what is kept about a header up to date after an edit.
    pub(super) fn refresh(&mut self, name: HeaderName) {
        match name {
            HeaderName::From => self.looks.from_tag = self.tag_of(name),
            HeaderName::To => self.looks.to_tag = self.tag_of(name),
            HeaderName::CSeq => {
                if let Some((number, method)) = self.value(name).and_then(parse::cseq) {
                    self.looks.cseq = number;
                    if !self.is_request() {
                        self.method = method;
                    }
                }
            }
            HeaderName::ContentLength => self.looks.content_length = None,
            _ => {}
        }
    }

    fn tag_of(&self, name: HeaderName) -> Span {
        let address = self.value(name).and_then(|value| NameAddr::parse(value).ok());
        address.and_then(|address| address.tag()).map_or(Span::NONE, |tag| Span::of(tag, &self.text))
    }
}

/// Appends text that may not end the line.
fn push_line_text(value: &str, text: &mut String) {
    if memchr::memchr2(b'\r', b'\n', value.as_bytes()).is_none() {
        text.push_str(value);
    } else {
        text.extend(value.chars().map(|c| if matches!(c, '\r' | '\n') { ' ' } else { c }));
    }
}
