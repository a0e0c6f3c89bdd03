//! The presence agent without input or output: requests and events go in with the time, and out come answers,
//! notifications and records for the database.
//!
//! | file | what |
//! |---|---|
//! | [`shards`] | the agent: its shards, and which of them is whose |
//! | [`shard`] | a part of the state under one lock: presentities, subscriptions, deadlines |
//! | [`subscribe`] | SUBSCRIBE, outside and within a dialog, and what comes of NOTIFYs |
//! | [`decide`] | what is decided about subscriptions that there are |
//! | [`publish`] | PUBLISH |
//! | [`registrations`] | contacts that the registrar tells of |
//! | [`restore`] | what the database brings back |
//! | [`untold`] | telling the state again after a crash |
//! | [`observe`] | the hook of packages that tell of the subscriptions of another one |
//! | [`remember`] | watchers that the database remembers |
//! | [`look`] | looking at the state |
//! | `aliases` | whose an address of record is, where a script has set `avp.uid` |
//! | [`quota`] | limits on subscriptions and their octets |
//! | `rules` | what is the same for all shards |
//! | `target` | whom a request is about |
//! | [`effects`] | what is to be done outside of the locks |

mod aliases;
#[cfg(test)]
mod crash_tests;
pub mod decide;
pub mod effects;
pub mod look;
mod observe;
pub mod publish;
pub mod quota;
pub mod registrations;
mod remember;
pub mod restore;
pub mod rules;
mod shard;
pub mod shards;
pub mod subscribe;
pub mod target;
#[cfg(test)]
mod tests;
mod untold;

pub use decide::{Chosen, Verdict};
pub use effects::{Effects, Record};
pub use publish::AcceptedPublish;
pub use restore::RestoredSubscription;
pub use shards::Agent;
pub use subscribe::MAX_WATCHERS;
pub use target::Target;
