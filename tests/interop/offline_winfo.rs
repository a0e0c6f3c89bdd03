//! Watchers of a user who is away: stored, told later, and then forgotten, on each database.

use crate::databases::on;
use crate::support::database::Kind;
use crate::support::party::{Party, Watch};
use crate::support::place::{DOMAIN, Place};
use crate::support::server::{Server, repository, run_signalbox, write_settings};

#[test]
fn watchers_of_a_user_who_is_away_are_kept_on_sqlite() {
    let place = Place::on_loopback();
    keeps(&place, "sqlite:signalbox.db");
}

#[test]
fn watchers_of_a_user_who_is_away_are_kept_on_postgresql() {
    on(Kind::Postgres, |_, server| keeps(server.place(), &server.url()));
}

#[test]
fn watchers_of_a_user_who_is_away_are_kept_on_mariadb() {
    on(Kind::MariaDb, |_, server| keeps(server.place(), &server.url()));
}

fn keeps(place: &Place, url: &str) {
    let server = start(place, url);
    let mut party = Party::new(place);
    for watcher in ["alice", "carol", "alice"] {
        // A fetch: it is over at once, and nobody has decided.
        assert_eq!(party.subscribe(&mut Watch::new(watcher, "bob"), 0).status(), 200);
    }
    // The 200 goes out before the script goes on to store the watcher.
    party.until("each is stored", |_| stored(place) >= 2);
    assert_eq!(stored(place), 2, "once");
    server.kill();

    let server = Server::start_again(place);
    assert_eq!(stored(place), 2);
    let mut bob = Watch::of("presence.winfo", "bob", "bob");
    assert_eq!(party.subscribe(&mut bob, 600).status(), 200);
    party.until("the user has heard of them", |party| party.count(&format!("sip:carol@{DOMAIN}")) == 1);
    party.until("they are forgotten", |_| stored(place) == 0);
    server.kill();

    let _server = Server::start_again(place);
    assert_eq!(stored(place), 0);
    assert_eq!(party.subscribe(&mut bob, 600).status(), 200);
    party.until("nobody is left to tell of", |party| party.count("package=\"presence\"></watcher-list>") == 1);
}

fn start<'a>(place: &'a Place, url: &str) -> Server<'a> {
    let script = repository().join("tests/scenarios/scripts/offline_winfo.lua");
    let mut text = format!("listen {{ \"udp:{}\" }}\nalias {{ \"{DOMAIN}\" }}\n", place.server());
    for module in ["registrar", "pa", "im_auth"] {
        text.push_str(&format!("loadmodule \"{module}\"\n"));
    }
    for module in ["registrar", "pa"] {
        text.push_str(&format!("modparam(\"{module}\", \"db_url\", \"{url}\")\n"));
    }
    text.push_str("modparam(\"pa\", \"auth\", \"implicit\")\nmodparam(\"pa\", \"use_offline_winfo\", 1)\n");
    text.push_str(&format!("route_script {script:?}\n"));
    write_settings(place, &text);
    Server::start_again(place)
}

/// How many watchers of Bob the server says to have stored.
fn stored(place: &Place) -> usize {
    let output = run_signalbox(place, &["ctl", "--json", "pa", "watchers", &format!("sip:bob@{DOMAIN}")]);
    String::from_utf8_lossy(&output.stdout).matches("\"stored\"").count()
}
