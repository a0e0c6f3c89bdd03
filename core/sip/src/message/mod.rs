//! Messages (RFC 3261 §7): one text, a table of the header lines in it, and a body.
//!
//! [`Message::parse`] finds the lines and recognises their names; values are read when asked for. An edit
//! changes the table and appends to the text. Printing copies runs of untouched lines as they came. So a relayed
//! message costs a few copies of memory, however many headers it has.
//!
//! What came is kept: order, spelling and unknown headers. Folded lines are unfolded on reading (§7.3.1: the same
//! meaning). Octets that are not UTF-8 are kept too, see the `octets` file.

mod edit;
mod error;
mod glance;
mod line;
mod octets;
mod once;
mod parse;
mod print;
#[cfg(test)]
mod properties;
mod received;
mod reply;
mod view;

pub use error::{ParseError, Problem};
pub use glance::Glance;
pub(crate) use octets::{LEAD, carried, may_carry};
pub use octets::{octets_of, readable, text_of};
pub(crate) use parse::parse_head;
pub use parse::{MAX_BODY, MAX_HEAD, MAX_HEADERS};
pub use view::{Items, Message, Values};
