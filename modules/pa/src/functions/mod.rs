//! The functions of the script, a file each.

mod handle_notify;
mod handle_publish;
mod handle_subscription;
mod offline_winfo;
mod request;
mod serves_event;
pub(crate) mod stored;
mod target_online;

pub(crate) use handle_notify::handle_notify;
pub(crate) use handle_publish::handle_publish;
pub(crate) use handle_subscription::handle_subscription;
pub(crate) use offline_winfo::{dump_stored_winfo, store_winfo};
pub(crate) use serves_event::serves_event;
pub(crate) use target_online::target_online;
