//! The functions of the script, a file each.

mod handle_publish;
mod handle_subscription;
mod request;
mod target_online;

pub(crate) use handle_publish::handle_publish;
pub(crate) use handle_subscription::handle_subscription;
pub(crate) use target_online::target_online;
