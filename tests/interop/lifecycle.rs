//! The signalbox command: checking settings, loading modules, reloading the script, stopping.

use std::fs;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use crate::support::place::Place;
use crate::support::process::Signal;
use crate::support::server::{self, Server, run_signalbox, target_folder};
use crate::support::wait::{PATIENCE, wait_for};

/// Answers everything with 200 and the given reason.
fn script(reason: &str) -> String {
    format!("function route(msg)\n  sl_send_reply(200, \"{reason}\")\nend\n")
}

fn write_settings(place: &Place, modules: &[String]) {
    let server = place.server();
    let mut text = format!("listen {{ \"udp:{server}\", \"tcp:{server}\" }}\n");
    for module in modules {
        text.push_str(&format!("loadmodule \"{module}\"\n"));
    }
    if modules.iter().any(|module| module == "pa") {
        text.push_str("modparam(\"pa\", \"use_db\", 0)\n");
    }
    text.push_str("route_script \"route.lua\"\n");
    server::write_settings(place, &text);
}

#[test]
fn every_built_module_loads_from_its_library() {
    let place = Place::on_loopback();
    let modules = built_modules();
    for known in ["auth", "im_auth", "pa", "registrar"] {
        assert!(modules.iter().any(|module| module == known), "{known} is not among {modules:?}");
    }
    write_settings(&place, &modules);
    place.write("route.lua", &script("Loaded"));
    let server = Server::start_again(&place);
    assert_eq!(server.reason_of_options().as_deref(), Some("Loaded"));
    assert!(
        server.process.output().contains("user add alice@localhost --config settings.lua"),
        "{}",
        server.process.output()
    );
    for module in &modules {
        assert!(server.process.output().contains(module.as_str()), "{module}:\n{}", server.process.output());
    }
}

/// The names of all modules that were built beside this test.
fn built_modules() -> Vec<String> {
    let folder = target_folder();
    let entries = fs::read_dir(&folder).expect("target folder").filter_map(Result::ok);
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut modules: Vec<_> =
        names.filter_map(|name| Some(name.strip_prefix("libsignalbox_")?.strip_suffix(".so")?.to_owned())).collect();
    modules.sort();
    modules
}

