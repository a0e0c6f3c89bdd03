//! RPID's elements of one value with a time: `<status-icon>` (RFC 4480 §3.12) and `<time-offset>` (§3.13).

use super::listing::Span;
use crate::xml::{Element, push_attribute, push_text};

/// A picture that shows the status.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StatusIcon {
    pub span: Span,
    pub uri: String,
}

/// How far the person's clock is from UTC.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TimeOffset {
    pub span: Span,
    /// East of UTC is positive.
    pub minutes: i32,
    /// What people call it: `America/New_York`.
    pub description: Option<String>,
}

impl StatusIcon {
    /// None where it names no picture.
    pub(super) fn read(element: Element<'_>) -> Option<Self> {
        let uri = Some(element.text()).filter(|uri| !uri.is_empty())?;
        Some(Self { span: Span::read(element), uri: uri.to_owned() })
    }

    pub(super) fn write(&self, out: &mut String) {
        out.push_str("<rpid:status-icon");
        self.span.write(out);
        out.push('>');
        push_text(out, &self.uri);
        out.push_str("</rpid:status-icon>");
    }
}

impl TimeOffset {
    /// None where it isn't a number of minutes.
    pub(super) fn read(element: Element<'_>) -> Option<Self> {
        let minutes = element.text().parse().ok()?;
        let description = element.attribute("description").map(str::to_owned);
        Some(Self { span: Span::read(element), minutes, description })
    }

    pub(super) fn write(&self, out: &mut String) {
        out.push_str("<rpid:time-offset");
        self.span.write(out);
        if let Some(description) = &self.description {
            push_attribute(out, "description", description);
        }
        out.push('>');
        out.push_str(&self.minutes.to_string());
        out.push_str("</rpid:time-offset>");
    }
}
