//! Who may subscribe to a package, as long as the presentity's user has said nothing else.

use signalbox_sip::uri::Aor;

use crate::subscription::Status;

/// The policy for new subscriptions of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authorization {
    /// Everybody: subscriptions are active.
    Everybody,
    /// Nobody before the presentity has said so: subscriptions are pending.
    Pending,
    /// The presentity's own user; everybody else is pending.
    OwnerElsePending,
    /// The presentity's own user; everybody else is refused.
    OwnerOnly,
}

/// What the policy says about one watcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Accept(Status),
    Refuse,
}

impl Authorization {
    /// `watcher` and `presentity` are URIs; they are compared as addresses of record (RFC 3261 §19.1.4, §10.3 step 5), not as texts.
    pub fn decide(self, watcher: &str, presentity: &str) -> Decision {
        let is_owner = || Aor::parse(watcher).is_some_and(|watcher| Some(watcher) == Aor::parse(presentity));
        match self {
            Self::Everybody => Decision::Accept(Status::Active),
            Self::Pending => Decision::Accept(Status::Pending),
            Self::OwnerElsePending if is_owner() => Decision::Accept(Status::Active),
            Self::OwnerElsePending => Decision::Accept(Status::Pending),
            Self::OwnerOnly if is_owner() => Decision::Accept(Status::Active),
            Self::OwnerOnly => Decision::Refuse,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_known_by_their_uri_however_it_is_written() {
        let decide = |watcher| Authorization::OwnerOnly.decide(watcher, "sip:alice@example.com");
        for own in ["sip:alice@EXAMPLE.com", "sip:%61lice@example.com;user=phone", "sips:alice@example.com:5061"] {
            assert_eq!(decide(own), Decision::Accept(Status::Active), "{own}");
        }
        for other in ["sip:Alice@example.com", "sip:bob@example.com", "sip:example.com", "nonsense"] {
            assert_eq!(decide(other), Decision::Refuse, "{other}");
        }
        let pending = Authorization::OwnerElsePending.decide("sip:bob@example.com", "sip:alice@example.com");
        assert_eq!(pending, Decision::Accept(Status::Pending));
    }
}
