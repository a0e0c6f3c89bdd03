//! What is the same for all shards.

use signalbox_sip::dialog::notifier::Policy;

use crate::packages::Packages;

/// How shards go about it.
pub struct Rules {
    pub policy: Policy,
    pub packages: Packages,
}
