//! The transactions of one worker (RFC 3261 §17): which there are, what each has to repeat, and to whom its outcome
//! matters. The state machines themselves are in `signalbox_sip::transaction`.
//!
//! | file | what |
//! |---|---|
//! | [`table`] | the tables: server transactions by key, client transactions by the slot in their branch |
//! | [`branch`] | the branch parameter: worker, slot, token, loop hash |
//! | [`server`] | requests that came in: repetition, CANCEL, ACK, responding |
//! | [`client`] | requests sent out: matching responses, retransmission, ACK, CANCEL |
//! | [`proxying`] | between the two: response contexts of relayed requests |
//! | [`conclusions`] | relayed requests that have failed, one after the other |
//! | [`local`] | requests that the server itself makes |
//! | [`allowance`] | how much may be sent to an unproved address |
//! | [`proofs`] | which addresses may get more than one datagram for a request |

mod allowance;
pub(crate) mod branch;
pub(crate) mod client;
pub(crate) mod conclusions;
pub(crate) mod local;
pub mod proofs;
pub(crate) mod proxying;
pub(crate) mod server;
pub(crate) mod table;

pub use allowance::Allowance;
pub use local::{LocalOutcome, OnFinal, OutgoingRequest};
pub use table::{ClientId, MAX_TRANSACTIONS, ServerId};
