//! What can go wrong while a message is routed, and the response that each failure is answered with.

use std::net::SocketAddr;

use signalbox_sip::message::ParseError;

use crate::transport::SendError;

/// A failure of a routing step. [`Error::status`] says how a request that met it is answered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the message cannot be parsed: {0}")]
    Parse(#[from] ParseError),
    #[error("{header} is malformed: {problem}")]
    BadHeader { header: &'static str, problem: String },
    #[error("the URI {uri:?} is malformed")]
    BadUri { uri: String },
    #[error("no address can be found for {host:?}")]
    Unresolvable { host: String },
    #[error("the scheme of {uri:?} is not routed here")]
    UnsupportedScheme { uri: String },
    #[error("the request is for a sips URI, and TLS is not supported")]
    SipsNotAllowed,
    #[error("{uri:?} can only be reached by TLS, which is not supported")]
    SipsRequired { uri: String },
    #[error("the transport {transport:?} is not supported")]
    UnsupportedTransport { transport: String },
    #[error("Max-Forwards has reached 0")]
    TooManyHops,
    #[error("Max-Breadth has reached 0")]
    BreadthExceeded,
    #[error("{remote} has not answered yet, and gets nothing more for this request")]
    Unanswered { remote: SocketAddr },
    #[error("the request has been here before and would go the same way")]
    LoopDetected,
    #[error("Proxy-Require asks for {tags}, which is not supported")]
    BadExtension { tags: String },
    #[error("there is nowhere to send the request")]
    NoTarget,
    #[error("the request was answered already")]
    AlreadyAnswered,
    #[error("the request was cancelled")]
    Cancelled,
    #[error("an ACK is never answered")]
    AckNotAnswered,
    #[error("this can only be done for a request")]
    NotARequest,
    #[error("the request has more than {limit} targets")]
    TooManyTargets { limit: usize },
    #[error("the status code {status} is not one that a final or provisional response can have")]
    BadStatus { status: u16 },
    #[error("too many transactions or look-ups are under way")]
    Overloaded,
    #[error("{remote} has not answered yet: {octets} octets may not be sent there, and it accepts no connection")]
    Unproved { remote: SocketAddr, octets: usize },
    #[error("the server stops")]
    Stopping,
    #[error("the script has no {kind} named {name:?}")]
    NoSuchRoute { kind: &'static str, name: String },
    #[error(transparent)]
    Send(#[from] SendError),
}

impl Error {
    /// The status code and reason phrase that tell the sender of the request about this failure.
    pub fn status(&self) -> (u16, &'static str) {
        match self {
            Self::Parse(_) | Self::BadHeader { .. } | Self::BadUri { .. } => (400, "Bad Request"),
            Self::UnsupportedScheme { .. } => (416, "Unsupported URI Scheme"),
            Self::BadExtension { .. } => (420, "Bad Extension"),
            Self::NoTarget | Self::Unanswered { .. } | Self::SipsNotAllowed | Self::SipsRequired { .. } => {
                (480, "Temporarily Unavailable")
            }
            Self::Cancelled => (487, "Request Terminated"),
            Self::LoopDetected => (482, "Loop Detected"),
            Self::BreadthExceeded => (440, "Max-Breadth Exceeded"),
            Self::TooManyHops => (483, "Too Many Hops"),
            Self::Overloaded | Self::Stopping => (503, "Service Unavailable"),
            Self::Send(_)
            | Self::Unproved { .. }
            | Self::Unresolvable { .. }
            | Self::UnsupportedTransport { .. }
            | Self::AlreadyAnswered
            | Self::AckNotAnswered
            | Self::NotARequest
            | Self::TooManyTargets { .. }
            | Self::BadStatus { .. }
            | Self::NoSuchRoute { .. } => (500, "Server Internal Error"),
        }
    }

    /// The status that a branch counts as answered with after this error. It is 503 if the request could not be sent
    /// (RFC 3261 §16.9); the sender of the request then gets 500 (§16.7 step 6).
    pub(crate) fn branch_status(&self) -> (u16, &'static str) {
        match self {
            Self::Send(_) | Self::Unproved { .. } | Self::Unresolvable { .. } | Self::UnsupportedTransport { .. } => {
                (503, "Service Unavailable")
            }
            _ => self.status(),
        }
    }

    /// A Warning (RFC 3261 §20.43, RFC 5630 §5.3) if the status alone does not explain the error. It names no address,
    /// because the address of a user is private.
    pub fn warning(&self) -> Option<&'static str> {
        Some(match self {
            Self::Send(_) | Self::Unproved { .. } => "399 signalbox \"The next hop cannot be reached\"",
            Self::Unresolvable { .. } => "399 signalbox \"The host of the next hop has no address\"",
            Self::UnsupportedTransport { .. } => "399 signalbox \"The transport of the next hop is not spoken here\"",
            Self::SipsNotAllowed => "380 signalbox \"SIPS Not Allowed\"",
            Self::SipsRequired { .. } => "381 signalbox \"SIPS Required\"",
            _ => return None,
        })
    }
}

/// An error and its causes in one line for people: causes that the text has already are not said again, nor are the
/// system's numbers of errors.
pub fn explain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(if text.is_empty() { "" } else { ": " });
            text.push_str(&said);
        }
        next = error.source();
    }
    without_numbers(&text)
}

/// Takes ` (os error 2)` out.
fn without_numbers(text: &str) -> String {
    const NUMBER: &str = " (os error ";
    let mut parts = text.split(NUMBER);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| match part.split_once(')') {
        Some((number, rest)) if number.bytes().all(|byte| byte.is_ascii_digit()) => text + rest,
        _ => text + NUMBER + part,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_said_once_with_its_causes_and_without_numbers() {
        #[derive(Debug, thiserror::Error)]
        #[error("a.lua: {0}")]
        struct Twice(#[source] std::io::Error);
        assert_eq!(explain(&Twice(std::io::Error::from_raw_os_error(2))), "a.lua: No such file or directory");
        #[derive(Debug, thiserror::Error)]
        #[error("module x")]
        struct Once(#[source] Twice);
        let error = Once(Twice(std::io::Error::other("it (os error x) broke")));
        assert_eq!(explain(&error), "module x: a.lua: it (os error x) broke");
    }
}
