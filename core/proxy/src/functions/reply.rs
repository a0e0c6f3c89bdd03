//! Answering a request.

use super::Core;
use crate::context::{Context, Reply};
use crate::module::{Arguments, Function, Kind, Outcome, Routes};

const ANSWERING: Routes = Routes::REQUEST.or(Routes::FAILURE);

pub(super) fn rows() -> Vec<Function<Core>> {
    vec![
        answer("sl_send_reply")
            .doc("Answers the request. Through its transaction where there is one, else without keeping state. A 2xx becomes 420 if the request has a Require: scripts that support what it names remove it first.")
            .plain(send_reply),
        answer("sl_reply").doc("Answers the request; the same as `sl_send_reply`.").plain(send_reply),
        answer("t_reply")
            .doc("Answers the request through its transaction, which is made if there is none yet.")
            .plain(|_: &Core, context, arguments| {
                if !context.has_transaction() {
                    context.new_transaction()?;
                }
                send_reply(&Core, context, arguments)
            }),
        Function::new("sl_reply_error")
            .doc("Answers with the status of the step that failed last: 483 after `mf_process_maxfwd_header`, 480 after `t_relay` without a target …; 500 if none has.")
            .result("boolean: true once the response is on its way")
            .routes(ANSWERING)
            .plain(|_: &Core, context, _| {
                context.reply_error()?;
                Ok(true.into())
            }),
        Function::new("append_to_reply")
            .doc("Adds header lines to the next response that is made here: `append_to_reply(\"Retry-After: 5\\r\\n\")`.")
            .argument("lines", Kind::String, "One or more lines `Name: value`.")
            .result("boolean: true if each line is a header")
            .routes(Routes::WITH_REQUEST)
            .plain(|_: &Core, context, arguments| {
                context.append_to_reply(arguments.required(0))?;
                Ok(true.into())
            }),
    ]
}

fn answer(name: &'static str) -> crate::module::function::Row<Core> {
    Function::new(name)
        .argument("status", Kind::Integer, "Status code, 100 to 699.")
        .range(100..=699)
        .optional("reason", Kind::String, "Reason phrase; the standard's where it is left out.")
        .result("boolean: true once the response is on its way")
        .routes(ANSWERING)
}

fn send_reply(_: &Core, context: &Context, arguments: &Arguments) -> Outcome {
    // The row bounds the status to three digits.
    let status = arguments.integer(0).and_then(|status| u16::try_from(status).ok()).unwrap_or(500);
    let reply = Reply::new(status);
    let reply = match arguments.string(1) {
        Some(reason) => reply.reason(reason),
        None => reply,
    };
    context.send_script_reply(reply)?;
    Ok(true.into())
}
