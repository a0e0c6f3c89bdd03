//! The server's own settings, as `etc/signalbox.lua` makes them.
//!
//! | file | what |
//! |---|---|
//! | [`core`] | the settings, their types and defaults |
//! | [`parse`] | addresses and names as people write them |
//! | `reading` | what each function of the settings file does |
//! | [`route_key`] | the key that signs the Record-Route of dialogs |
//! | [`nearest`] | "did you mean …?" |
//!
//! The file itself is run by [`script::settings`](crate::script::settings).

pub mod core;
pub mod nearest;
pub mod parse;
pub(crate) mod reading;
pub mod route_key;

pub use reading::Mistake;

pub use route_key::RouteKeySettings;

pub use core::{CoreSettings, LogSettings, ServerLimits, Settings};
