//! What a 2xx has promised outlives a killed server and a database that goes: registrations, subscriptions and publications, on each
//! database.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::databases::on;
use crate::support::database::{DatabaseServer, Kind};
use crate::support::holder::Holder;
use crate::support::party::{Party, Watch};
use crate::support::peers;
use crate::support::place::{DOMAIN, Place};
use crate::support::server::{Server, Subject, USERS, add_account, binary, subject, write_settings};
use crate::support::wait::wait_for;

const SCRIPT: &str = "function route(msg)
  if msg.method == \"REGISTER\" then return save(\"location\") end
  if msg.method == \"SUBSCRIBE\" then return handle_subscription(\"registrar\") end
  if msg.method == \"PUBLISH\" then return handle_publish(\"registrar\") end
  sl_send_reply(200, \"OK\")
end
";
/// A script that challenges every request.
const WITH_DIGEST: &str = "function route(msg)
  if msg.method ~= \"REGISTER\" then return sl_send_reply(200, \"OK\") end
  if not www_authorize(msg.to.host) then return www_challenge(msg.to.host) end
  sl_send_reply(200, \"Proved\")
end
";
const CROWD: usize = 1000;
/// How long a database may take to answer before it is given up, plus a margin for a busy machine.
const LONGEST_WAIT: Duration = Duration::from_secs(8 + 4);

#[test]
fn presence_outlives_a_killed_server_on_sqlite() {
    let place = Place::on_loopback();
    outlives(&place, "sqlite:signalbox.db");
}

#[test]
fn presence_outlives_a_killed_server_on_postgresql() {
    on(Kind::Postgres, |_, server| outlives(server.place(), &server.url()));
}

#[test]
fn presence_outlives_a_killed_server_on_mariadb() {
    on(Kind::MariaDb, |_, server| outlives(server.place(), &server.url()));
}

#[test]
fn without_postgresql_what_must_be_stored_is_refused_and_what_is_in_memory_goes_on() {
    on(Kind::Postgres, |_, server| {
        let (place, url) = (server.place(), server.url());
        let running = start(place, &url);
        goes_on(place, &running, |there| if there { server.start_again() } else { server.stop() });
    });
}

#[test]
fn without_mariadb_what_must_be_stored_is_refused_and_what_is_in_memory_goes_on() {
    on(Kind::MariaDb, |_, server| {
        let (place, url) = (server.place(), server.url());
        let running = start(place, &url);
        goes_on(place, &running, |there| if there { server.start_again() } else { server.stop() });
    });
}

/// A frozen database accepts connections and answers nothing. Only a timeout shows that.
#[test]
fn while_postgresql_is_frozen_what_must_be_stored_is_refused_and_what_is_in_memory_goes_on() {
    on(Kind::Postgres, |_, server| frozen(server));
}

#[test]
fn while_mariadb_is_frozen_what_must_be_stored_is_refused_and_what_is_in_memory_goes_on() {
    on(Kind::MariaDb, |_, server| frozen(server));
}

fn frozen(server: &DatabaseServer<'_>) {
    let (place, url) = (server.place(), server.url());
    let running = start(place, &url);
    let mut frozen = None;
    goes_on(place, &running, |there| frozen = (!there).then(|| server.freeze()));
    let output = running.process.output();
    assert!(!output.contains("another server"), "it was its own session that was left: {output}");
}

#[test]
fn while_postgresql_is_frozen_users_that_must_be_looked_up_are_refused_and_known_ones_are_not() {
    on(Kind::Postgres, |_, server| looks_up(server));
}

#[test]
fn while_mariadb_is_frozen_users_that_must_be_looked_up_are_refused_and_known_ones_are_not() {
    on(Kind::MariaDb, |_, server| looks_up(server));
}

/// Another process has SQLite's file and keeps it.
#[test]
fn while_the_sqlite_file_is_locked_what_must_be_stored_is_refused_and_what_is_in_memory_goes_on() {
    if peers::find("sqlite3").is_none() {
        return;
    }
    let place = Place::on_loopback();
    let server = start(&place, "sqlite:signalbox.db");
    let mut holder = None;
    goes_on(&place, &server, |there| match there {
        false => {
            let mut command = Command::new("sqlite3");
            command.arg(place.path("signalbox.db"));
            let statements = ".timeout 10000\nBEGIN EXCLUSIVE;\nSELECT 'held';\n";
            holder = Some(Holder::start(&mut command, statements, "held"));
        }
        true => holder = None,
    });
}

/// The disk that SQLite's file is on is full: a small one, which only this server and what it starts can see.
#[test]
fn while_the_disk_is_full_what_must_be_stored_is_refused_and_what_is_in_memory_goes_on() {
    if !Command::new("unshare").args(["-Urm", "true"]).status().is_ok_and(|status| status.success()) {
        return peers::skip("user namespaces are not allowed here");
    }
    let place = Place::on_loopback();
    write(&place, "sqlite:small/signalbox.db");
    std::fs::create_dir(place.path("small")).expect("a folder");
    // What is written to `orders` is done by a shell on the server's side.
    let orders = place.path("orders");
    assert!(Command::new("mkfifo").arg(&orders).status().expect("mkfifo").success());
    let life = format!(
        "mount -t tmpfs -o size=2m none small; (while :; do sh orders; done) & exec '{}' run settings.lua",
        binary().display()
    );
    let mut command = Command::new("unshare");
    command.args(["-Urmpf", "--kill-child", "sh", "-c", &life]);
    let server = Server::start_by(&place, &mut command);
    goes_on(&place, &server, |there| {
        let done = place.path(if there { "freed" } else { "filled" });
        let order = match there {
            false => "dd if=/dev/zero of=small/ballast bs=1k; sync; : > filled",
            true => "rm small/ballast; : > freed",
        };
        std::fs::write(&orders, order).expect("giving an order");
        wait_for(order, || done.exists().then_some(()));
    });
}

#[test]
fn a_server_killed_while_it_tells_a_thousand_watchers_tells_each_of_them_the_newest_state_later() {
    if subject() != Subject::Signalbox {
        return;
    }
    let place = Place::on_loopback();
    let server = start(&place, "sqlite:signalbox.db");
    let mut party = Party::new(&place);
    let mut crowd: Vec<Watch> = (0..CROWD).map(|number| Watch::new(&format!("w{number}"), "bob")).collect();
    party.subscribe_all(&mut crowd, 3600);
    let tag = party.publish("bob", None, Some("at home"), 3600).expect("published");
    party.until("all have heard of the first state", |party| party.count("at home") == CROWD);
    party.publish("bob", Some(&tag), Some("on the train"), 3600).expect("published");
    party.until("some have heard of the second state", |party| party.count("on the train") >= 50);
    server.kill();
    let heard = party.count("on the train");
    assert!(heard < CROWD, "the server was too fast for this test");

    let _server = Server::start_again(&place);
    party.until("all have heard of the newest state", |party| party.count("on the train") == CROWD);
    party.subscribe_all(&mut crowd, 3600);
    assert_eq!(party.count("on the train"), CROWD);
}

fn start<'a>(place: &'a Place, url: &str) -> Server<'a> {
    write(place, url);
    Server::start_again(place)
}

