//! Where a request is to go.

use signalbox_sip::uri::Uri;
use smallvec::SmallVec;

use crate::error::Error;
use crate::transport::Flow;

/// Targets that one request can have: more would make a small request into a flood (RFC 5393 §3).
pub const MAX_TARGETS: usize = 32;

/// One member of the target set (RFC 3261 §16.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The new Request-URI.
    pub uri: String,
    /// Preference in thousandths, 0 to 1000: higher first, equal in parallel (§16.6, §20.10).
    pub q: u16,
    /// The flow to use, where the target can be reached by that one only.
    pub flow: Option<Flow>,
    /// Route values to put before all others, topmost first, as one comma-separated list: the Path of a registration
    /// (RFC 3327 §5.4). Empty without.
    pub path: String,
    /// The location service names the target as a user of ours: later requests in the dialog take the same flow.
    pub is_ours: bool,
    /// The flow is used even if the request has a Route. Otherwise the Route decides (§16.6 step 7).
    pub flow_first: bool,
    /// The target is proved: its registration came from there, or the script named it. Another target gets one datagram
    /// per request until it has answered one, see [`Proofs`](crate::transactions::proofs::Proofs).
    pub proved: bool,
}

impl Target {
    /// A target of the highest preference, reached by its URI.
    pub fn new(uri: impl Into<String>) -> Self {
        Self {
            uri: uri.into(),
            q: 1000,
            flow: None,
            path: String::new(),
            is_ours: false,
            flow_first: false,
            proved: true,
        }
    }

    /// Whether both lead to one place: their URIs are equal (RFC 3261 §16.5, §19.1.4), and so are the ways there.
    pub fn is_same(&self, other: &Self) -> bool {
        self.flow == other.flow && self.path == other.path && are_equal(&self.uri, &other.uri)
    }
}

/// The target set of a request; empty means that the request goes to its own Request-URI.
#[derive(Clone, Debug, Default)]
pub struct TargetSet(SmallVec<[Target; 1]>);

impl TargetSet {
    /// Adds a target, unless the [same](Target::is_same) is there already.
    pub fn add(&mut self, target: Target) -> Result<(), Error> {
        if self.0.iter().any(|known| known.is_same(&target)) {
            return Ok(());
        }
        if self.0.len() >= MAX_TARGETS {
            return Err(Error::TooManyTargets { limit: MAX_TARGETS });
        }
        self.0.push(target);
        Ok(())
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn iter(&self) -> impl Iterator<Item = &Target> {
        self.0.iter()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes all targets out.
    pub(crate) fn take(&mut self) -> SmallVec<[Target; 1]> {
        std::mem::take(&mut self.0)
    }
}

fn are_equal(one: &str, other: &str) -> bool {
    one == other || Uri::parse(one).is_ok_and(|one| Uri::parse(other).is_ok_and(|other| one.equivalent(&other)))
}
