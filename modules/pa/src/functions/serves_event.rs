//! `serves_event`: whether the agent serves an event package.

use signalbox::context::Context;
use signalbox::module::{Arguments, Outcome, Value};

use crate::state::PresenceAgent;

/// The script function.
pub(crate) fn serves_event(module: &PresenceAgent, _: &Context, arguments: &Arguments) -> Outcome {
    Ok(Value::Boolean(module.0.agent.packages().find(arguments.required(0)).is_ok()))
}