/// Writes the settings and the script.
fn write(place: &Place, url: &str) {
    let script = place.write("route.lua", SCRIPT);
    let server = place.server();
    let mut text =
        format!("listen {{ \"udp:{server}\" }}\nalias {{ \"{DOMAIN}\" }}\nlimits {{ overload_delay = \"10s\" }}\n");
    for module in ["registrar", "pa"] {
        text.push_str(&format!("loadmodule \"{module}\"\nmodparam(\"{module}\", \"db_url\", \"{url}\")\n"));
    }
    text.push_str("modparam(\"pa\", \"auth\", \"none\")\nmodparam(\"pa\", \"min_publish_expiration\", 1)\n");
    text.push_str(&format!("route_script {script:?}\n"));
    write_settings(place, &text);
}

fn outlives(place: &Place, url: &str) {
    let server = start(place, url);
    let mut party = Party::new(place);
    let mut watches: Vec<Watch> = (0..3).map(|number| Watch::new(&format!("w{number}"), "bob")).collect();
    party.subscribe_all(&mut watches, 600);
    let tag = party.publish("bob", None, Some("at home"), 600).expect("published");
    assert_eq!(party.register("carol", 600).status(), 200);
    party.until("all have heard", |party| party.count("at home") == 3);
    server.kill();

    let _server = Server::start_again(place);
    // A CSeq that comes twice, or goes back, ends this test.
    party.subscribe_all(&mut watches, 600);
    assert_eq!(party.count("at home"), 3);
    let bindings = party.register("carol", 600);
    assert!(String::from_utf8_lossy(&bindings.to_bytes()).contains("<sip:carol@"), "one binding, the same");
    let tag = party.publish("bob", Some(&tag), None, 600).expect("refreshed");
    party.publish("bob", Some(&tag), Some("on the train"), 600).expect("modified");
    party.until("all have heard of the change", |party| party.count("on the train") == 3);
    party.subscribe_all(&mut watches, 0);
    party.until("all have heard the end", |party| party.ended() == 3);
}

