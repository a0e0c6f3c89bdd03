//! Where a request is to go by its own headers.

use super::Core;
use crate::context::Routed;
use crate::module::{Function, Kind, Refusal, Routes};

pub(super) fn rows() -> Vec<Function<Core>> {
    vec![
        Function::new("mf_process_maxfwd_header")
            .doc("Takes one hop off Max-Forwards. After a `false`, `sl_reply_error()` answers 483.")
            .argument("limit", Kind::Integer, "What Max-Forwards becomes where the request has none.")
            .range(1..=255)
            .result("boolean: true while hops are left")
            .plain(|_: &Core, context, arguments| {
                // The row bounds the limit.
                let limit = arguments.integer(0).and_then(|limit| u32::try_from(limit).ok()).unwrap_or(70);
                context.process_max_forwards(limit)?;
                Ok(true.into())
            }),
        Function::new("record_route")
            .doc("Stays on the way of the dialog that the request makes: relayed requests get a Record-Route, whose token `loose_route` knows again.")
            .optional("parameters", Kind::String, "URI parameters to add: `;nat=yes`.")
            .optional(
                "caller_is_ours",
                Kind::Boolean,
                "The sender is a user of ours, as its password has shown: what follows in the dialog reaches it by the way that this request came.",
            )
            .routes(Routes::REQUEST | Routes::FAILURE | Routes::BRANCH)
            .plain(|_: &Core, context, arguments| {
                let parameters = arguments.string(0).unwrap_or_default();
                if !parameters.is_empty() && !parameters.starts_with(';') {
                    return Err(Refusal::misuse("parameters begin with a semicolon: \";name=value\""));
                }
                context.record_route(parameters, arguments.boolean(1).unwrap_or(false));
                Ok(true.into())
            }),
        Function::new("loose_route")
            .doc("Routes by the Route header: takes off what names this server, and undoes strict routing. \
                  True says that the request belongs to a dialog that passes here, as the token of `record_route` shows: relay it as it is. \
                  A request to a user of ours then goes the way that the dialog was made by. Of other requests all Routes come off.")
            .optional(
                "sender_is_ours",
                Kind::Boolean,
                "The sender is a user of ours, as its password has shown. Without it a request in a dialog must go to a user of ours, or come from one by the way that the dialog was made by.",
            )
            .result("boolean: true if the request is to be relayed within its dialog; else why not: `no dialog`, `preloaded route`, `not ours`")
            .plain(|_: &Core, context, arguments| match context.loose_route(arguments.boolean(0).unwrap_or(false)) {
                Routed::Dialog => Ok(true.into()),
                Routed::Outside => Err(Refusal::no("no dialog")),
                Routed::Preloaded => Err(Refusal::no("preloaded route")),
                Routed::Foreign => Err(Refusal::no("not ours")),
            }),
        Function::new("is_myself")
            .doc("Tells whether a URI names this server: an address that it listens on, or an alias. `nil`, such as the host of a `tel:` URI, doesn't.")
            .optional("uri", Kind::String, "A URI or a host; without it, the Request-URI.")
            .result("boolean: true if it does")
            .routes(Routes::WITH_REQUEST)
            .plain(|_: &Core, context, arguments| {
                let own = match arguments.string(0) {
                    Some(uri) => context.is_myself(uri),
                    None if arguments.is_given(0) => false,
                    None => context.is_myself(context.request().request_uri()),
                };
                Ok(own.into())
            }),
        Function::new("force_rport")
            .doc("Answers to the address that the request came from, also where the sender did not ask for it (RFC 3581).")
            .plain(|_: &Core, context, _| {
                context.force_rport();
                Ok(true.into())
            }),
    ]
}
