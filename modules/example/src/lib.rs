//! Limits how many requests one user may send in a minute.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use signalbox::module::{Declaration, Function, Host, Module, ModuleError, Outcome, Parameter, Refusal, Settings};
use signalbox_sip::header::HeaderName;
use signalbox_sip::uri::{Aor, NameAddr};

/// Counts what each user sent in the present minute.
pub struct Example {
    per_minute: i64,
    sent: Mutex<(Instant, HashMap<Aor, i64>)>,
}

impl Module for Example {
    const NAME: &'static str = "example";

    fn declaration() -> Declaration<Self> {
        Declaration::new("Limits how many requests one user may send in a minute.")
            .parameter(Parameter::integer("per_minute", 60).range(1..=10_000).doc("Requests that one user may send."))
            .function(
                Function::new("within_limit")
                    .doc("Counts the request for the user in From.")
                    .result("boolean: true while the user has sent no more than `per_minute`; else why not")
                    .plain(|module: &Self, context, _| {
                        let request = context.request();
                        let from = request.value(HeaderName::From).and_then(|from| NameAddr::parse(from).ok());
                        let sender = from.and_then(|from| Aor::of(&from.uri().ok()?));
                        module.count(sender.ok_or_else(|| Refusal::no("From names no user"))?, context.now())
                    }),
            )
    }

    async fn start(host: &Host, settings: &Settings) -> Result<Self, ModuleError> {
        let sent = Mutex::new((host.clock().now(), HashMap::new()));
        Ok(Self { per_minute: settings.integer("per_minute"), sent })
    }
}

impl Example {
    fn count(&self, sender: Aor, now: Instant) -> Outcome {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(sent.0) >= Duration::from_secs(60) {
            *sent = (now, HashMap::new());
        }
        let count = sent.1.entry(sender).or_insert(0);
        *count += 1;
        if *count <= self.per_minute { Ok(true.into()) } else { Err(Refusal::no("too many requests in this minute")) }
    }
}

signalbox::export_module!(Example);

#[cfg(test)]
mod tests;
