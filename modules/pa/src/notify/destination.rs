//! Where the NOTIFYs of a subscription go: to a phone, or to another module in this process.

use std::borrow::Cow;

use signalbox::services::presence::{Document, Status, SubscriptionState};
use signalbox_sip::dialog::subscription::State;
use tokio::sync::watch;

use super::way::Way;
use crate::subscription::{Identity, Notify, Watcher};

/// How to get to a watcher.
#[derive(Debug)]
pub enum Destination {
    /// Over SIP.
    Dialog(Way),
    /// To a module that subscribed by the Query Status API.
    Internal(Internal),
}

/// A watcher within the process.
#[derive(Debug)]
pub struct Internal {
    pub watcher: Box<str>,
    pub statuses: watch::Sender<Status>,
}

impl Destination {
    /// The way of a watcher that came by SIP.
    pub fn way(&self) -> Option<&Way> {
        match self {
            Self::Dialog(way) => Some(way),
            Self::Internal(_) => None,
        }
    }

    /// What tells the subscription from others, for one that came by SIP.
    pub fn identity(&self) -> Option<Identity<'_>> {
        self.way()?.identity()
    }
}

impl Watcher for Destination {
    fn uri(&self) -> &str {
        match self {
            Self::Dialog(way) => way.uri(),
            Self::Internal(internal) => &internal.watcher,
        }
    }

    fn display_name(&self) -> Cow<'_, str> {
        self.way().map_or_else(|| "".into(), Watcher::display_name)
    }

    fn is_proved(&self) -> bool {
        self.way().is_none_or(Watcher::is_proved)
    }

    fn is_dialog_of(&self, from: &str, to: &str) -> bool {
        self.way().is_some_and(|way| way.is_dialog_of(from, to))
    }
}

impl Internal {
    /// Shows what a NOTIFY would say.
    pub fn show(&self, notify: &Notify<Destination>) {
        let state = match notify.notification.state {
            State::Active => SubscriptionState::Active,
            State::Pending => SubscriptionState::Pending,
            State::Terminated(_) => SubscriptionState::Terminated,
        };
        let document = notify
            .body
            .as_ref()
            .map(|body| Document { content_type: body.content_type.as_str().to_owned(), body: body.bytes.clone() });
        self.statuses.send_replace(Status { state, document });
    }
}
