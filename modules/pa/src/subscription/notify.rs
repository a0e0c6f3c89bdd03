//! A NOTIFY as the agent wants it sent.

use std::sync::Arc;

use bytes::Bytes;
use signalbox_sip::dialog::notifier::Notification;

use crate::token::Token;

/// A NOTIFY to be sent now.
#[derive(Debug, Clone)]
pub struct Notify<W> {
    /// The subscription, to report the answer with.
    pub id: Token,
    pub cseq: u32,
    pub notification: Notification,
    /// Content type and body; nothing for watchers who may not see anything yet.
    pub body: Option<(&'static str, Bytes)>,
    /// How to get to the watcher.
    pub way: Arc<W>,
}
