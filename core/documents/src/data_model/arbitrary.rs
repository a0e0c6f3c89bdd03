//! Any presence document, for property tests.

use std::time::Duration;

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::{Device, Person, Presence, Service};
use crate::caps::{Capability, DeviceCapabilities, Language, Priority, Scheme, ServiceCapabilities, Support};
use crate::cipid::Cipid;
use crate::pidf::{Basic, Contact, Note, Priority as ContactPriority, Timestamp};
use crate::rpid::{Listing, PlaceIs, Rpid, Span, StatusIcon, TimeOffset, UserInput, UserInputState, Value, Word};
use crate::xml::Fragment;

/// A text without white space around it.
pub(crate) fn text() -> impl Strategy<Value = String> {
    "[a-zA-Z<>&\"'éß]([\\PC]{0,8}[a-z<&])?"
}

fn note() -> impl Strategy<Value = Note> {
    (of("[a-z]{2}"), text()).prop_map(|(lang, text)| Note { lang, text })
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    (0..4_000_000_000_i64).prop_map(|at| Timestamp::new(time::OffsetDateTime::from_unix_timestamp(at).unwrap()))
}

fn extension() -> impl Strategy<Value = Fragment> {
    ("[a-z]{1,5}", "[a-z]{0,5}").prop_map(|(name, text)| {
        let text = format!("<x:{name} xmlns:x=\"urn:example:x\" id=\"1\"><x:y>{text}</x:y></x:{name}>");
        Fragment::parse(&text).unwrap()
    })
}

fn span() -> impl Strategy<Value = Span> {
    (of("[a-z]{1,4}"), of(timestamp()), of(timestamp())).prop_map(|(id, from, until)| Span { id, from, until })
}

fn value<W: Word + std::fmt::Debug>() -> BoxedStrategy<Value<W>> {
    prop_oneof![
        4 => select(W::ALL).prop_map(Value::Word),
        1 => note().prop_map(Value::Other),
        1 => extension().prop_map(Value::Extension),
    ]
    .boxed()
}

/// Capabilities have no free text.
fn word<W: Word + std::fmt::Debug>() -> BoxedStrategy<Value<W>> {
    prop_oneof![4 => select(W::ALL).prop_map(Value::Word), 1 => extension().prop_map(Value::Extension)].boxed()
}

fn listing<W: Word + std::fmt::Debug>() -> BoxedStrategy<Listing<W>> {
    let listing = |(span, notes, values)| Listing { span, notes, values };
    (span(), vec(note(), 0..2), vec(value(), 0..4)).prop_map(listing).boxed()
}

/// A sphere has either words or one text, which has no language of its own.
fn sphere() -> impl Strategy<Value = Listing<crate::rpid::Sphere>> {
    let words = select(crate::rpid::Sphere::ALL).prop_map(|word| vec![Value::Word(word)]);
    let values = prop_oneof![words, text().prop_map(|text| vec![Value::Other(Note { lang: None, text })])];
    (span(), values).prop_map(|(span, values)| Listing { span, notes: Vec::new(), values })
}

fn place_is() -> impl Strategy<Value = PlaceIs> {
    let parts = (span(), vec(note(), 0..2), of(value()), of(value()), of(value()), vec(extension(), 0..2));
    parts.prop_map(|(span, notes, audio, video, text, extensions)| PlaceIs {
        span,
        notes,
        audio,
        video,
        text,
        extensions,
    })
}

fn user_input() -> impl Strategy<Value = UserInput> {
    let state = select(vec![UserInputState::Active, UserInputState::Idle]);
    let threshold = of((1..10_000_u64).prop_map(Duration::from_secs));
    (of("[a-z]{1,4}"), state, threshold, of(timestamp()))
        .prop_map(|(id, state, idle_threshold, last_input)| UserInput { id, state, idle_threshold, last_input })
}

prop_compose! {
    fn rpid()(
        (activities, moods, place_types, privacy) in
            (vec(listing(), 0..2), vec(listing(), 0..2), vec(listing(), 0..2), vec(listing(), 0..2)),
        (class, place_is, relationship, service_class) in (of(text()), vec(place_is(), 0..2), of(listing()), of(listing())),
        spheres in vec(sphere(), 0..2),
        icons in vec((span(), text()), 0..2),
        offsets in vec((span(), any::<i32>(), of(text())), 0..2),
        user_input in of(user_input()),
    ) -> Rpid {
        let status_icons = icons.into_iter().map(|(span, uri)| StatusIcon { span, uri }).collect();
        let offset = |(span, minutes, description)| TimeOffset { span, minutes, description };
        let time_offsets = offsets.into_iter().map(offset).collect();
        Rpid {
            activities, class, moods, place_is, place_types, privacy, relationship, service_class, spheres, status_icons,
            time_offsets, user_input,
        }
    }
}

