//! The parameters that several commands take.

use std::time::Duration;

use serde_json::Value as Json;
use signalbox::module::CommandError;
use signalbox_sip::uri::Aor;

use crate::agent::Target;
use crate::packages::PackageId;
use crate::presentity::Domain;
use crate::state::PresenceAgent;

/// The presentity that `uid`, `event` and `domain` name.
pub(super) struct Named {
    pub(super) uid: String,
    pub(super) aor: String,
    pub(super) package: PackageId,
    pub(super) domain: Domain,
}

impl Named {
    pub(super) fn of(module: &PresenceAgent, parameters: &Json) -> Result<Self, CommandError> {
        let event = optional(parameters, "event").unwrap_or("presence");
        let packages = module.0.agent.packages();
        let package = packages.find(event).map_err(|_| CommandError::Parameter {
            parameter: "event",
            problem: format!("is none of {}", packages.allow_events()),
        })?;
        let domain = optional(parameters, "domain").unwrap_or("registrar");
        let domain = Domain::parse(domain).ok_or_else(|| CommandError::Parameter {
            parameter: "domain",
            problem: "is \"registrar\" or \"jabber\"".to_owned(),
        })?;
        let uid = required(parameters, "uid")?;
        // An address of record may be written in any way.
        let aor = Aor::parse(uid).filter(|aor| aor.user().is_some()).map(|aor| aor.as_str().to_owned());
        let uid = aor.as_deref().unwrap_or(uid).to_owned();
        let target = Target { package, domain, uid: &uid, aor: &uid };
        let known = module.0.agent.look(&target, |presentity, _| presentity.aor.to_string());
        Ok(Self { aor: known.or(aor).unwrap_or_else(|| uid.clone()), uid, package, domain })
    }

    pub(super) fn target(&self) -> Target<'_> {
        Target { package: self.package, domain: self.domain, uid: &self.uid, aor: &self.aor }
    }
}

pub(super) fn required<'p>(parameters: &'p Json, name: &'static str) -> Result<&'p str, CommandError> {
    let missing = || CommandError::Parameter { parameter: name, problem: "is missing".to_owned() };
    optional(parameters, name).ok_or_else(missing)
}

pub(super) fn optional<'p>(parameters: &'p Json, name: &str) -> Option<&'p str> {
    parameters[name].as_str()
}

/// A whole number, as a number or in digits as the command line has it.
pub(super) fn number(parameters: &Json, name: &'static str) -> Result<Option<u64>, CommandError> {
    let value = &parameters[name];
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    match number {
        None if !value.is_null() => {
            Err(CommandError::Parameter { parameter: name, problem: "is not a number".to_owned() })
        }
        number => Ok(number),
    }
}

pub(super) fn seconds(parameters: &Json, name: &'static str) -> Result<Option<Duration>, CommandError> {
    Ok(number(parameters, name)?.map(Duration::from_secs))
}
