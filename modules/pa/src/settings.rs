//! What `modparam` sets, in the types that the agent works with.

use std::time::Duration;

use signalbox::module::{ModuleError, Parameter};
use signalbox::storage::check_url;
use signalbox_sip::lex;

use crate::agent::quota::{Limits, Quota};
use crate::composition::Composition;
use crate::packages::Authorization;
use crate::publishers::Publishers;
use crate::rejection::Rejection;

/// One hour: no minimum may be longer (RFC 6665 §4.2.1.1).
const HOUR: Duration = Duration::from_secs(3600);

/// Packages that the parameter `events` can name.
const MAX_EVENTS: usize = 64;

/// How long something that a client asks for may live.
#[derive(Debug, Clone)]
pub struct Interval {
    /// For a client that names none.
    pub default: Duration,
    /// Less than this, but not zero, is refused.
    pub minimum: Duration,
    /// More than this is cut down.
    pub maximum: Duration,
}

impl Interval {
    /// The interval for the Expires value of a request.
    pub fn choose(&self, asked: Option<Duration>) -> Result<Duration, Rejection> {
        let asked = asked.unwrap_or(self.default);
        let minimum = self.minimum.min(HOUR).min(self.maximum);
        if asked < minimum && !asked.is_zero() {
            return Err(Rejection::TooBrief { minimum });
        }
        Ok(asked.min(self.maximum))
    }
}

/// The parameters of watchers that are remembered in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfflineWinfo {
    pub expiration: Duration,
    pub cleanup: Duration,
}

/// All parameters of the module.
#[derive(Debug, Clone)]
pub struct Settings {
    pub subscription: Interval,
    pub publication: Interval,
    /// Who may see presence (`auth`).
    pub authorization: Authorization,
    pub composition: Composition,
    /// Who watches is told: the package `presence.winfo`.
    pub watcherinfo_notify: bool,
    /// Who may know who watches (`winfo_auth`).
    pub winfo_authorization: Authorization,
    /// How long somebody who has gone is told of as waiting, where nobody has decided.
    pub winfo_waiting: Duration,
    /// How long `store_winfo` has a watcher remembered, and how often those remembered for longer are removed. None where nobody is.
    pub offline_winfo: Option<OfflineWinfo>,
    /// Further packages (`events`).
    pub events: Vec<Box<str>>,
    /// The senders that may publish for others.
    pub publishers: Publishers,
    /// The senders whose NOTIFY is accepted without a subscription.
    pub notifiers: Publishers,
    /// Other modules may subscribe without SIP.
    pub accept_internal_subscriptions: bool,
    /// Presence follows registrations.
    pub use_callbacks: bool,
    /// How long a contact that is no longer registered is shown closed.
    pub closed_grace: Duration,
    /// A NOTIFY that isn't answered in time leaves the subscription alone.
    pub ignore_notify_timeout: bool,
    /// A NOTIFY that is challenged (401, 407) leaves the subscription alone.
    pub ignore_notify_challenge: bool,
    /// Least time between two NOTIFYs to one watcher about changes.
    pub notify_min_interval: Duration,
    /// The limits of subscriptions and octets per holder.
    pub limits: Limits,
    /// Octets that the publications of one presentity may take.
    pub max_presentity_octets: usize,
    /// Octets that all publications together may take.
    pub max_published_octets: usize,
    /// There is a database that subscriptions and publications are committed to.
    pub durable: bool,
}

/// Seconds.
const YEAR: i64 = 31_536_000;
/// More memory than any machine has.
const OCTETS: i64 = 1 << 40;

