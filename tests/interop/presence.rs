//! SUBSCRIBE, PUBLISH and NOTIFY, by SIPp.

use crate::support::server::{Server, Subject, subject};
use crate::support::sipp::{self, Sipp};

#[test]
fn a_watcher_sees_a_publication_come_and_go() {
    let Some(place) = sipp::place() else { return };
    let _server = Server::start(&place);
    let mut watcher = Sipp::new(&place, "watch", "alice", 5070).with("to", "bob").start();
    watcher.logged("subscribed");
    Sipp::new(&place, "publish", "bob", 5071).play();
    watcher.succeeds();
}

#[test]
fn a_watcher_sees_a_publication_modified_and_an_old_tag_refused() {
    let Some(place) = sipp::place() else { return };
    let _server = Server::start(&place);
    let mut watcher = Sipp::new(&place, "watch", "alice", 5070).with("to", "bob").start();
    watcher.logged("subscribed");
    Sipp::new(&place, "publish_modify", "bob", 5071).play();
    watcher.succeeds();
}

#[test]
fn a_fetch_gets_the_state_and_ends_at_once() {
    let Some(place) = sipp::place() else { return };
    let _server = Server::start(&place);
    Sipp::new(&place, "publish_once", "bob", 5071).play();
    Sipp::new(&place, "fetch", "alice", 5070).with("to", "bob").with("seen", "open&lt;/basic").play();
}

#[test]
fn a_subscription_is_refreshed_and_ended() {
    let Some(place) = sipp::place() else { return };
    let _server = Server::start(&place);
    Sipp::new(&place, "refresh", "alice", 5070).with("to", "bob").play();
}

#[test]
fn a_user_is_told_who_watches() {
    let Some(place) = sipp::place() else { return };
    let _server = Server::start(&place);
    let mut user = Sipp::new(&place, "watch_watchers", "bob", 5070).with("watcher", "alice").start();
    user.logged("subscribed");
    let mut watcher = Sipp::new(&place, "watch", "alice", 5071).with("to", "bob").start();
    watcher.logged("subscribed");
    user.succeeds();
    Sipp::new(&place, "publish", "bob", 5072).play();
    watcher.succeeds();
}

#[test]
fn a_subscription_outlives_a_killed_server() {
    if subject() != Subject::Signalbox {
        return;
    }
    let Some(place) = sipp::place() else { return };
    let server = Server::start(&place);
    let mut watcher = Sipp::new(&place, "watch", "alice", 5070).with("to", "bob").start();
    watcher.logged("subscribed");
    server.kill();
    let _server = Server::start_again(&place);
    Sipp::new(&place, "publish", "bob", 5071).play();
    watcher.succeeds();
}
