//! `lookup`, `registered` and `unregister`: what a script asks the location service.

use std::sync::Arc;

use signalbox::context::{Context, Target};
use signalbox::module::{Arguments, Outcome, Refusal, Value};
use signalbox_sip::uri::Aor;

use crate::registrar::Registrar;

/// Adds the contacts of an address of record to the targets, so that the request goes to them instead of to its Request-URI.
pub(crate) fn lookup(registrar: &Registrar, context: &Context, arguments: &Arguments) -> Outcome {
    let aor = address(context, arguments)?;
    let table = registrar.0.tables.find(arguments.required(0));
    let records = table.map(|table| table.location.records(aor.as_str(), context.now())).unwrap_or_default();
    if records.is_empty() {
        return Err(Refusal::no("not registered"));
    }
    let mut targets = context.targets();
    for record in &records {
        let target = Target {
            q: record.q,
            flow: record.flow.as_deref().copied(),
            path: record.path().to_owned(),
            is_ours: true,
            proved: record.proved,
            ..Target::new(record.contact())
        };
        if targets.add(target).is_err() {
            // As many as fit, the preferred ones first: some of the devices are better than none.
            break;
        }
    }
    Ok(Value::Boolean(true))
}

/// Whether an address of record has a binding.
pub(crate) fn registered(registrar: &Registrar, context: &Context, arguments: &Arguments) -> Outcome {
    let aor = address(context, arguments)?;
    let table = registrar.0.tables.find(arguments.required(0));
    let bound = table.is_some_and(|table| !table.location.records(aor.as_str(), context.now()).is_empty());
    if bound { Ok(Value::Boolean(true)) } else { Err(Refusal::no("not registered")) }
}

/// Removes the bindings of an address of record, or one of them.
pub(crate) async fn unregister(registrar: Arc<Registrar>, context: Context, arguments: Arguments) -> Outcome {
    let state = &registrar.0;
    let aor = address(&context, &arguments)?;
    let Some(table) = state.tables.find(arguments.required(0)) else { return Err(Refusal::no("not registered")) };
    let mut pending = state.remove(&table, aor.as_str(), arguments.string(2));
    if pending.changes.is_empty() {
        return Err(Refusal::no("not registered"));
    }
    state.settle(&table, aor.as_str(), &mut pending).await?;
    Ok(Value::Boolean(true))
}

/// The second argument, else the Request-URI, as an address of record.
fn address(context: &Context, arguments: &Arguments) -> Result<Aor, Refusal> {
    let aor = match arguments.string(1) {
        Some(uri) => Aor::parse(uri),
        None => Aor::parse(context.request().request_uri()),
    };
    aor.ok_or_else(|| Refusal::no("not an address of record"))
}