/// The rows of the module's parameters.
pub fn parameters() -> Vec<Parameter> {
    let seconds = |name, default| Parameter::duration(name, Duration::from_secs(default)).range(0..=YEAR);
    // Zero would make every request without Expires a fetch or a removal.
    let lasting = |name, default| Parameter::duration(name, Duration::from_secs(default)).range(1..=YEAR);
    vec![
        lasting("default_expires", 3600).doc("How long subscriptions and publications last when the request names no time."),
        seconds("default_publish_expiration", 0)
            .doc("How long publications last when the request names no time. Zero: `default_expires`."),
        lasting("max_subscription_expiration", 3600).doc("A longer subscription is cut to this."),
        lasting("max_publish_expiration", 3600).doc("A longer publication is cut to this."),
        seconds("min_subscription_expiration", 60)
            .doc("A shorter subscription is refused with 423 and Min-Expires. What is an hour or more is never refused."),
        seconds("min_publish_expiration", 60).doc("A shorter publication is refused with 423 and Min-Expires."),
        Parameter::boolean("use_db", true).doc(
            "Whether subscriptions and publications are kept in the database: a 200 then goes out after the commit, and they survive a restart. Needs `db_url`.",
        ),
        Parameter::string("db_url", "").doc("The database: `sqlite:path`, `postgres://…` or `mysql://…`."),
        Parameter::boolean("use_callbacks", true)
            .doc("Whether registrations make presence. Without, only what is published counts."),
        Parameter::choice("auth", "", &["", "none", "implicit", "xcap"]).doc(
            "Who may see presence: `none`: everybody; `implicit`: nobody, all subscriptions are pending; `xcap`: by the rules at `auth_xcap_root` (not read yet: all subscriptions are pending). Unset means `implicit`, with an error in the log.",
        ),
        Parameter::string("auth_xcap_root", "")
            .doc("Where the rules of `auth` `xcap` lie: `http://localhost/xcap-root`. Needed for that."),
        Parameter::boolean("accept_internal_subscriptions", false)
            .doc("Whether other modules may subscribe without SIP, such as a resource-list server or the XMPP gateway."),
        Parameter::string("events", "").doc(
            "Up to 64 further event packages, separated by blanks, such as \"message-summary dialog\". Of `dialog` several publishers' documents are merged (RFC 4235); what is published for others is delivered as it came.",
        ),
        Parameter::list("publishers").doc(
            "Who may PUBLISH for others than itself, up to 256 entries: an event package, and a user of ours, an address or `*` for everybody, such as `message-summary sip:voicemail@example.com` or `dialog 192.0.2.7`. Addresses of UDP can be forged.",
        ),
        Parameter::list("notifiers").doc(
            "Whose NOTIFY is taken as a publication by `handle_notify`, although nobody has asked for it (voicemail servers send such for `message-summary`); entries as in `publishers`.",
        ),
        Parameter::choice("composition", "union", Composition::NAMES).doc(
            "How several publications and registrations make one document: `union`: side by side; `newest`: the newest publication alone; `priority`: the one with the open contact of the highest priority alone.",
        ),
        Parameter::boolean("watcherinfo_notify", true)
            .doc("Whether watchers are told of by the package `presence.winfo`. Without, subscriptions to it are refused with 489."),
        Parameter::choice("winfo_auth", "implicit", &["none", "implicit"]).doc(
            "Who may know who watches: `none`: everybody; `implicit`: the presentity's own user, others are refused with 403.",
        ),
        seconds("winfo_waiting_expiration", 259_200)
            .doc("How long somebody whose subscription ended undecided is told of as waiting."),
        Parameter::boolean("use_offline_winfo", false)
            .doc("Whether `store_winfo` and `dump_stored_winfo` keep watchers in the database. Needs `db_url`."),
        seconds("offline_winfo_expiration", 259_200).doc("How long a watcher is kept for `dump_stored_winfo`."),
        Parameter::duration("offline_winfo_timer", Duration::from_secs(3600)).range(1..=YEAR).doc("How often those that were kept for longer are removed from the database."),
        Parameter::integer("max_presentity_octets", 262_144).range(1024..=OCTETS).doc(
            "Octets that the publications of one presentity may take, each as it came and as it goes into documents. A PUBLISH beyond that is answered 413. As much again is kept for five minutes of its dialogs that are over.",
        ),
        Parameter::integer("max_published_octets", 268_435_456).range(1024..=OCTETS).doc(
            "Octets that all publications together may take. A PUBLISH beyond that is answered 503. The documents that are made of them take as much again for each form that somebody watches.",
        ),
        seconds("closed_grace", 20).doc("How long a contact that is no longer registered is shown as closed."),
        seconds("notify_min_interval", 0).doc("Least time between two NOTIFYs to one watcher about changes. RFC 3856 and RFC 3857 recommend 5 seconds."),
        Parameter::boolean("ignore_408_on_notify", false)
            .doc("Whether a subscription survives a NOTIFY that nobody answers, or that is answered 408."),
        Parameter::boolean("ignore_401_on_notify", true)
            .doc("Whether a subscription survives a NOTIFY that is answered 401 or 407: there are no credentials to answer with."),
    ]
    .into_iter()
    .chain(limiting())
    .collect()
}

impl Settings {
    /// Who may subscribe to packages that `auth` says nothing about: their user in any case.
    pub fn opaque_authorization(&self) -> Authorization {
        match self.authorization {
            Authorization::Everybody => Authorization::Everybody,
            _ => Authorization::OwnerElsePending,
        }
    }

