//! The signalbox command towards a running server and its accounts: ctl, user, doc.

use std::io::{Read, Write};
use std::net::UdpSocket;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::databases;
use crate::support::database::Kind;
use crate::support::peers;
use crate::support::place::{DOMAIN, Place};
use crate::support::process::Signal;
use crate::support::server::{self, Server, run_signalbox, signalbox};
use crate::support::wait::wait_for;

/// Takes every request for a REGISTER. The OPTIONS that shows the server ready is answered with an error, which is an answer.
const SCRIPT: &str = "function route()\n  return save('location')\nend\n";

/// A server with a registrar that keeps its bindings in a database.
fn start(place: &Place) -> Server<'_> {
    start_on(place, "sqlite:signalbox.db")
}

fn start_on<'a>(place: &'a Place, database: &str) -> Server<'a> {
    let address = place.server();
    server::write_settings(
        place,
        &format!(
            "listen {{ 'udp:{address}' }}\nalias {{ '{DOMAIN}' }}\nloadmodule 'registrar'\n\
             modparam('registrar', 'db_url', '{database}')\n\
             modparam('registrar', 'min_expires', 1)\nroute_script 'route.lua'\n"
        ),
    );
    place.write("route.lua", SCRIPT);
    Server::start_again(place)
}

/// Registers a contact and returns the status line of the answer.
fn register(place: &Place, user: &str, contact: &str) -> String {
    let socket = UdpSocket::bind((place.address, 0)).expect("a free port");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a time-out");
    let local = socket.local_addr().expect("its address");
    let request = format!(
        "REGISTER sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{user}\r\nMax-Forwards: 70\r\n\
         From: <sip:{user}@{DOMAIN}>;tag=r\r\nTo: <sip:{user}@{DOMAIN}>\r\nCall-ID: {user}@{local}\r\nCSeq: 1 REGISTER\r\n\
         Contact: {contact}\r\nUser-Agent: test\r\nContent-Length: 0\r\n\r\n"
    );
    socket.send_to(request.as_bytes(), place.server()).expect("sending");
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).expect("an answer");
    String::from_utf8_lossy(&buffer[..length]).lines().next().unwrap_or_default().to_owned()
}

#[track_caller]
fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn ctl_shows_and_removes_who_is_registered_and_a_kill_loses_nobody() {
    let place = Place::on_loopback();
    let first = start(&place);
    let ctl = |words: &[&str]| run_signalbox(&place, &[&["ctl"], words].concat());
    assert_eq!(register(&place, "alice", "<sip:alice@192.0.2.1>"), "SIP/2.0 200 OK");
    assert_eq!(register(&place, "bob", "<sip:bob@192.0.2.2>"), "SIP/2.0 200 OK");
    first.kill();

    let _second = Server::start_again(&place);
    let listed = printed(&ctl(&["registrar", "list"]));
    assert!(listed.contains("sip:alice@192.0.2.1") && listed.contains("sip:bob@192.0.2.2"), "{listed}");
    let listed = printed(&ctl(&["registrar", "list", "containing=bob"]));
    assert!(!listed.contains("alice"), "{listed}");
    let shown = printed(&ctl(&["--json", "registrar", "show", &format!("sip:alice@{DOMAIN}")]));
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!((&shown[0]["contact"], &shown[0]["cseq"]), (&"sip:alice@192.0.2.1".into(), &1.into()));

    printed(&ctl(&["registrar", "remove", &format!("alice@{DOMAIN}")]));
    let complaint = refused(&ctl(&["registrar", "show", &format!("alice@{DOMAIN}")]));
    assert!(complaint.contains("there is no binding of sip:alice"), "{complaint}");
}

#[test]
fn a_binding_that_ends_is_noticed_without_being_asked_for() {
    let place = Place::on_loopback();
    let _server = start(&place);
    assert_eq!(register(&place, "alice", "<sip:alice@192.0.2.1>;expires=1"), "SIP/2.0 200 OK");
    wait_for("the binding expires", || {
        let counters = printed(&run_signalbox(&place, &["ctl", "--json", "core", "counters"]));
        counters.contains("\"registrar_expired\": 1").then_some(())
    });
}

#[test]
fn bindings_survive_a_kill_on_postgresql() {
    survive_a_kill(Kind::Postgres);
}

#[test]
fn bindings_survive_a_kill_on_mariadb() {
    survive_a_kill(Kind::MariaDb);
}

