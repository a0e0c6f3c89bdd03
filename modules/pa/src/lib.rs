//! The presence agent (RFC 3856, 3903, 6665): who is online, and who is told.
//!
//! | where | what |
//! |---|---|
//! | [`agent`] | the whole logic without input or output: requests and the time in, notifications and records out |
//! | [`presentity`], [`publication`], [`subscription`] | what is kept: a presentity, what is published about it, who watches it |
//! | [`packages`] | event packages: what can be subscribed to and published |
//! | [`documents`], [`composition`] | the types of documents and the choice among them; one document of what many say |
//! | [`notify`] | NOTIFY requests and their way to the watcher |
//! | [`store`] | the tables in the database |
//! | [`functions`] | the functions of the script |
//! | [`query`] | subscriptions of other modules: the Query Status API |
//! | [`commands`] | `signalbox ctl pa …` |
//! | [`publishers`] | the senders that may publish for others |
//! | [`settings`], [`rejection`], [`token`] | parameters; why a request is refused and how that is answered; entity and dialog tags |
//! | [`settling`] | what waits for its commit |
//! | [`state`], [`start`] | the agent with its journal, doing what the agent says; the start |

use std::sync::Arc;

use signalbox::module::{Declaration, Function, Host, Kind, Module, ModuleError, Routes, Settings};

pub mod agent;
mod commands;
pub mod composition;
pub mod documents;
mod functions;
pub mod notify;
pub mod packages;
pub mod presentity;
pub mod publication;
pub mod publishers;
mod query;
pub mod rejection;
pub mod settings;
mod settling;
mod start;
pub mod state;
pub mod store;
pub mod subscription;
pub mod token;

pub use state::PresenceAgent;

const DOMAIN: &str = "Whose contacts make presence: `registrar` or `jabber`.";

impl Module for PresenceAgent {
    const NAME: &'static str = "pa";

    fn declaration() -> Declaration<Self> {
        let declaration =
            Declaration::new("Tells watchers who is online, from registrations and PUBLISH (RFC 3856, 3903, 6665).");
        let declaration = settings::parameters()
            .into_iter()
            .fold(declaration, Declaration::parameter)
            .function(
                Function::new("handle_subscription")
                    .doc("Carries out a SUBSCRIBE and answers it, then notifies. Sets `avp.subscription_status` to `active`, `pending`, `terminated` or `error`.")
                    .argument("domain", Kind::String, DOMAIN)
                    .optional("max_expires", Kind::Integer, "Seconds that the subscription lasts at the most, such as for strangers; `max_subscription_expiration` when left out.")
                    .range(1..=31_536_000)
                    .result("boolean: whether the subscription was accepted, be it pending")
                    .routes(Routes::REQUEST | Routes::FAILURE)
                    .waiting(functions::handle_subscription),
            )
            .function(
                Function::new("handle_publish")
                    .doc("Carries out a PUBLISH and answers it, then notifies the watchers.")
                    .argument("domain", Kind::String, DOMAIN)
                    .result("boolean: whether it was accepted")
                    .routes(Routes::REQUEST | Routes::FAILURE)
                    .waiting(functions::handle_publish),
            )
            .function(
                Function::new("handle_notify")
                    .doc("Takes a NOTIFY that nobody has asked for as a publication, and answers it, if its sender is among `notifiers`.")
                    .argument("domain", Kind::String, DOMAIN)
                    .result("boolean: whether the request has been answered")
                    .routes(Routes::REQUEST | Routes::FAILURE)
                    .waiting(functions::handle_notify),
            )
            .function(
                Function::new("serves_event")
                    .doc("Whether the presence agent serves an event package: `presence`, `presence.winfo` and those of the parameter `events`.")
                    .argument("event", Kind::String, "The value of Event without parameters: `msg.event`.")
                    .result("boolean: whether it does")
                    .plain(functions::serves_event),
            )
            .function(
                Function::new("target_online")
                    .doc("Whether the user that the request is for can be reached: is registered, or has published so.")
                    .argument("domain", Kind::String, DOMAIN)
                    .result("boolean: whether it can")
                    .routes(Routes::REQUEST | Routes::FAILURE)
                    .plain(functions::target_online),
            )
            .function(
                Function::new("store_winfo")
                    .doc("Remembers the watcher of a SUBSCRIBE in the database, for a user who is not there. Comes behind `handle_subscription`; wants `use_offline_winfo`.")
                    .argument("domain", Kind::String, DOMAIN)
                    .result("boolean: whether the watcher is remembered")
                    .routes(Routes::REQUEST | Routes::FAILURE)
                    .waiting(functions::store_winfo),
            )
            .function(
                Function::new("dump_stored_winfo")
                    .doc("Tells the user of the watchers that are remembered, by the user's subscription to watcher information. Those who were told of are forgotten when the NOTIFY was answered with 2xx.")
                    .argument("domain", Kind::String, DOMAIN)
                    .argument("package", Kind::String, "What was subscribed to: `presence`.")
                    .result("boolean: whether they are told, or there are none")
                    .routes(Routes::REQUEST | Routes::FAILURE)
                    .waiting(functions::dump_stored_winfo),
            );
        commands::commands().into_iter().fold(declaration, Declaration::command)
    }

    fn check(settings: &Settings) -> Result<(), ModuleError> {
        settings::Settings::read(settings).map(drop)
    }

    async fn start(host: &Host, settings: &Settings) -> Result<Self, ModuleError> {
        start::start(host, settings).await.map(Self)
    }

    fn ready(self: &Arc<Self>, host: &Host) -> Result<(), ModuleError> {
        start::ready(&self.0, host)
    }

    async fn stop(&self) {
        start::stop(&self.0).await;
    }
}

signalbox::export_module!(PresenceAgent);

#[cfg(test)]
mod tests {
    use signalbox::module::{doc, export};

    use super::*;

    #[test]
    fn the_readme_has_the_tables_of_the_code() {
        let tables = doc::markdown(&export::entry::<PresenceAgent>().tables());
        let missing: Vec<_> = tables.lines().filter(|row| !include_str!("../README.md").contains(row)).collect();
        assert!(missing.is_empty(), "put these into README.md:\n{}", missing.join("\n"));
    }
}