    /// Reads what `modparam` set.
    pub fn read(settings: &signalbox::module::Settings) -> Result<Self, ModuleError> {
        let interval = |default: Duration, minimum, maximum| Interval {
            default: if default.is_zero() { settings.duration("default_expires") } else { default },
            minimum: settings.duration(minimum),
            maximum: settings.duration(maximum),
        };
        let octets = |name| usize::try_from(settings.integer(name)).unwrap_or(usize::MAX);
        for user in ["use_db", "use_offline_winfo"] {
            if settings.boolean(user) && settings.string("db_url").is_empty() {
                let problem = format!(
                    "is not set, but {user} is on; set it, such as to \"sqlite:var/signalbox.db\", or {user} to 0"
                );
                return Err(ModuleError::Parameter { parameter: "db_url", problem });
            }
        }
        if !settings.string("db_url").is_empty() {
            check_url(settings.string("db_url"))
                .map_err(|error| ModuleError::Parameter { parameter: "db_url", problem: error.to_string() })?;
        }
        if settings.string("auth") == "xcap" && settings.string("auth_xcap_root").is_empty() {
            let problem = "is not set, but auth is \"xcap\"; set it, such as to \"http://localhost/xcap-root\"";
            return Err(ModuleError::Parameter { parameter: "auth_xcap_root", problem: problem.to_owned() });
        }
        let authorization = match settings.string("auth") {
            "none" => Authorization::Everybody,
            "implicit" => Authorization::Pending,
            "xcap" => {
                tracing::warn!("rules are not read from auth_xcap_root yet: all subscriptions stay pending");
                Authorization::Pending
            }
            _ => {
                tracing::error!("parameter auth is not set: \"implicit\" is used, all subscriptions stay pending");
                Authorization::Pending
            }
        };
        Ok(Self {
            subscription: interval(Duration::ZERO, "min_subscription_expiration", "max_subscription_expiration"),
            publication: interval(
                settings.duration("default_publish_expiration"),
                "min_publish_expiration",
                "max_publish_expiration",
            ),
            authorization,
            // Invariant: the parameter allows no other name.
            composition: Composition::parse(settings.string("composition")).unwrap_or_default(),
            watcherinfo_notify: settings.boolean("watcherinfo_notify"),
            winfo_authorization: match settings.string("winfo_auth") {
                "none" => Authorization::Everybody,
                _ => Authorization::OwnerOnly,
            },
            winfo_waiting: settings.duration("winfo_waiting_expiration"),
            offline_winfo: settings.boolean("use_offline_winfo").then(|| OfflineWinfo {
                expiration: settings.duration("offline_winfo_expiration"),
                cleanup: settings.duration("offline_winfo_timer"),
            }),
            publishers: named(settings, "publishers")?,
            notifiers: named(settings, "notifiers")?,
            events: events(settings.string("events"))?,
            accept_internal_subscriptions: settings.boolean("accept_internal_subscriptions"),
            use_callbacks: settings.boolean("use_callbacks"),
            closed_grace: settings.duration("closed_grace"),
            ignore_notify_timeout: settings.boolean("ignore_408_on_notify"),
            ignore_notify_challenge: settings.boolean("ignore_401_on_notify"),
            notify_min_interval: settings.duration("notify_min_interval"),
            limits: limits(settings),
            max_presentity_octets: octets("max_presentity_octets"),
            max_published_octets: octets("max_published_octets"),
            durable: settings.boolean("use_db"),
        })
    }
}

/// Reads the entries of this parameter. Each must name a package that is served.
fn named(settings: &signalbox::module::Settings, parameter: &'static str) -> Result<Publishers, ModuleError> {
    let wrong = |problem| ModuleError::Parameter { parameter, problem };
    let named = Publishers::parse(settings.list(parameter)).map_err(wrong)?;
    let events = events(settings.string("events"))?;
    let unknown = named.packages().find(|name| *name != "presence" && !events.iter().any(|event| **event == **name));
    match unknown {
        Some(name) => Err(wrong(format!("names the event package \"{name}\", which is not among those of events"))),
        None => Ok(named),
    }
}

/// The parameters that limit kept state.
fn limiting() -> [Parameter; 7] {
    let count = |name, default| Parameter::integer(name, default).range(0..=i64::from(u32::MAX));
    [
        count("max_subscriptions_per_source", 10_000).doc("Subscriptions of watchers that no script has authenticated, for one IP address (an IPv6 network of 64 bits); over it they are refused with 403. 0 for no limit."),
        count("max_octets_per_source", 16 << 20).doc("The same in octets: the texts that are kept, and 1024 for each subscription."),
        count("max_subscriptions_per_watcher", 2_000).doc("Subscriptions of one watcher, the address of record in From; over it they are refused with 403. 0 for no limit."),
        count("max_octets_per_watcher", 4 << 20).doc("The same in octets."),
        count("max_subscriptions_per_presentity", 100_000).doc("Subscriptions to one presentity, whatever the package; over it they are refused with 403. 0 for no limit."),
        count("max_octets_per_presentity", 256 << 20).doc("The same in octets."),
        count("max_unauthenticated_octets", 256 << 20).doc("Octets of all subscriptions together whose watchers no script has authenticated; over it they are refused with 503. 0 for no limit."),
    ]
}

