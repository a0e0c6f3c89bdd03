//! `save`: a REGISTER from reading it to answering it (RFC 3261 §10.3).

use std::cell::RefCell;
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use signalbox::context::{Context, Reply, unsupported_tags};
use signalbox::module::{Arguments, Outcome, Refusal, Value};
use signalbox_sip::header::{Date, HeaderName, qvalue};
use signalbox_sip::lex;
use signalbox_sip::message::Message;
use signalbox_sip::method::Method;
use signalbox_sip::uri::Aor;

use crate::binding::Record;
use crate::registrar::{Pending, Registrar, State};
use crate::registration::{Registration, address_of_record};
use crate::rejection::Rejection;
use crate::tables::Table;

/// Option tags that a REGISTER may require.
const SUPPORTED: [&str; 1] = ["path"];

/// The script function. It answers the request in any case: 200 with all bindings, what [`Rejection`] says, or 482.
pub(crate) async fn save(registrar: Arc<Registrar>, context: Context, arguments: Arguments) -> Outcome {
    let state = &registrar.0;
    if *context.request().method() != Method::Register {
        return Err(Refusal::misuse("save is for REGISTER requests"));
    }
    // "A registrar handles requests according to Section 8.2", and so of a request that came by several ways one (§8.2.2.2).
    if let Err(error) = context.check_merged() {
        state.counters.rejected.increment();
        context.reply_error()?;
        return Err(error.into());
    }
    let saved = async {
        let table = state.tables.make(arguments.required(0)).ok_or(Rejection::TooManyTables)?;
        let (aor, mut pending) = begin(state, &table, &context)?;
        state.settle(&table, aor.as_str(), &mut pending).await?;
        Ok::<_, Rejection>(pending)
    };
    match saved.await {
        Ok(pending) => {
            state.counters.accepted.increment();
            accept(state, &context, &pending)?;
            Ok(Value::Boolean(true))
        }
        Err(rejection) => {
            state.counters.rejected.increment();
            reject(&context, &rejection)?;
            Err(Refusal::no(rejection.to_string()))
        }
    }
}

/// Everything up to waiting for the commit.
fn begin(state: &State, table: &Table, context: &Context) -> Result<(Aor, Pending), Rejection> {
    let request = context.request();
    check_require(&request)?;
    let (aor, of_domain) = address_of_record(&request)?;
    // §10.3 step 5: the address of record must be valid for the domain in the Request-URI.
    if !of_domain && !context.is_myself(aor.as_str()) {
        return Err(Rejection::OtherDomain);
    }
    let registration = Registration::read(&request, context.source(), &state.lifetimes)?;
    let pending = state.register(table, aor.as_str(), &registration, context.now())?;
    Ok((aor, pending))
}

/// §10.3 step 2, §8.2.2.3.
fn check_require(request: &Message) -> Result<(), Rejection> {
    let unsupported = unsupported_tags(request, HeaderName::Require, &SUPPORTED);
    if unsupported.is_empty() { Ok(()) } else { Err(Rejection::BadExtension(unsupported)) }
}

fn accept(state: &State, context: &Context, pending: &Pending) -> Result<(), signalbox::error::Error> {
    let now = context.now();
    // A REGISTER that comes again, with an equal CSeq, changes nothing and gets the bindings again.
    let mut reply = Reply::new(200).repeatable();
    if !pending.records.is_empty() {
        reply = reply.header(HeaderName::Contact, contacts(&pending.records, now));
    }
    {
        let request = context.request();
        // RFC 3327 §5.3: the Path that was stored goes back to a user agent that understands it.
        if request.has(HeaderName::Path) && supports_path(&request) {
            for path in request.values(HeaderName::Path) {
                reply = reply.header(HeaderName::Path, path.to_owned());
            }
        }
    }
    reply = reply.header(HeaderName::Date, date(state.clock.unix(now)));
    context.send_reply(&reply)
}

fn reject(context: &Context, rejection: &Rejection) -> Result<(), signalbox::error::Error> {
    let (status, reason) = rejection.status();
    let mut reply = Reply::new(status).reason(reason);
    if let Some((name, value)) = rejection.header() {
        reply = reply.header(name, value);
    }
    context.send_reply(&reply)
}

fn supports_path(request: &Message) -> bool {
    let mut tags = request.items(HeaderName::Supported).chain(request.items(HeaderName::Require));
    tags.any(|tag| tag.eq_ignore_ascii_case("path"))
}

/// §10.3 step 8: all current bindings, each with its expiry.
fn contacts(records: &[Arc<Record>], now: Instant) -> String {
    let mut text = String::with_capacity(records.len() * 64);
    for record in records {
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push('<');
        text.push_str(record.contact());
        text.push_str(">;expires=");
        let left = record.expires_at.saturating_duration_since(now) + Duration::from_millis(500);
        lex::push_decimal(&mut text, u32::try_from(left.as_secs()).unwrap_or(u32::MAX));
        if record.q != qvalue::MOST {
            text.push_str(";q=");
            let _ = qvalue::write(record.q, &mut text);
        }
        if !record.instance().is_empty() {
            let _ = write!(text, ";+sip.instance=\"<{}>\"", record.instance());
        }
        if let Some(reg_id) = record.reg_id {
            let _ = write!(text, ";reg-id={reg_id}");
        }
    }
    text
}

/// The value of a Date header. Printed once a second on each thread.
fn date(now: SystemTime) -> String {
    thread_local! {
        static PRINTED: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
    }
    let second = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    PRINTED.with_borrow_mut(|(printed, text)| {
        if *printed != second || text.is_empty() {
            *printed = second;
            *text = Date(now).to_string();
        }
        text.clone()
    })
}
