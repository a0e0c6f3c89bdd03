//! The commands' names and parameters.

use signalbox::module::Command;

use super::{act, look};
use crate::state::PresenceAgent;

const UID: &str = "the user's id: `avp.uid`, or the address of record such as sip:alice@example.com";
const EVENT: &str = "the event package; presence when left out";
const DOMAIN: &str = "registrar or jabber; registrar when left out";
const WATCHER: &str = "the watcher's URI";
const ID: &str = "the subscription's id, as `watchers` shows it, instead of a watcher";

/// All of them.
pub(crate) fn commands() -> Vec<Command<PresenceAgent>> {
    vec![
        Command::<PresenceAgent>::new("presentities", "Lists those whose presence somebody watches or publishes.")
            .optional("containing", "only those whose id contains this text")
            .optional("limit", "at most so many; 100 when left out")
            .run(look::presentities),
        Command::<PresenceAgent>::new("show", "Shows all that is known of a presentity, and the document made of it.")
            .parameter("uid", UID)
            .optional("event", EVENT)
            .optional("domain", DOMAIN)
            .run(look::show),
        Command::<PresenceAgent>::new("watchers", "Lists the watchers of a presentity: subscribed (active or pending), waiting for a decision, or stored for a user who was away.")
            .parameter("uid", UID)
            .optional("event", EVENT)
            .optional("domain", DOMAIN)
            .run(look::watchers),
        Command::<PresenceAgent>::new("publish", "Publishes a document, or what is said in words, and shows its entity tag.")
            .parameter("uid", UID)
            .optional("document", "the document; without it and the words below, one is refreshed or, with expires 0, removed")
            .optional("expires", "how many seconds it holds")
            .optional("etag", "the entity tag of what is to be replaced, refreshed or removed")
            .optional("event", EVENT)
            .optional("type", "the media type; the package's own when left out")
            .optional("domain", DOMAIN)
            .optional("basic", "in place of a document: open or closed; open when left out")
            .optional("activity", "in place of a document: what the person does, such as on-the-phone; several with commas")
            .optional("mood", "in place of a document: how the person feels, such as happy; several with commas")
            .optional("note", "in place of a document: a text for people")
            .optional("contact", "in place of a document: a URI to reach the person by")
            .run(act::publish),
        Command::<PresenceAgent>::new("authorize", "Decides what a watcher may see from now on.")
            .parameter("uid", UID)
            .parameter("watcher", WATCHER)
            .optional("status", "active, pending or rejected; active when left out")
            .optional("event", EVENT)
            .optional("domain", DOMAIN)
            .run(act::authorize),
        Command::<PresenceAgent>::new("refresh", "Tells watchers the state once more.")
            .parameter("uid", UID)
            .optional("watcher", "only this one: a URI")
            .optional("event", EVENT)
            .optional("domain", DOMAIN)
            .run(act::refresh),
        Command::<PresenceAgent>::new("terminate", "Ends subscriptions.")
            .parameter("uid", UID)
            .optional("watcher", "only this one's: a URI")
            .optional("reason", "deactivated (subscribe again at once), probation, rejected, timeout, giveup, noresource or invariant; deactivated when left out")
            .optional("retry_after", "seconds after which the watcher may try again, beside probation and giveup")
            .optional("id", ID)
            .optional("event", EVENT)
            .optional("domain", DOMAIN)
            .run(act::terminate),
    ]
}
