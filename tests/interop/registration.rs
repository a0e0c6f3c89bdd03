//! REGISTER with digest, by SIPp and sipsak.

use std::process::Command;

use crate::support::peers;
use crate::support::place::Place;
use crate::support::process::Process;
use crate::support::server::{Server, Subject, run_signalbox, subject};
use crate::support::sipp::{self, Sipp, password_of};

#[test]
fn a_device_registers_with_digest_and_unregisters() {
    let Some(place) = sipp::place() else { return };
    let _server = Server::start(&place);
    Sipp::new(&place, "register", "alice", 5070).with("expires", 600).play();
    Sipp::new(&place, "register", "bob", 5071).with("expires", 600).over_tcp().play();
    Sipp::new(&place, "unregister", "alice", 5070).play();
}

#[test]
fn a_wrong_password_is_challenged_again() {
    let Some(place) = sipp::place() else { return };
    let _server = Server::start(&place);
    Sipp::new(&place, "register_refused", "alice", 5070).password("wrong").play();
}

#[test]
fn sipsak_registers_and_gets_an_answer_to_options() {
    let Some(sipsak) = peers::find("sipsak") else { return };
    let place = Place::on_loopback();
    let _server = Server::start(&place);
    if subject() == Subject::Signalbox {
        // sipsak sends to a name that it can resolve: the realm is the server's address.
        let (account, password) = (format!("alice@{}", place.address), password_of("alice"));
        let add = ["user", "add", &account, "--password", &password, "--settings", "settings.lua"];
        assert!(run_signalbox(&place, &add).status.success());
    }
    let run = |arguments: &[&str], target: &str| {
        let mut command = Command::new(&sipsak);
        command.args(arguments).args(["-s", target, "-vv"]);
        let mut process = Process::start(&place, "sipsak", &mut command);
        let status = process.ended();
        assert!(status.success(), "sipsak {arguments:?}: {status}\n{}", process.output());
        process.output()
    };
    let options = run(&[], &format!("sip:{}", place.server()));
    assert!(options.contains("SIP/2.0 200"), "{options}");
    let secret = password_of("alice");
    let contact = format!("sip:alice@{}:5070", place.address);
    let target = format!("sip:alice@{}", place.server());
    run(&["-U", "-C", &contact, "-x", "600", "-u", "alice", "-a", &secret, "-i"], &target);
}

#[test]
fn a_registration_outlives_a_killed_server() {
    if subject() != Subject::Signalbox {
        return;
    }
    let Some(place) = sipp::place() else { return };
    let server = Server::start(&place);
    Sipp::new(&place, "register", "bob", 5071).with("expires", 600).play();
    server.kill();
    let _server = Server::start_again(&place);
    let receiver = Sipp::new(&place, "message_receive", "bob", 5071).with("text", "remembered").start();
    let sender = Sipp::new(&place, "message_send", "alice", 5080).with("to", "bob").with("text", "remembered");
    sender.with("status", 200).play();
    receiver.succeeds();
}
