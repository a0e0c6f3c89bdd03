//! Sending a request on.

use std::time::Duration;

use super::Core;
use crate::error::Error;
use crate::module::function::Row;
use crate::module::parameter::parse_duration;
use crate::module::{Function, Kind, Outcome, Refusal, Routes};

const RELAYING: Routes = Routes::REQUEST.or(Routes::FAILURE);

pub(super) fn rows() -> Vec<Function<Core>> {
    let mut rows = vec![
        Function::new("t_newtran")
            .doc("Makes the transaction of the request, so that its repetitions are absorbed from here on.")
            .result("boolean: true once it exists")
            .plain(|_: &Core, context, _| done(context.new_transaction())),
        Function::new("t_check_trans")
            .doc("Tells whether the request belongs to a transaction that is known; for a CANCEL, that of the INVITE it cancels.")
            .result("boolean: true if it does")
            .plain(|_: &Core, context, _| Ok(context.check_transaction().into())),
        Function::new("t_relay")
            .doc("Relays the request statefully to its targets, or to its Request-URI where there are none, and answers it with the best of their responses.")
            .result("boolean: true once it is on its way")
            .routes(RELAYING)
            .plain(|_: &Core, context, _| done(context.relay())),
        Function::new("t_relay_to")
            .doc("Relays the request statefully to an address, whatever its Request-URI says.")
            .argument("uri", Kind::String, "Where to: `sip:192.0.2.1:5060;transport=tcp`.")
            .result("boolean: true once it is on its way")
            .routes(RELAYING)
            .plain(|_: &Core, context, arguments| done(context.relay_to(arguments.required(0)))),
        Function::new("forward")
            .doc("Sends the request on without a transaction: nothing is repeated, and responses pass through.")
            .optional("uri", Kind::String, "Where to; without it, to where the request points.")
            .result("boolean: true once it is on its way")
            .plain(|_: &Core, context, arguments| done(context.forward(arguments.string(0)))),
        Function::new("append_branch")
            .doc("Adds a target for `t_relay`.")
            .optional("uri", Kind::String, "The target; without it, the present Request-URI.")
            .optional("q", Kind::Integer, "Preference in thousandths: higher ones are tried first, equal ones at once. 1000 if left out.")
            .range(0..=1000)
            .result("boolean: true once it is added")
            .routes(RELAYING)
            .plain(|_: &Core, context, arguments| {
                // The row bounds q.
                let q = arguments.integer(1).and_then(|q| u16::try_from(q).ok()).unwrap_or(1000);
                done(context.append_branch(arguments.string(0), q))
            }),
    ];
    rows.extend([
        Function::new("append_redirects")
            .doc("Adds the contacts of a redirection (3xx) as targets for `t_relay`, higher q first. Once they are tried, the sender hears of them no more.")
            .result("boolean: true if there is any that can be tried")
            .routes(Routes::FAILURE)
            .plain(|_: &Core, context, _| Ok((context.append_redirects()? > 0).into())),
        Function::new("t_set_fr")
            .doc("How long branches that are sent from now on wait before they fail with 408 and the next target or the failure route has its turn. \
                  Spans of time such as `5s` or `1500ms`; a whole number counts milliseconds, as in Kamailio. 0 leaves what `timers` in the settings says.")
            .argument("final", Kind::String, "For a final response to an INVITE that rings, from the newest provisional response on; then it is cancelled. Of `timers`: `c`.")
            .optional("provisional", Kind::String, "For any response to an INVITE, and for the final one to other requests. Of `timers`: `fr`.")
            .result("boolean: true")
            .routes(RELAYING | Routes::BRANCH)
            .plain(|_: &Core, context, arguments| {
                let ringing = span(arguments.string(0))?;
                context.set_final_response_times(ringing, span(arguments.string(1))?);
                Ok(true.into())
            }),
        arm("t_on_failure", Routes::FAILURE, RELAYING)
            .doc("Has `failure_route.name(msg)` run when all branches have failed; it may answer, or relay to further targets.")
            .plain(|_: &Core, context, arguments| done(context.on_failure(arguments.string(0)))),
        arm("t_on_reply", Routes::REPLY, RELAYING | Routes::BRANCH)
            .doc("Has `reply_route.name(msg)` run for each response before it is passed on.")
            .plain(|_: &Core, context, arguments| done(context.on_reply(arguments.string(0)))),
        arm("t_on_branch", Routes::BRANCH, RELAYING)
            .doc("Has `branch_route.name(msg)` run for each branch before it is sent; what it changes is changed for this branch.")
            .plain(|_: &Core, context, arguments| done(context.on_branch(arguments.string(0)))),
    ]);
    rows
}

/// A function that names a route to run later.
fn arm(name: &'static str, kind: Routes, routes: Routes) -> Row<Core> {
    Function::new(name)
        .optional("name", Kind::Route(kind), "The name of the route; none is run when it is left out.")
        .result("boolean: true")
        .routes(routes)
}

/// The longest time that `t_set_fr` takes: a day.
const MAX_SPAN: Duration = Duration::from_secs(86_400);

/// A span of time; `None` if it is missing or zero.
fn span(text: Option<&str>) -> Result<Option<Duration>, Refusal> {
    let Some(text) = text else { return Ok(None) };
    let span = text.parse().map(Duration::from_millis).ok().or_else(|| parse_duration(text));
    match span.filter(|span| *span <= MAX_SPAN) {
        Some(span) => Ok(Some(span).filter(|span| !span.is_zero())),
        None => Err(Refusal::misuse("a span of time is up to a day, such as \"5s\", \"1500ms\" or 1500")),
    }
}

fn done(result: Result<(), Error>) -> Outcome {
    result?;
    Ok(true.into())
}
