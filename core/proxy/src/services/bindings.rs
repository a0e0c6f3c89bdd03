//! Where an address of record can be reached now: the location service of RFC 3261 §10, as other modules see it.
//!
//! The `registrar` module provides it; `pa` reads presence from it. An address of record is given in its canonical
//! form (§10.3 step 5), as the `Aor` of `signalbox-sip` writes it: `sip:alice@example.com`.

use std::time::Instant;

use crate::transport::Flow;

/// The location service. Calls are short and never wait: they may be made from any thread.
pub trait Bindings: Send + Sync {
    /// Shows each binding of `aor` that is valid at `now`, highest q first. `visit` runs under a lock that belongs to the
    /// address of record: it must copy what it needs and not call back into the service.
    fn visit(&self, aor: &str, now: Instant, visit: &mut dyn FnMut(&Binding<'_>));

    /// How many bindings of `aor` are valid at `now`.
    fn count(&self, aor: &str, now: Instant) -> usize {
        let mut count = 0;
        self.visit(aor, now, &mut |_| count += 1);
        count
    }

    /// Has `watcher` called for every change from now on, after the change is committed and visible to [`Self::visit`],
    /// from the thread that made it and with no lock held. It must be quick: it runs before the REGISTER is answered.
    fn watch(&self, watcher: Watcher);
}

/// What [`Bindings::watch`] takes.
pub type Watcher = Box<dyn Fn(&BindingEvent<'_>) + Send + Sync>;

/// One contact of an address of record, borrowed from the location service.
#[derive(Debug, Clone, Copy)]
pub struct Binding<'a> {
    /// The contact's URI as registered, without `<>` and header parameters.
    pub contact: &'a str,
    /// Preference in thousandths, 0 to 1000 (RFC 3261 §20.10). 1000 when the contact named none.
    pub q: u16,
    pub expires_at: Instant,
    /// Call-ID and CSeq of the REGISTER that last wrote the binding (§10.3 step 7).
    pub call_id: &'a str,
    pub cseq: u32,
    /// The Path values of that REGISTER as one comma-separated list, topmost first (RFC 3327). Empty without.
    pub path: &'a str,
    /// The `+sip.instance` of the user agent, without its `<>` (RFC 5626 §4.1). Empty without.
    pub instance: &'a str,
    /// `reg-id` of RFC 5626 §4.2.
    pub reg_id: Option<u32>,
    /// The `methods` parameter, unquoted. Empty when the contact named none.
    pub methods: &'a str,
    pub user_agent: &'a str,
    /// The way that the REGISTER came, set when the contact is to be reached by it: over the connection that it opened, or
    /// through its NAT.
    pub flow: Option<&'a Flow>,
}

/// A change of the location service, as watchers see it.
#[derive(Debug, Clone, Copy)]
pub struct BindingEvent<'a> {
    pub aor: &'a str,
    pub change: BindingChange,
    /// The binding after the change, or as it last was when it is gone.
    pub binding: Binding<'a>,
}

/// What happened to a binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BindingChange {
    Added,
    /// Registered again: expiry, q or any other field may differ.
    Refreshed,
    /// Its time ran out.
    Expired,
    /// Taken away by the user agent, a script or an administrator.
    Removed,
}
