//! Two baresip clients that register, see each other and exchange messages.

use std::net::Ipv4Addr;

use crate::support::baresip::{self, Baresip};
use crate::support::place::Place;
use crate::support::server::{Server, Subject, subject};

#[test]
fn two_clients_register_see_each_other_and_exchange_messages() {
    let Some(place) = baresip::place() else { return };
    let _server = Server::start(&place);
    let [alice, bob] = meet(&place, true);
    talk_and_part(&place, &alice, bob);
}

#[test]
fn the_first_session_works_on_the_settings_as_they_are_shipped() {
    if subject() != Subject::Signalbox {
        return;
    }
    let Some(mut place) = baresip::place() else { return };
    place.domain = "example.com";
    // As the README has it: the phones are at an address of this machine and send to another one.
    place.outbound = Ipv4Addr::LOCALHOST;
    let _server = Server::start_as_shipped(&place);
    let [alice, bob] = meet(&place, false);
    talk_and_part(&place, &alice, bob);
}

#[test]
fn registrations_and_subscriptions_outlive_a_killed_server() {
    if subject() != Subject::Signalbox {
        return;
    }
    let Some(place) = baresip::place() else { return };
    let server = Server::start(&place);
    let [alice, bob] = meet(&place, false);
    server.kill();
    let _server = Server::start_again(&place);
    // Both refresh no sooner than in minutes: whatever works now was remembered.
    alice.says(&place, "still there?");
    bob.hears("still there?");
    bob.quits(&place);
    alice.sees(&place, "Offline");
}

/// Alice and Bob, who see each other. With `publish` they say themselves that they are there.
fn meet(place: &Place, publish: bool) -> [Baresip; 2] {
    let alice = Baresip::start(place, ("alice", "bob"), 1, publish);
    let bob = Baresip::start(place, ("bob", "alice"), 2, publish);
    alice.sees(place, "Online");
    bob.sees(place, "Online");
    [alice, bob]
}

fn talk_and_part(place: &Place, alice: &Baresip, bob: Baresip) {
    alice.says(place, "hello bob");
    bob.hears("hello bob");
    bob.says(place, "hello alice");
    alice.hears("hello alice");
    bob.quits(place);
    alice.sees(place, "Offline");
}
