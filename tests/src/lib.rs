//! What the tests stand on: a server on a virtual network with virtual time, and scenarios that two or more parties play
//! with it.
//!
//! | module | what |
//! |---|---|
//! | [`site`] | one server without sockets: its workers, modules and database, and a clock that is moved by hand |
//! | [`network`] | what scenarios are played over: the virtual network, or real sockets to a server elsewhere |
//! | [`scenario`] | scenario files: reading them and playing them |
//! | [`hostile`] | strangers that send anything, and the rules that must hold nevertheless |
//! | [`torture`] | the expected results of the torture messages of RFC 4475 and RFC 5118 with the shipped scripts |

pub mod hostile;
pub mod network;
pub mod scenario;
pub mod site;
pub mod torture;
