//! The response context of a proxy, for the sections that test it.

use signalbox_sip::fork::{BranchId, Fork};

pub(super) const A: BranchId = BranchId(0);
pub(super) const B: BranchId = BranchId(1);
pub(super) const C: BranchId = BranchId(2);
pub(super) const D: BranchId = BranchId(3);

/// One with branches of these q-values, launched.
pub(super) fn fork(invite: bool, qs: &[u16]) -> Fork {
    let mut fork = Fork::new(invite);
    for &q in qs {
        fork.add(q).unwrap();
    }
    fork.launch();
    fork
}
