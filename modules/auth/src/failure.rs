//! Why credentials were not accepted.

use std::time::Duration;

/// The reason, as the script gets it. A client learns none of it but that its nonce was too old: not even whether the user exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// None for the realm.
    NoCredentials,
    Malformed,
    /// The nonce is too old, not ours, or for another spelling of the realm. The password was not checked.
    StaleNonce,
    /// The password is right, the nonce count was used before.
    Replayed,
    UnknownUser,
    BadPassword,
    /// One that was not offered, or that the account has no secret for.
    Algorithm,
    /// Without quality of protection, or with one that was not offered.
    Qop,
    /// The `uri` names another resource than the request.
    OtherResource,
    /// Too many wrong passwords: none is checked for this time.
    TooMany(Duration),
    /// The database cannot be asked.
    Unavailable,
}

impl Failure {
    const ALL: [Self; 11] = [
        Self::NoCredentials,
        Self::Malformed,
        Self::StaleNonce,
        Self::Replayed,
        Self::UnknownUser,
        Self::BadPassword,
        Self::Algorithm,
        Self::Qop,
        Self::OtherResource,
        Self::TooMany(Duration::ZERO),
        Self::Unavailable,
    ];

    /// The failure with this text, without its time.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|failure| failure.text() == text)
    }

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::NoCredentials => "no credentials",
            Self::Malformed => "malformed credentials",
            Self::StaleNonce => "stale nonce",
            Self::Replayed => "nonce count used before",
            Self::UnknownUser => "unknown user",
            Self::BadPassword => "bad password",
            Self::Algorithm => "algorithm not accepted",
            Self::Qop => "quality of protection not accepted",
            Self::OtherResource => "credentials for another resource",
            Self::TooMany(_) => "too many wrong passwords",
            Self::Unavailable => "accounts not available",
        }
    }

    /// Whether a fresh nonce is all that was lacking (RFC 7616 §3.3, `stale`).
    pub(crate) fn is_stale(self) -> bool {
        matches!(self, Self::StaleNonce | Self::Replayed)
    }

    /// Whether somebody tried a password, or a user, that is not right.
    pub(crate) fn is_suspicious(self) -> bool {
        matches!(self, Self::UnknownUser | Self::BadPassword | Self::OtherResource | Self::TooMany(_))
    }

    /// The failure of a request whose several credentials for the realm were all refused. A stale nonce goes first,
    /// then too many wrong passwords, then the failure of the first credentials.
    pub(crate) fn or(self, other: Self) -> Self {
        let weight = |failure: Self| match failure {
            _ if failure.is_stale() => 2,
            Self::TooMany(_) | Self::Unavailable => 1,
            _ => 0,
        };
        if weight(other) > weight(self) { other } else { self }
    }
}
