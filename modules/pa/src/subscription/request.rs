//! A SUBSCRIBE, as far as the agent needs it, and an accepted one.

use std::time::{Duration, Instant};

use super::status::Status;
use crate::documents::Form;
use crate::token::Token;

/// What tells a subscription from others: its dialog and its event (RFC 6665 §4.4.1, §8.2.1).
#[derive(Debug, Clone, Copy, Hash)]
pub struct Identity<'a> {
    pub call_id: &'a str,
    pub remote_tag: &'a str,
    pub event: &'a str,
    /// The `id` parameter of Event; empty without.
    pub event_id: &'a str,
}

/// What a SUBSCRIBE asks for.
#[derive(Debug, Clone)]
pub struct Subscribe<'a> {
    pub identity: Identity<'a>,
    pub cseq: u32,
    pub expires: Option<Duration>,
    /// The watcher's URI.
    pub watcher: &'a str,
    pub form: Form,
}

/// An accepted SUBSCRIBE, to be committed, answered and then confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    pub id: Token,
    pub expires: Duration,
    pub status: Status,
    /// When the subscription began.
    pub since: Instant,
    pub form: Form,
    pub cseq: u32,
    /// The CSeq mark to be committed with it.
    pub mark: u32,
    /// It makes a subscription; else it refreshes or ends one.
    pub is_new: bool,
}