/// What the server does while it is without its database, and when that is there again, as `database` sees to.
fn goes_on(place: &Place, _server: &Server<'_>, mut database: impl FnMut(bool)) {
    let mut party = Party::new(place);
    let mut watches = [Watch::new("w0", "bob")];
    party.subscribe_all(&mut watches, 600);
    party.publish("bob", None, Some("at home"), 5).expect("published");
    party.until("the watcher has heard", |party| party.count("at home") == 1);

    database(false);
    let asked = Instant::now();
    let refused = party.subscribe(&mut Watch::new("w1", "bob"), 600);
    assert_eq!((refused.status(), Party::retry_after(&refused)), (503, true));
    assert!(asked.elapsed() < LONGEST_WAIT, "the first is refused after {:?}", asked.elapsed());
    let asked = Instant::now();
    let refused = party.subscribe(&mut watches[0], 600);
    assert_eq!((refused.status(), Party::retry_after(&refused)), (503, true));
    let refused = party.publish("bob", None, Some("on the train"), 600).expect_err("refused");
    assert_eq!((refused.status(), Party::retry_after(&refused)), (503, true));
    let refused = party.register("carol", 600);
    assert_eq!((refused.status(), Party::retry_after(&refused)), (503, true));
    assert!(asked.elapsed() < Duration::from_secs(2), "and others at once, not after {:?}", asked.elapsed());
    party.until("the watcher is told what expires", |party| party.count("at home") == 0);

    database(true);
    party.until_accepted("the database is found again", |party| party.subscribe(&mut watches[0], 600).status() == 200);
    assert_eq!(party.register("carol", 600).status(), 200);
    party.publish("bob", None, Some("on the train"), 600).expect("published");
    party.until("the watcher has heard of what came since", |party| party.count("on the train") == 1);
}

/// The answers to users that authenticate while the database is frozen: alice is in the cache, bob is not.
fn looks_up(server: &DatabaseServer<'_>) {
    let (place, url) = (server.place(), server.url());
    let script = place.write("route.lua", WITH_DIGEST);
    let address = place.server();
    let text = format!(
        "listen {{ \"udp:{address}\" }}\nalias {{ \"{DOMAIN}\" }}\nloadmodule \"auth\"\n\
         modparam(\"auth\", \"db_url\", \"{url}\")\nroute_script {script:?}\n"
    );
    write_settings(place, &text);
    USERS.iter().for_each(|user| add_account(place, user));
    let _running = Server::start_again(place);
    let mut party = Party::new(place);
    assert_eq!(party.prove("alice").status(), 200);

    let frozen = server.freeze();
    let asked = Instant::now();
    let refused = party.prove("bob");
    assert_eq!((refused.status(), Party::retry_after(&refused)), (503, true));
    assert!(asked.elapsed() < LONGEST_WAIT, "refused after {:?}", asked.elapsed());
    assert_eq!(party.prove("alice").status(), 200, "her account is in memory");

    drop(frozen);
    party.until_accepted("the database is found again", |party| party.prove("bob").status() == 200);
}
