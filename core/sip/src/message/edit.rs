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
    /// Of a request; a response is left as it is. White space in the URI is escaped; an empty one changes nothing.
    pub fn set_request_uri(&mut self, uri: &str) {
        if !self.is_request() || (uri.is_empty() && self.start != Span::NONE) {
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
        self.push_line_text(lex::trim(reason));
        self.kind = Kind::Response { status, reason: Span::new(reason_start, self.text.len()) };
        self.end_start_line(start);
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
    pub fn with_body(mut self, body: Bytes) -> Self {
        self.body = body;
        self
    }

    /// Adds the tag, a token, to To where it has none.
    pub fn set_to_tag(&mut self, tag: &str) {
        let wanted = Wanted::Known(HeaderName::To);
        let Some(at) = self.position(wanted).filter(|_| self.to_tag().is_none()) else { return };
        let old = self.lines[at];
        let start = self.text.len();
        self.text.push_str("To: ");
        let value = self.text.len();
        // A request that was refused may have a carriage return in it.
        if octets::is_plain_line(self.text_of(old.value_span())) {
            self.text.extend_from_within(old.value as usize..old.end as usize);
        } else {
            let old = lex::trim_start(self.text_of(old.value_span())).to_owned();
            self.push_line_text(&old);
        }
        self.text.push_str(";tag=");
        let tag_start = self.text.len();
        self.push_line_text(tag);
        let line = self.end_line(HeaderName::To, "To".len(), (start, value));
        self.looks.to_tag = Span { start: tag_start as u32, end: line.end };
        self.replace_lines(at, line, wanted);
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
        let known = wanted.known();
        let line = self.append(known, name, value);
        match self.position(wanted) {
            None => self.lines.push(line),
            Some(first) => self.replace_lines(first, line, wanted),
        }
        self.refresh(known);
    }

    /// Puts the line in the place of the first of its name, and removes the others.
    fn replace_lines(&mut self, first: usize, line: HeaderLine, wanted: Wanted<'_>) {
        self.lines[first] = line;
        let (text, behind) = (&self.text, first + 1);
        if self.lines[behind..].iter().any(|line| wanted.is(line, text)) {
            let mut at = 0;
            self.lines.retain(|line| {
                at += 1;
                at <= behind || !wanted.is(line, text)
            });
        }
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
            (Wanted::Known(name).is(line, &self.text) && line.value < line.end)
                .then(|| (at, self.text_of(line.value_span())))
        }) else {
            return false;
        };
        let rest = if name == HeaderName::Via && self.looks.top_via.is_some_and(|via| via.ends_at(self.lines[at].end)) {
            ""
        } else {
            let mut list = lex::split_list(value);
            list.next();
            list.rest()
        };
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
        self.push_line_text(value);
        self.end_line(name, written.len(), (start, value_start))
    }

    /// The line whose text has just been appended, from `start` on, its value from `value` on.
    fn end_line(&mut self, name: HeaderName, name_length: usize, (start, value): (usize, usize)) -> HeaderLine {
        let end = self.text.len();
        self.text.push_str("\r\n");
        HeaderLine {
            name,
            ends_clean: true,
            name_length: name_length as u16,
            start: start as u32,
            value: value as u32,
            end: end as u32,
        }
    }

    /// Appends text that may not end the line.
    fn push_line_text(&mut self, value: &str) {
        if octets::is_plain_line(value) {
            self.text.push_str(value);
        } else {
            self.text.extend(value.chars().map(|c| if matches!(c, '\r' | '\n') { ' ' } else { c }));
            self.carries_octets |= octets::may_carry(value);
        }
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
            HeaderName::Via => self.looks.top_via = None,
            _ => {}
        }
    }

    fn tag_of(&self, name: HeaderName) -> Span {
        let address = self.value(name).and_then(|value| NameAddr::parse(value).ok());
        address.and_then(|address| address.tag()).map_or(Span::NONE, |tag| Span::of(tag, &self.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::method::Method;

    const TEXT: &str = "MESSAGE sip:b@x SIP/2.0\r\nv: SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/UDP b\r\nFrom: <sip:a@x>;tag=f\r\n\
        To: <sip:b@x>\r\nCall-ID: i@a\r\nCSeq: 7 MESSAGE\r\nX-Two: 1\r\nVia: SIP/2.0/UDP c\r\nx-two: 2\r\nContent-Length: 0\r\n\r\n";

    fn message() -> Message {
        Message::parse(TEXT.as_bytes()).unwrap()
    }

    fn print(message: &Message) -> String {
        String::from_utf8(message.to_bytes()).unwrap()
    }

    #[test]
    fn the_request_uri_is_replaced_in_the_start_line() {
        let mut message = message();
        message.set_request_uri("sip:c@y z");
        assert_eq!(message.request_uri(), "sip:c@y%20z");
        assert_eq!(print(&message), TEXT.replace("sip:b@x SIP", "sip:c@y%20z SIP"));
    }

    #[test]
    fn set_keeps_the_place_of_the_first_line_and_removes_the_others() {
        let mut message = message();
        message.set_of("X-TWO", "3").unwrap();
        message.set(HeaderName::MaxForwards, "70");
        let expected = TEXT.replace("x-two: 2\r\n", "").replace("X-Two: 1", "X-TWO: 3");
        assert_eq!(print(&message), expected.replace("Length: 0\r\n", "Length: 0\r\nMax-Forwards: 70\r\n"));
    }

    #[test]
    fn push_goes_last_and_prepend_before_the_first_of_its_name() {
        let mut message = message();
        message.push(HeaderName::Route, "<sip:r>");
        message.prepend(HeaderName::Route, "<sip:q>");
        message.prepend(HeaderName::Via, "SIP/2.0/UDP me");
        message.prepend_of("X-New", "1").unwrap();
        assert_eq!(message.items(HeaderName::Route).collect::<Vec<_>>(), ["<sip:q>", "<sip:r>"]);
        assert_eq!(message.items(HeaderName::Via).next(), Some("SIP/2.0/UDP me"));
        assert_eq!(message.lines().next(), Some(("X-New", "1")));
        assert_eq!(message.lines().last(), Some(("Route", "<sip:r>")));
    }

    #[test]
    fn the_top_item_is_removed_or_replaced_in_a_list() {
        let mut message = message();
        assert!(message.replace_first_item(HeaderName::Via, "SIP/2.0/UDP z"));
        let vias = |message: &Message| message.items(HeaderName::Via).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(vias(&message), ["SIP/2.0/UDP z", "SIP/2.0/UDP b", "SIP/2.0/UDP c"]);
        for left in [2, 1, 0] {
            assert!(message.remove_first_item(HeaderName::Via));
            assert_eq!(vias(&message).len(), left);
        }
        assert!(!message.remove_first_item(HeaderName::Via));
        assert!(!message.replace_first_item(HeaderName::Route, "<sip:r>"));
    }

    #[test]
    fn unknown_headers_have_no_top_item() {
        let mut message = message();
        assert!(!message.remove_first_item(HeaderName::Other) && !message.replace_first_item(HeaderName::Other, "x"));
        assert_eq!(print(&message), TEXT);
    }

    #[test]
    fn an_empty_request_uri_changes_nothing() {
        let mut message = message();
        message.set_request_uri("");
        assert_eq!(print(&message), TEXT);
    }

    #[test]
    fn removing_says_how_many_lines_there_were() {
        let mut message = message();
        assert_eq!((message.remove_of("x-two"), message.remove_of("x-two")), (2, 0));
        assert_eq!(message.remove(HeaderName::Via), 2);
        assert_eq!(message.remove(HeaderName::Other), 0);
    }

    #[test]
    fn no_value_can_start_another_line() {
        let mut message = message();
        message.push(HeaderName::Subject, "a\r\nRoute: <sip:evil>");
        message.set_body(Some("text/plain\n\nx"), Bytes::new());
        let again = Message::parse(&message.to_bytes()).unwrap();
        assert_eq!(again.value(HeaderName::Subject), Some("a  Route: <sip:evil>"));
        assert_eq!(again.value(HeaderName::Route), None);
        assert!(message.push_of("a: b\r\nc", "d").is_err());
        let mut response = Message::response(200, "OK\r\nRoute: x");
        response.set_status(404, "Not\nFound");
        assert_eq!(print(&response), "SIP/2.0 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    }

    #[test]
    fn quick_looks_follow_edits() {
        let mut message = message();
        message.set_to_tag("t");
        message.set_to_tag("ignored");
        assert_eq!((message.to_tag(), message.value(HeaderName::To)), (Some("t"), Some("<sip:b@x>;tag=t")));
        message.set(HeaderName::From, "<sip:z@x>");
        message.set(HeaderName::CSeq, "8 MESSAGE");
        assert_eq!((message.from_tag(), message.cseq()), (None, 8));
        let mut response = Message::response(200, "OK");
        response.push(HeaderName::CSeq, "3 NOTIFY");
        assert_eq!((response.cseq(), response.method()), (3, &Method::Notify));
    }

    #[test]
    fn an_empty_value_is_a_line_without_one() {
        let mut message = message();
        message.set(HeaderName::Supported, "  ");
        assert_eq!(message.value(HeaderName::Supported), Some(""));
        assert!(print(&message).contains("\r\nSupported:\r\n"));
    }
}
