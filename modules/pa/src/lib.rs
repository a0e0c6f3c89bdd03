//! The presence agent (RFC 3856, 3903, 6665): who is online, and who is told.
//!
//! | file | what |
//! |---|---|
//! | [`agent`], [`shard`] | the whole logic without input or output: requests and the time in, notifications and records out |
//! | [`presentity`], [`publication`], [`watcher`] | what is kept: a presentity, what is published about it, who watches it |
//! | [`composition`], [`document`], [`package`] | one document of what many say; the types of documents; event packages |
//! | [`token`], [`settings`], [`rejection`] | entity and dialog tags; parameters; why a request is refused and how that is answered |
//! | [`presence_agent`] | the agent with its journal: does what the agent says |
//! | [`subscribe`], [`publish`], [`request`] | the functions of the script |
//! | [`notify`] | NOTIFY requests and their way to the watcher |
//! | [`store`] | the tables in the database |
//! | [`commands`] | `signalbox ctl pa …` |

use std::sync::Arc;

use signalbox::module::{Command, Declaration, Function, Host, Kind, Module, ModuleError, Routes, Settings};

pub mod agent;
mod aliases;
mod commands;
pub mod composition;
pub mod document;
pub mod notify;
pub mod package;
pub mod presence_agent;
pub mod presentity;
pub mod publication;
mod publish;
pub mod rejection;
mod request;
pub mod settings;
pub mod shard;
mod start;
pub mod store;
mod subscribe;
pub mod token;
pub mod watcher;

pub use presence_agent::PresenceAgent;

const DOMAIN: &str = "Whose contacts make presence: `registrar` or `jabber`.";
const UID: &str = "the user's id: `avp.uid`, or the address of record such as sip:alice@example.com";

impl Module for PresenceAgent {
    const NAME: &'static str = "pa";

    fn declaration() -> Declaration<Self> {
        let declaration =
            Declaration::new("Tells watchers who is online, from registrations and PUBLISH (RFC 3856, 3903, 6665).");
        settings::parameters()
            .into_iter()
            .fold(declaration, Declaration::parameter)
            .function(
                Function::new("handle_subscription")
                    .doc("Carries out a SUBSCRIBE and answers it, then notifies. Sets `avp.subscription_status` to `active`, `pending`, `terminated` or `error`.")
                    .argument("domain", Kind::String, DOMAIN)
                    .result("boolean: whether the subscription was accepted, be it pending")
                    .routes(Routes::REQUEST | Routes::FAILURE)
                    .waiting(subscribe::handle_subscription),
            )
            .function(
                Function::new("handle_publish")
                    .doc("Carries out a PUBLISH and answers it, then notifies the watchers.")
                    .argument("domain", Kind::String, DOMAIN)
                    .result("boolean: whether it was accepted")
                    .routes(Routes::REQUEST | Routes::FAILURE)
                    .waiting(publish::handle_publish),
            )
            .function(
                Function::new("target_online")
                    .doc("Whether the user that the request is for can be reached: is registered, or has published so.")
                    .argument("domain", Kind::String, DOMAIN)
                    .result("boolean: whether it can")
                    .routes(Routes::REQUEST | Routes::FAILURE)
                    .plain(publish::target_online),
            )
            .command(
                Command::<Self>::new("presentities", "Lists those whose presence somebody watches or publishes.")
                    .parameter("containing", "only those whose id contains this text")
                    .parameter("limit", "at most so many; 100 when left out")
                    .run(commands::presentities),
            )
            .command(
                Command::<Self>::new("show", "Shows all that is known of a presentity, and the document made of it.")
                    .parameter("uid", UID)
                    .run(commands::show),
            )
            .command(
                Command::<Self>::new("watchers", "Lists the watchers of a presentity.")
                    .parameter("uid", UID)
                    .run(commands::watchers),
            )
    }

    async fn start(host: &Host, settings: &Settings) -> Result<Self, ModuleError> {
        start::start(host, settings).await.map(Self)
    }

    fn ready(self: &Arc<Self>, host: &Host) -> Result<(), ModuleError> {
        start::ready(&self.0, host)
    }
}

signalbox::export_module!(PresenceAgent);
