//! baresip, driven over its `ctrl_tcp` module: JSON in netstrings. It ignores the loopback interface, so it and the server
//! stand at the host's own address.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::peers;
use super::place::Place;
use super::process::Process;
use super::sipp::password_of;
use super::wait::{wait_for, wait_up_to};

const MODULES: &str = "module g711.so
module_app account.so
module_app contact.so
module_app menu.so
module_app presence.so
module_app ctrl_tcp.so
";

pub(crate) struct Baresip {
    process: Process,
    control: u16,
    user: &'static str,
}

/// Nothing (and the reason on standard error) where baresip, its modules or an address for it are missing.
pub(crate) fn place() -> Option<Place> {
    peers::find("baresip")?;
    if modules().is_none() {
        peers::skip("baresip's modules are not installed");
        return None;
    }
    let place = Place::on_host();
    if place.is_none() {
        peers::skip("baresip needs an address that is not a loopback one, and this host has none");
    }
    place
}

fn modules() -> Option<PathBuf> {
    let folders =
        ["/usr/lib/baresip/modules", "/usr/lib/x86_64-linux-gnu/baresip/modules", "/usr/local/lib/baresip/modules"];
    folders.iter().map(PathBuf::from).find(|folder| folder.join("ctrl_tcp.so").exists())
}

impl Baresip {
    /// `user`, watching `contact`; `number` (from 1) keeps its ports apart from those of the others at this place.
    /// With `publish` it PUBLISHes its presence, else the server has only its registration to go by.
    #[track_caller]
    pub(crate) fn start(place: &Place, (user, contact): (&'static str, &str), number: u16, publish: bool) -> Self {
        // It takes the port above for TLS.
        let port = place.server_port + 4 * number;
        let control = port + 2;
        let (address, domain, server) = (place.address, place.domain, (place.outbound, place.server_port));
        let modules = modules().expect("baresip's modules");
        let config = format!(
            "sip_listen {address}:{port}\nmodule_path {}\n{MODULES}ctrl_tcp_listen {address}:{control}\n",
            modules.display()
        );
        place.write(&format!("{user}/config"), &config);
        let published = if publish { ";pubint=600" } else { "" };
        let account = format!(
            "<sip:{user}@{domain}>;outbound=\"sip:{}:{}\";auth_pass={};regint=600{published}\n",
            server.0,
            server.1,
            password_of(user)
        );
        place.write(&format!("{user}/accounts"), &account);
        place.write(&format!("{user}/contacts"), &format!("\"{contact}\" <sip:{contact}@{domain}>;presence=p2p\n"));
        let mut command = Command::new("baresip");
        command.args(["-s", "-f"]).arg(place.path(user));
        let process = Process::start(place, user, &mut command);
        let mut client = Self { process, control, user };
        client.wait_until_registered(address);
        client
    }

    #[track_caller]
    fn wait_until_registered(&mut self, address: Ipv4Addr) {
        let registered = wait_up_to(super::wait::PATIENCE, || {
            let answered = self.output().contains("200 OK") && TcpStream::connect((address, self.control)).is_ok();
            (answered && self.command(address, "reginfo", None).is_some_and(|info| info.contains("OK"))).then_some(())
        });
        assert!(registered.is_some(), "{} did not register:\n{}", self.user, self.output());
    }

    /// Waits until the only contact has the given presence, as it is shown.
    #[track_caller]
    pub(crate) fn sees(&self, place: &Place, presence: &str) {
        wait_for(&format!("{} sees {presence}", self.user), || {
            let contacts = self.command(place.address, "contacts", None)?;
            contacts.contains(presence).then_some(())
        });
    }

    /// Sends a MESSAGE to the contact.
    #[track_caller]
    pub(crate) fn says(&self, place: &Place, text: &str) {
        self.command(place.address, "message", Some(text)).expect("baresip takes a message");
    }

    /// Waits for a MESSAGE with this text.
    #[track_caller]
    pub(crate) fn hears(&self, text: &str) {
        let arrived = format!("MESSAGE sip:{}-", self.user);
        let heard = || {
            self.output().split("\nMESSAGE ").skip(1).any(|trace| {
                let request = format!("MESSAGE {}", trace.split("\x1b[;m").next().unwrap_or(""));
                request.starts_with(&arrived) && request.ends_with(text)
            })
        };
        wait_for(&format!("{} hears {text:?}", self.user), || heard().then_some(()));
    }

    pub(crate) fn output(&self) -> String {
        self.process.output()
    }

    /// Ends it as a person does: it unregisters first.
    #[track_caller]
    pub(crate) fn quits(mut self, place: &Place) {
        self.command(place.address, "quit", None);
        self.process.ended();
    }

    /// The text that a command answers; nothing if it fails.
    fn command(&self, address: Ipv4Addr, command: &str, parameters: Option<&str>) -> Option<String> {
        let mut connection = TcpStream::connect((address, self.control)).ok()?;
        connection.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
        let request = json!({ "command": command, "params": parameters.unwrap_or(""), "token": "1" }).to_string();
        write!(connection, "{}:{request},", request.len()).ok()?;
        loop {
            let answer: Value = serde_json::from_slice(&read_netstring(&mut connection)?).ok()?;
            // Events of calls and registrations come on the same connection.
            if answer["response"] == true {
                return (answer["ok"] == true).then(|| answer["data"].as_str().unwrap_or("").to_owned());
            }
        }
    }
}

fn read_netstring(from: &mut impl Read) -> Option<Vec<u8>> {
    let mut length = 0_usize;
    loop {
        let mut byte = [0];
        from.read_exact(&mut byte).ok()?;
        match byte[0] {
            digit @ b'0'..=b'9' => length = length.checked_mul(10)?.checked_add(usize::from(digit - b'0'))?,
            b':' => break,
            _ => return None,
        }
    }
    let mut text = vec![0; length + 1];
    from.read_exact(&mut text).ok()?;
    (text.pop() == Some(b',')).then_some(text)
}

#[test]
fn a_netstring_is_read_to_its_comma() {
    assert_eq!(read_netstring(&mut &b"5:hello,rest"[..]), Some(b"hello".to_vec()));
    assert_eq!(read_netstring(&mut &b"5:hello;"[..]), None);
}