#[test]
fn good_settings_pass_the_check() {
    let place = Place::on_loopback();
    server::write_settings(&place, &server::settings(&place));
    let output = run_signalbox(&place, &["check", "settings.lua"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_misspelt_parameter_is_refused_with_file_line_and_the_nearest_name() {
    let place = Place::on_loopback();
    place.write("route.lua", &script("OK"));
    server::write_settings(
        &place,
        &format!(
            "listen {{ \"udp:{}\" }}\nloadmodule \"registrar\"\nmodparam(\"registrar\", \"max_expire\", 60)\nroute_script \"route.lua\"\n",
            place.server()
        ),
    );
    let complaint = complaint_of_check(&place);
    assert!(complaint.contains("settings.lua:3"), "{complaint}");
    assert!(complaint.contains("max_expires"), "{complaint}");
}

#[test]
fn a_script_with_an_error_is_refused_with_file_and_line() {
    let place = Place::on_loopback();
    write_settings(&place, &[]);
    place.write("route.lua", "function route(msg)\n  sl_send_reply(200 \"OK\")\nend\n");
    let complaint = complaint_of_check(&place);
    assert!(complaint.contains("route.lua:2"), "{complaint}");
}

#[track_caller]
fn complaint_of_check(place: &Place) -> String {
    let output = run_signalbox(place, &["check", "settings.lua"]);
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_hangup_reloads_the_script_and_keeps_the_old_one_when_the_new_one_is_wrong() {
    let place = Place::on_loopback();
    write_settings(&place, &[]);
    place.write("route.lua", &script("First"));
    let mut server = Server::start_again(&place);
    assert_eq!(server.reason_of_options().as_deref(), Some("First"));

    place.write("route.lua", "function route(msg)\n  sl_send_reply(200, \"Broken\"\nend\n");
    server.process.signal(Signal::Hangup);
    server.process.printed("route.lua:");
    assert_eq!(server.reason_of_options().as_deref(), Some("First"));

    place.write("route.lua", &script("Second"));
    server.process.signal(Signal::Hangup);
    wait_for("the new script answers", || (server.reason_of_options()? == "Second").then_some(()));
}

#[test]
fn it_stops_when_it_is_terminated_or_interrupted() {
    for signal in [Signal::Terminate, Signal::Interrupt] {
        let place = Place::on_loopback();
        write_settings(&place, &[]);
        place.write("route.lua", &script("OK"));
        let mut server = Server::start_again(&place);
        server.process.signal(signal);
        let status = server.process.ended();
        assert!(status.success(), "{signal:?}: {status}\n{}", server.process.output());
    }
}

/// Counts in a timer, which has no request to ask about, and answers how far.
const COUNTING: &str = "
local started, ticks = 'not started', 0
function on_start() started = 'started' end
every('50ms', function()
  local there, why = registered('location')
  if not there and why == 'not registered' then ticks = ticks + 1 end
  unregister('location', 'sip:nobody@example.com')
end)
function route(msg)
  sl_send_reply(200, started .. (ticks > 2 and ' and ticking' or ''))
end
";

#[test]
fn the_start_hook_and_the_timers_of_a_script_run_and_begin_anew_when_it_is_reloaded() {
    let place = Place::on_loopback();
    write_settings(&place, &["registrar".to_owned()]);
    let settings = fs::read_to_string(place.path("settings.lua")).expect("the settings") + "workers(1)\n";
    server::write_settings(&place, &settings);
    place.write("route.lua", COUNTING);
    let server = Server::start_again(&place);
    let answers =
        |reason: &str| wait_for(reason, || (server.reason_of_options().as_deref() == Some(reason)).then_some(()));
    answers("started and ticking");
    place.write("route.lua", &COUNTING.replace("'started'", "'started again'"));
    server.process.signal(Signal::Hangup);
    // The hook belongs to the server's start, not to the script's.
    answers("not started and ticking");
}

#[test]
fn a_route_for_an_event_that_nothing_raises_is_refused() {
    let place = Place::on_loopback();
    write_settings(&place, &["registrar".to_owned()]);
    place.write("route.lua", &format!("{}function event_route.registrar.expried(event) end\n", script("OK")));
    let complaint = complaint_of_check(&place);
    assert!(complaint.contains("route.lua:4: there is no event registrar.expried"), "{complaint}");
    assert!(complaint.contains("did you mean registrar.expired?"), "{complaint}");
}

#[test]
fn a_second_server_at_the_same_address_is_refused() {
    for protocol in ["udp", "tcp"] {
        let place = Place::on_loopback();
        write_settings(&place, &[]);
        place.write("route.lua", &script("First"));
        let _first = Server::start_again(&place);
        let second = Place::on_loopback();
        let text = format!("listen {{ \"{protocol}:{}\" }}\nroute_script \"route.lua\"\n", place.server());
        server::write_settings(&second, &text);
        second.write("route.lua", &script("Second"));
        let output = run_signalbox(&second, &["run", "settings.lua"]);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{complaint}");
        let wanted = format!("cannot listen on {protocol}:{}: Address already in use; another program", place.server());
        assert!(complaint.contains(&wanted), "{complaint}");
    }
}

/// Relays to somebody who never answers.
const SILENCE: &str = "
function route(msg)
  if msg.method == 'OPTIONS' then return sl_send_reply(200, 'Serving') end
  msg.ruri = 'sip:nobody@' .. msg.headers:get('X-Silent')
  t_relay()
end
";

#[test]
fn a_second_signal_stops_a_server_that_is_draining_at_once() {
    let place = Place::on_loopback();
    write_settings(&place, &[]);
    let settings = fs::read_to_string(place.path("settings.lua")).expect("the settings");
    server::write_settings(&place, &(settings + "limits { drain_timeout = '1h' }\n"));
    place.write("route.lua", SILENCE);
    let mut server = Server::start_again(&place);
    let silent = UdpSocket::bind((place.address, 0)).expect("a free port");
    let sender = UdpSocket::bind((place.address, 0)).expect("a free port");
    let address = |socket: &UdpSocket| socket.local_addr().expect("its address");
    let request = format!(
        "MESSAGE sip:bob@{0} SIP/2.0\r\nVia: SIP/2.0/UDP {1};branch=z9hG4bKdrain\r\nFrom: <sip:alice@{0}>;tag=1\r\nTo: <sip:bob@{0}>\r\n\
         Call-ID: drain\r\nCSeq: 1 MESSAGE\r\nX-Silent: {2}\r\nContent-Length: 0\r\n\r\n",
        place.server(),
        address(&sender),
        address(&silent)
    );
    sender.send_to(request.as_bytes(), place.server()).expect("sending");
    silent.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    silent.recv(&mut [0; 4096]).expect("the relayed request");
    server.process.signal(Signal::Terminate);
    server.process.printed("draining");
    assert!(server.process.has_ended().is_none(), "a request is under way");
    // One that follows at once is taken for an echo.
    server.process.signal(Signal::Terminate);
    let ended = wait_for("it stops at another signal", || {
        server.process.signal(Signal::Interrupt);
        server.process.has_ended()
    });
    assert_eq!(ended.code(), Some(1));
    assert!(server.process.output().contains("stopped before everything had ended"), "{}", server.process.output());
}

/// Never returns from a MESSAGE: the instruction limit is too high to be reached in a test.
const STUCK: &str = "
function route(msg)
  if msg.method == 'OPTIONS' then return sl_send_reply(200, 'Serving') end
  log.info('now it is stuck')
  while true do end
end
";

#[test]
fn a_worker_that_is_stuck_in_a_script_does_not_keep_the_server_from_stopping() {
    let place = Place::on_loopback();
    write_settings(&place, &[]);
    let settings = fs::read_to_string(place.path("settings.lua")).expect("the settings");
    let limits = "workers(2)\nlimits { drain_timeout = '1s', instructions = 1000000000000000 }\n";
    server::write_settings(&place, &(settings + limits));
    place.write("route.lua", STUCK);
    let mut server = Server::start_again(&place);
    let sender = UdpSocket::bind((place.address, 0)).expect("a free port");
    let request = format!(
        "MESSAGE sip:bob@{0} SIP/2.0\r\nVia: SIP/2.0/UDP {1};branch=z9hG4bKstuck\r\nFrom: <sip:alice@{0}>;tag=1\r\nTo: <sip:bob@{0}>\r\n\
         Call-ID: stuck\r\nCSeq: 1 MESSAGE\r\nContent-Length: 0\r\n\r\n",
        place.server(),
        sender.local_addr().expect("its address")
    );
    sender.send_to(request.as_bytes(), place.server()).expect("sending");
    server.process.printed("now it is stuck");
    let asked = Instant::now();
    server.process.signal(Signal::Terminate);
    let status = server.process.ended();
    let waited = asked.elapsed();
    assert_eq!(status.code(), Some(1), "{}", server.process.output());
    assert!(server.process.output().contains("a worker did not end: it is stuck"), "{}", server.process.output());
    // The drain time and one second, plus a margin for a busy machine.
    assert!((Duration::from_secs(1)..Duration::from_secs(4)).contains(&waited), "stopped after {waited:?}");
}

/// Each call is C code to Lua and Rust code to us: what limits their nesting must be Lua, not the stack of the worker.
#[test]
fn endless_recursion_through_the_library_ends_its_request_and_nothing_else() {
    let place = Place::on_loopback();
    write_settings(&place, &[]);
    let script = "function route(msg)
      if msg.method == 'OPTIONS' then return sl_send_reply(200, 'Serving') end
      local function again() return (string.gsub('a', 'a', again)) end
      again()
    end";
    place.write("route.lua", script);
    let server = Server::start_again(&place);
    let sender = UdpSocket::bind((place.address, 0)).expect("a free port");
    sender.set_read_timeout(Some(Duration::from_secs(20))).expect("a time-out");
    for (method, status) in [("MESSAGE", "500"), ("OPTIONS", "200")] {
        let request = format!(
            "{method} sip:bob@{0} SIP/2.0\r\nVia: SIP/2.0/UDP {1};branch=z9hG4bK{method}\r\nFrom: <sip:alice@{0}>;tag=1\r\n\
             To: <sip:bob@{0}>\r\nCall-ID: {method}\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n",
            place.server(),
            sender.local_addr().expect("its address")
        );
        sender.send_to(request.as_bytes(), place.server()).expect("sending");
        let mut answer = [0; 2048];
        let length = sender.recv(&mut answer).expect("an answer");
        let answer = String::from_utf8_lossy(&answer[..length]);
        assert_eq!(answer.split(' ').nth(1), Some(status), "{answer}");
    }
    drop(server);
}

#[test]
fn memory_is_taken_at_the_start() {
    let place = Place::on_loopback();
    let server = Server::start_with(&place, "preallocate(64)\n");
    let status = fs::read_to_string(format!("/proc/{}/status", server.process.id())).expect("a running process");
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix(" kB"));
    let resident: u64 = kilobytes.and_then(|text| text.trim().parse().ok()).expect("kB");
    assert!(resident > 64 * 1024, "{resident} kB");
}

/// What a message has that is not UTF-8 is U+FFFD in the log, whether a script writes it or the server does, in both formats.
#[test]
fn the_log_shows_octets_that_are_not_utf_8_as_u_fffd() {
    if server::subject() != server::Subject::Signalbox {
        return;
    }
    for format in ["human", "json"] {
        let place = Place::on_loopback();
        let route = "function route(msg)\n  log.info(\"subject\", msg.headers:get(\"Subject\"))\n  error(\"for \" .. msg.from)\nend\n";
        place.write("route.lua", route);
        let address = place.server();
        let listen = format!("listen {{ \"udp:{address}\", \"tcp:{address}\" }}");
        server::write_settings(
            &place,
            &format!("{listen}\nlog {{ format = \"{format}\" }}\nroute_script \"route.lua\"\n"),
        );
        let mut server = Server::start_again(&place);
        let socket = UdpSocket::bind((place.address, 0)).expect("a free port");
        for (number, cseq) in ["1", "bad"].into_iter().enumerate() {
            let text = format!(
                "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bK{number}\r\nMax-Forwards: 70\r\nFrom: <sip:f\u{e9}@b>;tag=f\r\n\
                 To: <sip:a@b>\r\nCall-ID: c\u{e9}\r\nCSeq: {cseq} OPTIONS\r\nSubject: s\u{e9}\r\nContent-Length: 0\r\n\r\n",
                socket.local_addr().expect("its address")
            );
            let octets: Vec<u8> = text.chars().map(|c| u8::try_from(c).expect("one octet")).collect();
            socket.send_to(&octets, place.server()).expect("it is sent");
        }
        server.process.printed("subject s\u{fffd}");
        server.process.printed("for <sip:f\u{fffd}@b>");
        server.process.printed("it is not a number below 2^31 and a method");
        let output = server.process.output();
        // As a field, whose text is escaped where people read it.
        let call_id = if format == "json" { "\"call_id\":\"c\u{fffd}\"" } else { "call_id=\"c\\u{fffd}\"" };
        assert!(output.contains(call_id), "{output}");
        assert!(!output.contains("10ff") && !output.contains('\u{10ffe9}'), "{output}");
    }
}
