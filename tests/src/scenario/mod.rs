//! Scenario files: what parties send to a server, and what each of them then receives.
//!
//! ```text
//! # A message reaches the phone that has registered.
//!
//! server
//!   script: scripts/proxy.lua
//!   load: registrar
//!   registrar.use_db: 0
//!
//! phone alice <sip:alice@example.com> at 192.0.2.1:5060
//! phone bob <sip:bob@example.com> at 192.0.2.2:5060
//!
//! bob sends
//!   REGISTER sip:example.com
//!   Contact: <sip:bob@{bob}>
//!
//! bob receives
//!   200 OK
//!   Contact: <sip:bob@{bob}>...
//!
//! alice sends
//!   MESSAGE sip:bob@example.com
//!   Content-Type: text/plain
//!
//!   Hello
//!
//! bob receives
//!   MESSAGE sip:bob@{bob}
//!
//! bob answers 200 OK
//!
//! alice receives
//!   200 OK
//! ```
//!
//! Each scenario is run with one worker and with three. Scripts that keep state in variables need `workers: 1` in the
//! server block, with the reason above it, because each worker has its own script.
//!
//! **Sending.** Via, Max-Forwards, From, To, Call-ID, CSeq and Content-Length are filled in; a line of the scenario replaces
//! what would be filled in. An ACK or CANCEL has the identifiers of the party's last INVITE. `NAME repeats` sends the last message again, to the octet;
//! `NAME answers the challenge` sends the last request again with credentials for the 401 or 407 received last.
//!
//! **Receiving.** The first line is a status or a method, with the beginning of a reason or Request-URI; each header line must match a value of that
//! header, `!Name` means that there is none. `...` stands for any text, `{name}` for text that is remembered and put in wherever the
//! name stands again. `{server}`, and for each party its name, stand for their addresses. A body pattern matches line by line.
//! `NAME receives nothing` means just that; at the end of a scenario nobody may have anything left.
//!
//! **Commands.** `ctl pa.publish`: the indented lines are the parameters, what follows a blank line is a pattern of the answer, which is JSON on one
//! line or `error: …`. Without a pattern any answer will do but an error.
//!
//! **The rest.** `time passes 32s`; `network loses 2 packets to NAME`, `… from NAME`; `network loses 20% of packets, seed 7`;
//! `server restarts`; `server crashes` (and starts again, from what it has committed).

pub(crate) mod credentials;
mod parse;
mod pattern;
mod play;
mod run;

pub use parse::{Action, Block, PartySetup, Scenario, Step, parse};
pub use play::{Needs, Stage, play};
pub use run::{WORKERS, numbers_of_workers, run, run_text};
