//! `signalbox ctl pa …`
//!
//! | file | what |
//! |---|---|
//! | [`look`] | showing presentities and watchers |
//! | [`act`] | publishing, and deciding about subscriptions |
//! | [`parameters`] | what several commands take |
//! | [`rows`] | the commands' names and parameters |

mod act;
mod look;
mod parameters;
mod rows;

pub(crate) use rows::commands;
