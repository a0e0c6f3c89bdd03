//! `handle_publish`: a PUBLISH from reading it to the NOTIFYs that follow (RFC 3903 §6).

use std::sync::Arc;

use bytes::Bytes;
use signalbox::context::{Context, Reply};
use signalbox::module::{Arguments, Outcome, Refusal, Value};
use signalbox_sip::header::HeaderName;
use signalbox_sip::message::{Message, readable};
use signalbox_sip::method::Method;

use super::request::{self, About};
use super::stored;
use crate::agent::{AcceptedPublish, Target};
use crate::packages::EventPackage;
use crate::presentity::Domain;
use crate::publication::{Content, MAX_BODY, Publish};
use crate::rejection::Rejection;
use crate::state::{PresenceAgent, State};

/// The script function. It answers the request in any case.
pub(crate) async fn handle_publish(module: Arc<PresenceAgent>, context: Context, arguments: Arguments) -> Outcome {
    let state = &module.0;
    let domain = request::domain(arguments.required(0))?;
    if *context.request().method() != Method::Publish {
        return Err(Refusal::misuse("handle_publish is for PUBLISH requests"));
    }
    // Without a transaction a repeated PUBLISH would make a second publication.
    if !context.has_transaction() {
        context.new_transaction()?;
    }
    state.counters.publishes.increment();
    request::refuse_merged(&context)?;
    match publish(state, &context, domain).await {
        Ok(()) => Ok(Value::Boolean(true)),
        Err(rejection) => {
            request::reject(state, &context, &rejection)?;
            Err(Refusal::no(rejection.to_string()))
        }
    }
}

async fn publish(state: &Arc<State>, context: &Context, domain: Domain) -> Result<(), Rejection> {
    let about = About::of(context)?;
    let (target, accepted) = begin(state, context, domain, &about)?;
    let (entity_tag, expires) = (accepted.published.entity_tag, accepted.published.expires);
    let mut settling = state.store_publication(&target, accepted);
    if let Err(error) = settling.committed().await {
        tracing::warn!(%error, "a publication could not be stored");
        settling.settle(false);
        return Err(Rejection::Storage);
    }
    let reply = Reply::new(200)
        .header(HeaderName::SipEtag, entity_tag.to_string())
        .header(HeaderName::Expires, expires.as_secs().to_string());
    if let Err(error) = context.send_reply(&reply) {
        tracing::info!(%error, "a PUBLISH could not be answered");
    }
    settling.settle(true);
    Ok(())
}

/// Everything up to waiting for the commit.
fn begin<'a>(
    state: &State,
    context: &Context,
    domain: Domain,
    about: &'a About,
) -> Result<(Target<'a>, AcceptedPublish), Rejection> {
    let request = &*context.request();
    request::check_require(request)?;
    let packages = state.agent.packages();
    // RFC 3903 §6 step 2: the same as of a package that is not known.
    let event = request::event(request, || Rejection::BadEvent { allowed: packages.allow_events() })?;
    let package_id = packages.find_published(event.package)?;
    let package = packages.package(package_id);
    request::check_publisher(state, context, event.package, about)?;
    let content_type = request.value(HeaderName::ContentType).unwrap_or_default();
    stored::check_publication(about.aor.as_str(), content_type)?;
    let target = Target { package: package_id, domain, uid: &about.uid, aor: about.aor.as_str() };
    let asked = Publish { if_match: request.value(HeaderName::SipIfMatch), expires: request::expires(request)? };
    let accepted = state.agent.publish(&target, asked, context.now(), |id| content(request, package, id))?;
    Ok((target, accepted))
}

/// The body of a PUBLISH, read and rendered for the publisher of this id.
pub(super) fn content(request: &Message, package: &dyn EventPackage, id: u64) -> Result<Option<Content>, Rejection> {
    let body = request.body();
    if body.is_empty() {
        return Ok(None);
    }
    if body.len() > MAX_BODY {
        return Err(Rejection::TooLarge);
    }
    let encoded = request.items(HeaderName::ContentEncoding).any(|encoding| !encoding.eq_ignore_ascii_case("identity"));
    if encoded {
        return Err(Rejection::UnsupportedEncoding);
    }
    let content_type = &*readable(request.value(HeaderName::ContentType).unwrap_or_default());
    package.terms().check_published(content_type)?;
    // A copy of its own size: the request's buffer would be kept whole.
    package.read(content_type, Bytes::copy_from_slice(body), id).map(Some)
}
