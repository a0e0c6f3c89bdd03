//! `signalbox ctl pa …`
//!
//! | file | what |
//! |---|---|
//! | [`look`] | showing presentities and watchers |
//! | [`act`] | publishing, and deciding about subscriptions |
//! | [`describe`] | what a presence document says, as JSON |
//! | [`words`] | presence in words, made a document |
//! | [`parameters`] | what several commands take |
//! | [`rows`] | the commands' names and parameters |

mod act;
mod describe;
mod look;
mod parameters;
mod rows;
mod words;

pub(crate) use rows::commands;
