//! `signalbox ctl pa …`

mod look;

pub(crate) use look::{presentities, show, watchers};
