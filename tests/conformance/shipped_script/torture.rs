//! RFC 4475 and RFC 5118 with the shipped scripts, with one worker and with three. `signalbox_tests::torture` holds the
//! expected result of each message.

use std::net::SocketAddr;

use signalbox::module::{Configured, Value, export};
use signalbox::transport::Protocol;
use signalbox_auth::Auth;
use signalbox_im_auth::ImAuth;
use signalbox_pa::PresenceAgent;
use signalbox_registrar::Registrar;
use signalbox_tests::site::{Setup, Site, configured, flow_from};
use signalbox_tests::torture::{DOMAINS, IPV6, OUTCOMES};
use tempfile::TempDir;

use super::script;
use crate::torture::bytes;

const PRESENCE: &str = "presence.lua";
const PROXY: &str = "proxy.lua";

fn start(name: &str, (workers, seed): (u16, u64)) -> (Site, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("accounts.db").display());
    let without_database = ("use_db", Value::Boolean(false));
    let registrar = configured(export::entry::<Registrar>(), std::slice::from_ref(&without_database)).unwrap();
    let pa = [without_database, ("auth", "none".into())];
    let mut setup = Setup::new(&script(name), DOMAINS[0]);
    setup.aliases = DOMAINS[1..].iter().map(|&domain| domain.to_owned()).collect();
    (setup.workers, setup.seed) = (workers, seed);
    setup.modules = match name {
        PRESENCE => vec![
            registrar,
            configured(export::entry::<Auth>(), &[("db_url", Value::String(url))]).unwrap(),
            configured(export::entry::<PresenceAgent>(), &pa).unwrap(),
            Configured::new(export::entry::<ImAuth>()),
        ],
        _ => vec![registrar],
    };
    (Site::start(setup).unwrap(), folder)
}

/// Sends these messages as datagrams, each from its own address, and compares the final status of each; 0 means none.
fn check(name: &str, rfc: &str, expected: &[(&str, u16)]) {
    for lot in [(1, 1), (3, 1), (3, 2), (3, 3)] {
        let (mut site, _folder) = start(name, lot);
        let mut messages: Vec<_> = expected.iter().map(|(file, status)| (file, bytes(rfc, file), *status)).collect();
        // Messages that make bindings come last, because others would be relayed to these.
        messages.sort_by_key(|(_, message, _)| message.starts_with(b"REGISTER "));
        let mut differing = Vec::new();
        for (number, (file, message, status)) in messages.iter().enumerate() {
            let from = SocketAddr::from(([198, 51, 100, number as u8 + 1], 5060));
            let sent = site.deliver(message, flow_from(from, Protocol::Udp));
            let mut statuses = sent.iter().filter_map(|(_, octets)| {
                let digits = octets.strip_prefix(b"SIP/2.0 ")?.get(..3)?;
                str::from_utf8(digits).ok()?.parse::<u16>().ok().filter(|status| *status >= 200)
            });
            let observed = statuses.next_back().unwrap_or(0);
            if observed != *status {
                differing.push(format!("{file}: {observed}"));
            }
        }
        assert!(differing.is_empty(), "with {name} and {lot:?}:\n{}", differing.join("\n"));
        assert_eq!(site.host().counter("panics").value(), 0);
    }
}

#[test]
fn rfc_4475_with_presence_lua() {
    check(PRESENCE, "rfc4475", &OUTCOMES.iter().map(|row| (row.file, row.presence.0)).collect::<Vec<_>>());
}

#[test]
fn rfc_4475_with_proxy_lua() {
    check(PROXY, "rfc4475", &OUTCOMES.iter().map(|row| (row.file, row.proxy.0)).collect::<Vec<_>>());
}

#[test]
fn rfc_5118_with_presence_lua() {
    check(PRESENCE, "rfc5118", &IPV6.iter().map(|row| (row.file, row.presence)).collect::<Vec<_>>());
}

#[test]
fn rfc_5118_with_proxy_lua() {
    check(PROXY, "rfc5118", &IPV6.iter().map(|row| (row.file, row.proxy)).collect::<Vec<_>>());
}
