//! Who may send messages, by lists of senders.

use signalbox::context::Context;
use signalbox::module::{
    Declaration, Function, Host, Kind, Module, ModuleError, Outcome, Parameter, Refusal, Routes, Settings, Value,
};
use signalbox_sip::header::HeaderName;
use signalbox_sip::message::Message;

mod senders;

use senders::{Allowed, Blocked, Sender};

/// The module.
pub struct ImAuth {
    /// If empty, every sender that is not blocked may send.
    allow: Allowed,
    block: Blocked,
}

impl Module for ImAuth {
    const NAME: &'static str = "im_auth";

    fn declaration() -> Declaration<Self> {
        Declaration::new("Decides whether a message may reach the user it is sent to.")
            .parameter(Parameter::list("allow").doc(
                "Senders whose messages are let through, each an address such as `sip:alice@example.com` or a domain such as `example.com`. \
                 When empty, all are that are not blocked.",
            ))
            .parameter(Parameter::list("block").doc("Senders whose messages are refused, written as in `allow`. It goes first, and matches whatever port, scheme or case the sender writes, the identities in P-Asserted-Identity and P-Preferred-Identity, and the user whose password came along."))
            .function(
                Function::new("authorize_message")
                    .doc("Tells whether the sender of the request, the user in From, may send messages.")
                    .optional("xcap_root", Kind::String, "Where the recipients' own rules are; not asked yet, only the lists decide.")
                    .result("boolean: true if the sender may; else why not")
                    .routes(Routes::REQUEST)
                    .plain(|module: &Self, context, _| module.authorize_message(context)),
            )
    }

    fn check(settings: &Settings) -> Result<(), ModuleError> {
        Self::read(settings).map(drop)
    }

    async fn start(_: &Host, settings: &Settings) -> Result<Self, ModuleError> {
        Self::read(settings)
    }
}

impl ImAuth {
    fn read(settings: &Settings) -> Result<Self, ModuleError> {
        let wrong = |parameter, entry: &str| ModuleError::Parameter {
            parameter,
            problem: format!("\"{entry}\" is no address or domain"),
        };
        Ok(Self {
            allow: Allowed::parse(settings.list("allow")).map_err(|entry| wrong("allow", entry))?,
            block: Blocked::parse(settings.list("block")).map_err(|entry| wrong("block", entry))?,
        })
    }

    fn authorize_message(&self, context: &Context) -> Outcome {
        let request = context.request();
        let Some(sender) = request.value(HeaderName::From).and_then(Sender::parse) else {
            return Err(Refusal::no("From names no user"));
        };
        if !self.block.is_empty() && self.blocks(context, &request, &sender) {
            return Err(Refusal::no("the sender is blocked"));
        }
        if !self.allow.is_empty() && !self.allow.contains(&sender) {
            return Err(Refusal::no("the sender is not among those allowed"));
        }
        Ok(true.into())
    }

    fn blocks(&self, context: &Context, request: &Message, sender: &Sender) -> bool {
        if self.block.contains(sender) || Sender::others(request).any(|other| self.block.contains(&other)) {
            return true;
        }
        // Set by www_authorize and proxy_authorize.
        let avp = context.avp();
        let proved = |name| avp.get(name).and_then(Value::as_str);
        matches!((proved("auth_user"), proved("auth_realm")), (Some(user), Some(realm)) if self.block.contains_user(user, realm))
    }
}

signalbox::export_module!(ImAuth);

#[cfg(test)]
mod tests {
    use signalbox::module::{doc, export};

    use super::*;

    #[test]
    fn the_readme_has_the_tables_of_the_code() {
        let tables = doc::markdown(&export::entry::<ImAuth>().tables());
        assert!(include_str!("../README.md").contains(&tables), "put these into README.md:\n{tables}");
    }
}