fn survive_a_kill(kind: Kind) {
    databases::on(kind, |_, database| {
        let place = Place::on_loopback();
        let first = start_on(&place, &database.url());
        assert_eq!(register(&place, "alice", "<sip:alice@192.0.2.1>"), "SIP/2.0 200 OK");
        first.kill();
        let second = Server::start_again(&place);
        let listed = printed(&run_signalbox(&place, &["ctl", "registrar", "list"]));
        assert!(listed.contains("sip:alice@192.0.2.1"), "{listed}");
        second.kill();
    });
}

#[test]
fn ctl_lists_commands_sets_log_levels_and_names_what_is_wrong() {
    let place = Place::on_loopback();
    let server = start(&place);
    let ctl = |words: &[&str]| run_signalbox(&place, &[&["ctl"], words].concat());
    let commands = printed(&ctl(&[]));
    for command in ["core status", "core stop", "log set", "module doc", "registrar list"] {
        assert!(commands.contains(command), "{command}:\n{commands}");
    }
    assert!(printed(&ctl(&["core", "status"])).contains(&place.server()));
    printed(&ctl(&["log", "set", "debug", "registrar"]));
    let levels = printed(&ctl(&["--json", "log", "show"]));
    assert!(levels.contains("\"registrar\"") && levels.contains("\"debug\""), "{levels}");
    assert!(refused(&ctl(&["registrar", "lits"])).contains("registrar.list"));
    assert!(refused(&ctl(&["log", "set", "loud"])).contains("\"loud\""));
    drop(server);
}

#[test]
fn ctl_stops_the_server_and_then_says_that_none_runs() {
    let place = Place::on_loopback();
    let mut server = start(&place);
    printed(&run_signalbox(&place, &["ctl", "core", "stop"]));
    assert!(server.process.ended().success());
    let complaint = refused(&run_signalbox(&place, &["ctl", "core", "status"]));
    assert!(
        complaint.contains("no server answers at var/signalbox.sock: No such file or directory; is one running?"),
        "{complaint}"
    );
}

#[test]
fn a_killed_servers_socket_is_taken_over_but_a_live_ones_is_not() {
    let place = Place::on_loopback();
    start(&place).kill();
    assert!(place.path("var/signalbox.sock").exists(), "a killed server leaves its socket");
    let mut server = Server::start_again(&place);
    let other = Place::on_loopback();
    let text = format!(
        "listen {{ 'udp:{}' }}\nadmin_socket {:?}\nroute_script 'route.lua'\n",
        other.server(),
        place.path("var/signalbox.sock")
    );
    server::write_settings(&other, &text);
    other.write("route.lua", "function route() end");
    let complaint = refused(&run_signalbox(&other, &["run", "settings.lua"]));
    assert!(complaint.contains("another server answers there"), "{complaint}");
    printed(&run_signalbox(&place, &["ctl", "core", "uptime"]));
    server.process.signal(Signal::Terminate);
    assert!(server.process.ended().success());
    assert!(!place.path("var/signalbox.sock").exists(), "a stopped server takes its socket with it");
}

