//! `target_online`: whether the presentity can be reached.

use signalbox::context::Context;
use signalbox::module::{Arguments, Outcome, Value};

use super::request::{self, About};
use crate::agent::Target;
use crate::packages::PRESENCE;
use crate::state::PresenceAgent;

/// The script function: whether the presentity can be reached.
pub(crate) fn target_online(module: &PresenceAgent, context: &Context, arguments: &Arguments) -> Outcome {
    let domain = request::domain(arguments.required(0))?;
    let about = About::of(context)?;
    let target = Target { package: PRESENCE, domain, uid: &about.uid, aor: about.aor.as_str() };
    Ok(Value::Boolean(module.0.agent.is_online(&target, context.now())))
}
