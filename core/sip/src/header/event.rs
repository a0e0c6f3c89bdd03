//! Event: the event package of a SUBSCRIBE, NOTIFY or PUBLISH (RFC 6665 §8.2.1).

use super::shapes::token_with_params_header;

token_with_params_header! {
    /// What is subscribed to, notified of or published.
    Event,
    /// Such as `presence` or `presence.winfo`; compared with regard to case (RFC 6665 §8.2.1).
    package
}

impl<'a> Event<'a> {
    /// Tells apart several subscriptions in one dialog (RFC 6665 §8.2.1).
    pub fn id(&self) -> Option<&'a str> {
        self.params.value("id")
    }

    /// The package before its first template, and the templates: `presence` and `winfo` of `presence.winfo`.
    pub fn base_and_template(&self) -> (&'a str, Option<&'a str>) {
        match self.package.split_once('.') {
            Some((base, template)) => (base, Some(template)),
            None => (self.package, None),
        }
    }

    /// Whether both name the same subscription within a dialog: the package and the `id` count, nothing else.
    pub fn matches(&self, other: &Event<'_>) -> bool {
        self.package == other.package && self.id() == other.id()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::Header;

    #[test]
    fn package_id_and_template_are_told_apart() {
        let event = Event::parse("presence.winfo;id=a;x=y").unwrap();
        assert_eq!((event.package, event.id()), ("presence.winfo", Some("a")));
        assert_eq!(event.base_and_template(), ("presence", Some("winfo")));
        assert!(Event::parse("presence winfo").is_err());
    }

    #[test]
    fn other_parameters_do_not_make_another_subscription() {
        let parse = |text| Event::parse(text).unwrap();
        assert!(parse("dialog;id=1;call-id=x").matches(&parse("dialog;ID=1")));
        assert!(!parse("dialog;id=1").matches(&parse("dialog;id=2")));
        assert!(!parse("dialog").matches(&parse("dialog;id=1")));
        assert!(!parse("dialog").matches(&parse("presence")));
    }
}
