//! Request methods (RFC 3261 §7.1 and the RFCs that add methods). Method names are case-sensitive.

use std::fmt;

use crate::lex;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    Invite,
    Ack,
    Bye,
    Cancel,
    Register,
    Options,
    /// RFC 6086
    Info,
    /// RFC 3262
    Prack,
    /// RFC 3311
    Update,
    /// RFC 6665
    Subscribe,
    /// RFC 6665
    Notify,
    /// RFC 3903
    Publish,
    /// RFC 3428
    Message,
    /// RFC 3515
    Refer,
    /// A token that is none of the above.
    Other(Box<str>),
}

impl Method {
    /// `None` where the text is not a token.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "INVITE" => Self::Invite,
            "ACK" => Self::Ack,
            "BYE" => Self::Bye,
            "CANCEL" => Self::Cancel,
            "REGISTER" => Self::Register,
            "OPTIONS" => Self::Options,
            "INFO" => Self::Info,
            "PRACK" => Self::Prack,
            "UPDATE" => Self::Update,
            "SUBSCRIBE" => Self::Subscribe,
            "NOTIFY" => Self::Notify,
            "PUBLISH" => Self::Publish,
            "MESSAGE" => Self::Message,
            "REFER" => Self::Refer,
            other if lex::is_token(other) => Self::Other(other.into()),
            _ => return None,
        })
    }

    pub fn as_str(&self) -> &str {
        match self {
            Self::Invite => "INVITE",
            Self::Ack => "ACK",
            Self::Bye => "BYE",
            Self::Cancel => "CANCEL",
            Self::Register => "REGISTER",
            Self::Options => "OPTIONS",
            Self::Info => "INFO",
            Self::Prack => "PRACK",
            Self::Update => "UPDATE",
            Self::Subscribe => "SUBSCRIBE",
            Self::Notify => "NOTIFY",
            Self::Publish => "PUBLISH",
            Self::Message => "MESSAGE",
            Self::Refer => "REFER",
            Self::Other(name) => name,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_print_as_they_were_read() {
        for name in ["INVITE", "ACK", "MESSAGE", "SUBSCRIBE", "!interesting-Method0123456789_*+`.%indeed'~", "invite"] {
            assert_eq!(Method::parse(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn methods_are_case_sensitive_tokens() {
        assert_eq!(Method::parse("invite"), Some(Method::Other("invite".into())));
        for bad in ["", "IN VITE", "INVITE/", "\u{e9}"] {
            assert_eq!(Method::parse(bad), None, "{bad}");
        }
    }
}
