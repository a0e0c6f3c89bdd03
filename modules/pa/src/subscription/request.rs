//! A SUBSCRIBE, as far as the agent needs it, and an accepted one.

use std::time::{Duration, Instant};

use super::status::Status;
use super::wishes::Wishes;
use crate::agent::quota::Payer;
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

/// An [`Identity`] as keyed hashes: the dialog, and the event in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint {
    pub dialog: u32,
    pub event: u32,
}

/// What a SUBSCRIBE asks for.
#[derive(Debug, Clone)]
pub struct Subscribe<'a> {
    pub identity: Identity<'a>,
    pub cseq: u32,
    pub expires: Option<Duration>,
    /// The watcher's URI: From.
    pub watcher: &'a str,
    /// The URI in To.
    pub to: &'a str,
    pub wishes: Wishes,
    /// The holders that the subscription is counted for, if the request makes one.
    pub payer: Payer,
}

/// An accepted SUBSCRIBE, to be committed, answered and then confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    pub id: Token,
    pub expires: Duration,
    pub status: Status,
    /// When the subscription began.
    pub since: Instant,
    pub wishes: Wishes,
    pub cseq: u32,
    /// The CSeq mark to be committed with it.
    pub mark: u32,
    /// It makes a subscription; else it refreshes or ends one.
    pub is_new: bool,
    /// The watcher knows the state already: 204, and no NOTIFY (RFC 5839 §6.3).
    pub is_quiet: bool,
}