fn limits(settings: &signalbox::module::Settings) -> Limits {
    let octets = |name| u64::try_from(settings.integer(name)).unwrap_or(0);
    let quota = |subscriptions, of| Quota {
        subscriptions: u32::try_from(settings.integer(subscriptions)).unwrap_or(u32::MAX),
        octets: octets(of),
    };
    Limits {
        source: quota("max_subscriptions_per_source", "max_octets_per_source"),
        watcher: quota("max_subscriptions_per_watcher", "max_octets_per_watcher"),
        presentity: quota("max_subscriptions_per_presentity", "max_octets_per_presentity"),
        strangers: octets("max_unauthenticated_octets"),
    }
}

/// The names in `events`, each once.
fn events(list: &str) -> Result<Vec<Box<str>>, ModuleError> {
    let wrong = |problem: String| ModuleError::Parameter { parameter: "events", problem };
    let mut names: Vec<Box<str>> = Vec::new();
    for name in list.split([' ', ',']).filter(|name| !name.is_empty()) {
        if !name.split('.').all(lex::is_token) {
            return Err(wrong(format!("\"{name}\" is no name of an event package")));
        }
        if !names.iter().any(|known| **known == *name) {
            names.push(name.into());
        }
    }
    match names.len() {
        ..=MAX_EVENTS => Ok(names),
        many => Err(wrong(format!("names {many} event packages; {MAX_EVENTS} are possible"))),
    }
}

#[cfg(test)]
impl Default for Settings {
    fn default() -> Self {
        let interval = Interval { default: HOUR, minimum: Duration::from_secs(60), maximum: HOUR };
        Self {
            subscription: interval.clone(),
            publication: interval,
            authorization: Authorization::Pending,
            composition: Composition::Union,
            watcherinfo_notify: true,
            winfo_authorization: Authorization::OwnerOnly,
            winfo_waiting: 72 * HOUR,
            offline_winfo: None,
            events: Vec::new(),
            publishers: Publishers::default(),
            notifiers: Publishers::default(),
            accept_internal_subscriptions: false,
            use_callbacks: true,
            closed_grace: Duration::from_secs(20),
            ignore_notify_timeout: false,
            ignore_notify_challenge: true,
            notify_min_interval: Duration::ZERO,
            limits: Limits::default(),
            max_presentity_octets: 262_144,
            max_published_octets: 268_435_456,
            durable: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_cut_down_refused_or_taken_by_default() {
        let interval = Interval { default: 100 * SECOND, minimum: 10 * SECOND, maximum: 200 * SECOND };
        assert_eq!(interval.choose(None), Ok(100 * SECOND));
        assert_eq!(interval.choose(Some(300 * SECOND)), Ok(200 * SECOND));
        assert_eq!(interval.choose(Some(10 * SECOND)), Ok(10 * SECOND));
        assert_eq!(interval.choose(Some(9 * SECOND)), Err(Rejection::TooBrief { minimum: 10 * SECOND }));
        assert_eq!(interval.choose(Some(Duration::ZERO)), Ok(Duration::ZERO));
    }

    #[test]
    fn a_default_above_the_maximum_and_a_minimum_above_an_hour_do_no_harm() {
        let interval = Interval { default: 9 * HOUR, minimum: 2 * HOUR, maximum: 3 * HOUR };
        assert_eq!(interval.choose(None), Ok(3 * HOUR));
        assert_eq!(interval.choose(Some(HOUR)), Ok(HOUR));
    }

    #[test]
    fn more_event_packages_than_are_possible_are_an_error() {
        let names = |count: usize| (0..count).map(|n| format!("package-{n}")).collect::<Vec<_>>().join(" ");
        assert_eq!(events(&names(64)).unwrap().len(), 64);
        assert_eq!(
            events(&format!("{}, package-1", names(64))).unwrap().len(),
            64,
            "a name that comes again is no other"
        );
        let error = events(&names(65)).unwrap_err().to_string();
        assert!(error.contains("events") && error.contains("names 65 event packages; 64 are possible"), "{error}");
    }

    const SECOND: Duration = Duration::from_secs(1);
}
