//! Two servers on one database would overwrite each other's state. A second one is refused or reported.

use crate::databases::on;
use crate::support::database::{DatabaseServer, Kind};
use crate::support::place::{DOMAIN, Place};
use crate::support::process::Signal;
use crate::support::server::{Server, add_account, run_signalbox, write_settings};

const REPORT: &str = "another server uses this database";

#[test]
fn a_second_server_on_one_sqlite_file_is_refused_until_the_first_has_ended() {
    let (place, other) = (Place::on_loopback(), Place::on_loopback());
    let url = format!("sqlite:{}", place.path("signalbox.db").display());
    let first = start(&place, &url);
    write(&other, &url);
    let refused = run_signalbox(&other, &["run", "settings.lua"]);
    let complaint = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success());
    let lock = place.path("signalbox.db-lock");
    assert!(complaint.contains(&format!("used by another server, which holds {}", lock.display())), "{complaint}");
    add_account(&other, "alice");
    first.kill();
    let _second = Server::start_again(&other);
}

#[test]
fn a_second_server_on_postgresql_is_reported() {
    on(Kind::Postgres, |_, database| is_reported(database));
}

#[test]
fn a_second_server_on_mariadb_is_reported() {
    on(Kind::MariaDb, |_, database| is_reported(database));
}

fn is_reported(database: &DatabaseServer<'_>) {
    let (place, other) = (database.place(), Place::on_loopback());
    let first = start(place, &database.url());
    write(&other, &database.url());
    add_account(&other, "alice");
    let mut second = Server::start_again(&other);
    assert!(second.process.output().contains(REPORT), "{}", second.process.output());
    second.process.signal(Signal::Terminate);
    second.process.ended();
    // The database may need a moment to notice that the first server has ended.
    first.kill();
    let third = Server::start_again(place);
    assert!(!third.process.output().contains(REPORT), "{}", third.process.output());
}

fn start<'a>(place: &'a Place, url: &str) -> Server<'a> {
    write(place, url);
    Server::start_again(place)
}

fn write(place: &Place, url: &str) {
    let script = place.write("route.lua", "function route(msg) sl_send_reply(200, 'OK') end");
    let address = place.server();
    let text = format!(
        "listen {{ \"udp:{address}\" }}\nalias {{ \"{DOMAIN}\" }}\nloadmodule \"auth\"\n\
         modparam(\"auth\", \"db_url\", \"{url}\")\nroute_script {script:?}\n"
    );
    write_settings(place, &text);
}