#[test]
fn accounts_are_added_listed_changed_and_removed() {
    let place = Place::on_loopback();
    let user = |words: &[&str]| run_signalbox(&place, &[&["user"], words, &["--db", "sqlite:users.db"]].concat());
    printed(&user(&["add", "alice@example.com", "--password", "secret"]));
    assert!(refused(&user(&["add", "alice@example.com", "--password", "secret"])).contains("already"));
    let mut typing = signalbox(&["user", "add", "bob@example.com", "--db", "sqlite:users.db"]);
    typing.current_dir(place.folder()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut typing = typing.spawn().expect("running signalbox");
    typing.stdin.take().expect("its input").write_all(b"secret\n").expect("writing");
    assert!(typing.wait_with_output().expect("its end").status.success());
    let listed = printed(&user(&["list"]));
    assert!(listed.contains("alice") && listed.contains("bob") && !listed.contains("secret"), "{listed}");
    printed(&user(&["passwd", "bob@example.com", "--password", "other"]));
    printed(&user(&["remove", "alice@example.com"]));
    assert!(refused(&user(&["remove", "alice@example.com"])).contains("no account"));
    assert!(!printed(&user(&["list", "example.com"])).contains("alice"));
}

#[test]
fn a_database_that_is_not_there_is_no_empty_one() {
    let place = Place::on_loopback();
    for words in [&["list"][..], &["remove", "alice@example.com"], &["passwd", "alice@example.com", "-p", "x"]] {
        let words = [&["user"], words, &["--db", "sqlite:lost/users.db"]].concat();
        let complaint = refused(&run_signalbox(&place, &words));
        assert!(complaint.contains("there is no database lost/users.db yet"), "{complaint}");
    }
    assert!(!place.path("lost").exists());
}

#[test]
fn an_interrupted_question_for_a_password_leaves_a_terminal_that_shows_what_is_typed() {
    if peers::find("script").is_none() {
        return;
    }
    let place = Place::on_loopback();
    let asking = format!("{} user add alice@example.com --db sqlite:users.db", server::binary().display());
    // `script` gives the command a terminal of its own, and what it reads is typed there.
    let command = format!("trap : INT; {asking}; echo ended $?; stty -a");
    let mut terminal = Command::new("script");
    terminal.args(["-q", "-c", &command, "/dev/null"]).current_dir(place.folder());
    let mut terminal = terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script");
    let mut shown = terminal.stdout.take().expect("its output");
    let mut text = Vec::new();
    while !text.ends_with(b"Password: ") {
        let mut byte = [0];
        assert_eq!(shown.read(&mut byte).expect("its output"), 1, "{}", String::from_utf8_lossy(&text));
        text.push(byte[0]);
    }
    let mut keyboard = terminal.stdin.take().expect("its input");
    // Ctrl-C.
    keyboard.write_all(b"\x03").expect("typing");
    shown.read_to_end(&mut text).expect("its output");
    drop(keyboard);
    terminal.wait().expect("its end");
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(text.contains("ended 130") && text.contains(" echo ") && !text.contains(" -echo "), "{text}");
}

#[test]
fn what_went_wrong_is_said_once_in_words() {
    let place = Place::on_loopback();
    let complaint = refused(&run_signalbox(&place, &["check", "lost.lua"]));
    assert_eq!(complaint, "error: lost.lua: No such file or directory\n");
    let settings = "listen { 'udp:127.0.0.1:5999' }\nloadmodule 'registrar'\nmodparam('registrar', 'db_url', 'oracle:x')\n\
                    route_script 'lost.lua'\n";
    server::write_settings(&place, settings);
    for command in ["check", "run"] {
        let complaint = refused(&run_signalbox(&place, &[command, "settings.lua"]));
        assert!(complaint.starts_with("error: settings.lua:3: module registrar: parameter db_url: "), "{complaint}");
        assert_eq!(complaint.matches("oracle").count(), 2, "the URL and its engine: {complaint}");
    }
    server::write_settings(&place, &settings.replace("oracle:x", "sqlite:/proc/lost/x.db"));
    place.write("lost.lua", "function route() end");
    let complaint = refused(&run_signalbox(&place, &["run", "settings.lua"]));
    let once =
        "error: module registrar: cannot create the folder /proc/lost for the database: No such file or directory\n";
    assert_eq!(complaint, once);
}

#[test]
fn a_reader_who_has_read_enough_is_no_error() {
    let place = Place::on_loopback();
    let mut printing = signalbox(&["doc", "pa"]);
    printing.current_dir(place.folder()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut printing = printing.spawn().expect("running signalbox");
    drop(printing.stdout.take());
    let output = printing.wait_with_output().expect("its end");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

#[test]
fn the_program_has_the_name_that_it_is_called_by() {
    let place = Place::on_loopback();
    assert!(printed(&run_signalbox(&place, &["--version"])).starts_with("signalbox "));
}

#[test]
fn every_subcommand_has_help_with_examples() {
    let place = Place::on_loopback();
    for subcommand in ["run", "check", "doc", "user", "ctl"] {
        let help = printed(&run_signalbox(&place, &[subcommand, "--help"]));
        assert!(help.contains("Examples:"), "{subcommand}:\n{help}");
    }
    assert_eq!(run_signalbox(&place, &["frobnicate"]).status.code(), Some(2));
    assert!(printed(&run_signalbox(&place, &["doc", "registrar"])).contains("max_contacts"));
    assert!(refused(&run_signalbox(&place, &["doc", "registar"])).contains("did you mean \"registrar\"?"));
}
