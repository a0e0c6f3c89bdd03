//! A SUBSCRIBE, as far as the agent needs it, and an accepted one.

use std::time::Duration;

use super::status::Status;
use crate::documents::DocumentType;
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
#[derive(Debug, Clone, Copy)]
pub struct Subscribe<'a> {
    pub identity: Identity<'a>,
    pub cseq: u32,
    pub expires: Option<Duration>,
    pub document: DocumentType,
}

/// An accepted SUBSCRIBE, to be committed, answered and then confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    pub id: Token,
    pub expires: Duration,
    pub status: Status,
    pub document: DocumentType,
    pub cseq: u32,
    /// The CSeq mark to be committed with it.
    pub mark: u32,
    /// It makes a subscription; else it refreshes or ends one.
    pub is_new: bool,
}