prop_compose! {
    fn cipid()(uris in vec(of(text()), 5), display_names in vec(note(), 0..3)) -> Cipid {
        let mut uris = uris.into_iter();
        let mut next = || uris.next().flatten();
        Cipid { card: next(), display_names, homepage: next(), icon: next(), map: next(), sound: next() }
    }
}

fn support<C: Capability + std::fmt::Debug + 'static>(
    of: impl Strategy<Value = C> + 'static,
) -> BoxedStrategy<Support<C>> {
    let list = vec(of, 0..5);
    list.prop_map(|mut supported| {
        let not_supported = supported.split_off(supported.len() / 2);
        Support { supported, not_supported }
    })
    .boxed()
}

fn priority() -> impl Strategy<Value = Priority> {
    prop_oneof![
        any::<i64>().prop_map(Priority::Equals),
        any::<i64>().prop_map(Priority::HigherThan),
        any::<i64>().prop_map(Priority::LowerThan),
        any::<(i64, i64)>().prop_map(|(least, most)| Priority::Range(least, most)),
        extension().prop_map(Priority::Extension),
    ]
}

prop_compose! {
    fn service_capabilities()(
        flags in any::<[Option<bool>; 9]>(),
        (actor, class, duplex) in (support(word()), support(word()), support(word())),
        (event_packages, sip_extensions, methods) in (support(word()), support(word()), support(word())),
        languages in support(text().prop_map(Language)),
        schemes in support(text().prop_map(Scheme)),
        priority in support(priority()),
        (descriptions, types, extensions) in (vec(note(), 0..3), vec(text(), 0..3), vec(extension(), 0..2)),
    ) -> ServiceCapabilities {
        let [application, audio, automata, control, data, is_focus, message, text, video] = flags;
        ServiceCapabilities {
            actor, application, audio, automata, class, control, data, descriptions, duplex, event_packages, sip_extensions,
            is_focus, message, methods, languages, priority, schemes, text, types, video, extensions,
        }
    }
}

prop_compose! {
    fn device_capabilities()(
        (descriptions, extensions) in (vec(note(), 0..3), vec(extension(), 0..2)),
        mobility in support(word()),
    ) -> DeviceCapabilities {
        DeviceCapabilities { descriptions, mobility, extensions }
    }
}

prop_compose! {
    fn person()(
        (rpid, cipid) in (rpid(), cipid()),
        (extensions, notes, timestamp) in (vec(extension(), 0..2), vec(note(), 0..2), of(timestamp())),
    ) -> Person {
        Person { id: String::new(), rpid, cipid, extensions, notes, timestamp }
    }
}

prop_compose! {
    fn device()(
        (device_id, rpid, capabilities) in (text(), rpid(), of(device_capabilities())),
        (extensions, notes, timestamp) in (vec(extension(), 0..2), vec(note(), 0..2), of(timestamp())),
    ) -> Device {
        Device { id: String::new(), device_id, rpid, capabilities, extensions, notes, timestamp }
    }
}

prop_compose! {
    fn service()(
        (open, contact) in (any::<bool>(), of((text(), of(0..=1000_u16)))),
        (device_ids, rpid, cipid, capabilities) in (vec(text(), 0..2), rpid(), cipid(), of(service_capabilities())),
        (status_extensions, extensions) in (vec(extension(), 0..2), vec(extension(), 0..2)),
        (notes, timestamp) in (vec(note(), 0..2), of(timestamp())),
    ) -> Service {
        let contact = contact.map(|(uri, priority)| Contact { uri, priority: priority.map(ContactPriority::from_thousandths) });
        let basic = Some(if open { Basic::Open } else { Basic::Closed });
        let id = String::new();
        Service { id, basic, contact, device_ids, rpid, cipid, capabilities, status_extensions, extensions, notes, timestamp }
    }
}

prop_compose! {
    /// A document of persons, services and devices with all that the formats have.
    pub(crate) fn presence()(
        entity in text(),
        (mut persons, mut services, mut devices) in (vec(person(), 0..3), vec(service(), 0..3), vec(device(), 0..2)),
        (notes, extensions) in (vec(note(), 0..2), vec(extension(), 0..2)),
    ) -> Presence {
        persons.iter_mut().enumerate().for_each(|(i, person)| person.id = format!("p{i}"));
        services.iter_mut().enumerate().for_each(|(i, service)| service.id = format!("s{i}"));
        devices.iter_mut().enumerate().for_each(|(i, device)| device.id = format!("d{i}"));
        Presence { entity, persons, services, devices, notes, extensions }
    }
}
