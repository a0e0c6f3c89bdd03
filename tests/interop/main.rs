//! Interop: real programs (SIPp, baresip, sipsak) against the real signalbox binary over real sockets. Each test has an
//! address and a folder of its own and starts and ends everything it needs; tests/README.md says how to run one.

mod calls;
mod clients;
mod command;
mod connections;
mod databases;
mod durability;
mod lifecycle;
mod messages;
mod offline_winfo;
mod presence;
mod registration;
mod rfc4475;
mod second_server;
mod support;
mod workers;
