//! The registrar: who can be reached where (RFC 3261 §10).
//!
//! | file | what |
//! |---|---|
//! | [`registration`] | what a REGISTER asks for |
//! | [`location`], [`shard`], [`binding`] | bindings in memory, and the rules by which a REGISTER changes them |
//! | [`settling`] | waiting for a commit |
//! | [`undo`] | taking back what could not be stored |
//! | [`tables`] | location services by name |
//! | [`store`] | the table `location` in the database |
//! | [`announce`] | who hears of changed bindings |
//! | [`registrar`] | the parts together; the `Bindings` service |
//! | [`save`], [`lookup`] | the functions |
//! | [`commands`] | `signalbox ctl registrar …` |

use std::sync::Arc;
use std::time::Duration;

use signalbox::module::{Command, Declaration, Function, Host, Kind, Module, ModuleError, Parameter, Routes, Settings};
use signalbox::services::bindings::Bindings;

mod announce;
mod binding;
mod commands;
#[cfg(test)]
mod crash_tests;
mod location;
mod lookup;
mod registrar;
mod registration;
mod rejection;
mod save;
mod settling;
mod shard;
mod store;
mod tables;
mod undo;

pub use registrar::Registrar;

const TABLE: &str = "The location service; `location` by custom.";
const URI: &str = "The address of record; the Request-URI when left out.";

impl Module for Registrar {
    const NAME: &'static str = "registrar";

    fn declaration() -> Declaration<Self> {
        let declaration = Declaration::new("Keeps who can be reached where, as REGISTER requests say (RFC 3261 §10).");
        let declaration = with_commands(with_functions(with_parameters(declaration)));
        announce::events().into_iter().fold(declaration, Declaration::event)
    }

    fn check(settings: &Settings) -> Result<(), ModuleError> {
        registrar::State::check(settings)
    }

    async fn start(host: &Host, settings: &Settings) -> Result<Self, ModuleError> {
        let state = registrar::State::start(host, settings).await?;
        let bindings: Arc<dyn Bindings> = state.clone();
        host.provide(bindings);
        let expiring = state.clone();
        host.on_tick(move |now| expiring.expire(now));
        Ok(Self(state))
    }
}

fn with_parameters(declaration: Declaration<Registrar>) -> Declaration<Registrar> {
    declaration
        .parameter(
            Parameter::duration("default_expires", Duration::from_secs(3600))
                .range(1..=YEAR)
                .doc("How long a binding lasts when the request names no time."),
        )
        .parameter(Parameter::duration("min_expires", Duration::from_secs(60)).range(0..=YEAR).doc(
            "A shorter time is refused with 423 and Min-Expires. What is an hour or more is never refused (RFC 3261 §10.3).",
        ))
        .parameter(
            Parameter::duration("max_expires", Duration::from_secs(7200))
                .range(1..=YEAR)
                .doc("A longer time is cut to this."),
        )
        .parameter(Parameter::integer("max_contacts", 10).range(0..=1000).doc(
            "Contacts of one address of record; `when_full` says what happens over it. 0 for no limit.",
        ))
        .parameter(Parameter::choice("when_full", "refuse", &["refuse", "replace"]).doc(
            "What becomes of a contact over `max_contacts`: `refuse` answers 503, as SER does; with `replace` it takes the place of the one that was refreshed least recently.",
        ))
        .parameter(Parameter::boolean("replace_instance", true).doc(
            "Whether a contact takes the place of another one of the same device, that is with the same `+sip.instance` and `reg-id` (RFC 5626 §6). Contacts of one request stand side by side.",
        ))
        .parameter(Parameter::integer("max_aors", 5_000_000).range(0..=1_000_000_000).doc(
            "Addresses of record in one location service; over it a REGISTER for another one is refused with 503. 0 for no limit.",
        ))
        .parameter(Parameter::string("db_url", "").doc(
            "The database that bindings are kept in: `sqlite:path`, `postgres://…` or `mysql://…`. Without it they are in memory only.",
        ))
        .parameter(Parameter::boolean("use_db", true).doc(
            "Whether `db_url` is used. Then a REGISTER is answered 200 only when the database has its bindings, and they survive a restart.",
        ))
}

fn with_functions(declaration: Declaration<Registrar>) -> Declaration<Registrar> {
    declaration
        .function(
            Function::new("save")
                .doc("Carries out a REGISTER and answers it: 200 with all bindings, or why not. What it returns says which of the two.")
                .argument("table", Kind::String, TABLE)
                .result("boolean: whether the bindings were changed as asked")
                .routes(Routes::REQUEST)
                .waiting(save::save),
        )
        .function(
            Function::new("lookup")
                .doc("Has the request go to the contacts of an address of record: higher q first, equal q in parallel. A contact behind a NAT or on a connection is reached the way it registered, and the Path of its registration is followed.")
                .argument("table", Kind::String, TABLE)
                .optional("uri", Kind::String, URI)
                .result("boolean: whether there is any contact")
                .routes(Routes::REQUEST | Routes::FAILURE)
                .plain(lookup::lookup),
        )
        .function(
            Function::new("registered")
                .doc("Whether an address of record has a contact now.")
                .argument("table", Kind::String, TABLE)
                .optional("uri", Kind::String, URI)
                .result("boolean: whether it has")
                .routes(Routes::ANY)
                .plain(lookup::registered),
        )
        .function(
            Function::new("unregister")
                .doc("Removes the contacts of an address of record, or one of them.")
                .argument("table", Kind::String, TABLE)
                .optional("uri", Kind::String, URI)
                .optional("contact", Kind::String, "The URI of the contact to remove; all when left out.")
                .result("boolean: whether there was one")
                .routes(Routes::ANY)
                .waiting(lookup::unregister),
        )
}

fn with_commands(declaration: Declaration<Registrar>) -> Declaration<Registrar> {
    declaration
        .command(
            Command::<Registrar>::new("list", "Lists addresses of record and their contacts.")
                .optional("containing", "only those that contain this text")
                .optional("limit", "at most so many; 100 when left out")
                .run(commands::list),
        )
        .command(
            Command::<Registrar>::new("show", "Shows all that is kept of an address of record.")
                .parameter("aor", "such as sip:alice@example.com")
                .run(commands::show),
        )
        .command(
            Command::<Registrar>::new("remove", "Removes an address of record, or one of its contacts.")
                .parameter("aor", "such as sip:alice@example.com")
                .optional("contact", "the contact's URI; all when left out")
                .run(commands::remove),
        )
}

/// Seconds.
const YEAR: i64 = 31_536_000;

signalbox::export_module!(Registrar);

#[cfg(test)]
mod tests {
    use super::*;
    use signalbox::module::{doc, export};

    #[test]
    fn the_readme_has_the_tables_of_the_code() {
        let tables = doc::markdown(&export::entry::<Registrar>().tables());
        let readme = include_str!("../README.md");
        assert!(readme.contains(&tables), "README.md should contain:\n{tables}");
    }
}
