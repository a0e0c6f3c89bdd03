//! The hook of packages that tell of the subscriptions of another one: see [`crate::packages::observer`].

use std::time::Instant;

use signalbox_sip::dialog::subscription::State;

use super::effects::Effects;
use super::rules::Rules;
use super::shard::{KeyRef, Shard};
use crate::packages::{Cause, Change, PackageId};
use crate::presentity::Presentity;
use crate::subscription::{Status, Subscription, Watcher};
use crate::token::Token;

impl<W: Watcher> Shard<W> {
    /// Shows what happened to the subscription at this place to the package that observes its own, if one does.
    pub(super) fn show_change(&mut self, at: u32, rules: &Rules, now: Instant, effects: &mut Effects<W>) {
        let Some(subscription) = self.subscriptions.get_mut(at as usize) else {
            return;
        };
        let Some(presentity) = self.presentities.get(subscription.presentity as usize) else {
            return;
        };
        let Some(observer) = rules.packages.observer_of(presentity.key.package) else {
            return;
        };
        if let Some((cause, state)) = subscription.take_change() {
            self.show(at, (observer, cause, state), rules, now, effects);
        }
    }

    /// Shows a subscription that the database brought back. It is no news to those who watch the watchers.
    pub(super) fn show_restored(&mut self, id: Token, rules: &Rules, now: Instant) {
        let subscription = self.place_of(id).and_then(|at| self.subscriptions.get_mut(at as usize));
        let Some((cause, state)) = subscription.and_then(Subscription::take_change) else {
            return;
        };
        let Some(subscription) = self.subscription_at(id) else {
            return;
        };
        let watched = self.presentities.get(subscription.presentity as usize).map(|presentity| &presentity.key);
        let observing = watched.and_then(|watched| {
            let package = rules.packages.observer_of(watched.package)?;
            self.find(KeyRef { package, domain: watched.domain, uid: &watched.uid })
        });
        let (subscriptions, at) = (&self.subscriptions, self.place_of(id));
        let observer = observing.and_then(|at| self.presentities.get_mut(at as usize)?.observer());
        if let (Some(observer), Some(subscription)) = (observer, at.and_then(|at| subscriptions.get(at as usize))) {
            observer.observe(&change(subscription, cause, state), now);
        }
    }

    /// Shows that a subscription was refreshed.
    pub(super) fn show_refresh(&mut self, id: Token, rules: &Rules, now: Instant, effects: &mut Effects<W>) {
        let Some((at, subscription)) =
            self.place_of(id).and_then(|at| Some((at, self.subscriptions.get(at as usize)?)))
        else {
            return;
        };
        if subscription.state().is_terminated() {
            return;
        }
        let package = self.presentities.get(subscription.presentity as usize).map(|presentity| presentity.key.package);
        if let Some(observer) = package.and_then(|package| rules.packages.observer_of(package)) {
            self.show(at, (observer, Cause::Refresh, subscription.state()), rules, now, effects);
        }
    }

    fn show(
        &mut self,
        at: u32,
        (package, cause, state): (PackageId, Cause, State),
        rules: &Rules,
        now: Instant,
        effects: &mut Effects<W>,
    ) {
        let Some(subscription) = self.subscriptions.get(at as usize) else {
            return;
        };
        let Some(watched) = self.presentities.get(subscription.presentity as usize) else {
            return;
        };
        let key = KeyRef { package, domain: watched.key.domain, uid: &watched.key.uid };
        let observing = match self.find(key) {
            Some(observing) => observing,
            // RFC 3857 §4.7.1: "waiting": nobody has decided, and the user may still want to.
            None if state.is_terminated() && subscription.status() == Status::Pending && cause != Cause::Rejected => {
                let (uid, aor, domain) = (watched.key.uid.clone(), watched.aor.clone(), watched.key.domain);
                let key = KeyRef { package, domain, uid: &uid };
                self.find_or_add(key, |key| {
                    let mut presentity = Presentity::new(key, &aor);
                    presentity.teller = rules.packages.package(package).teller();
                    presentity
                })
            }
            None => return,
        };
        let subscriptions = &self.subscriptions;
        let observer = self.presentities.get_mut(observing as usize).and_then(Presentity::observer);
        let (Some(observer), Some(subscription)) = (observer, subscriptions.get(at as usize)) else {
            return;
        };
        if observer.observe(&change(subscription, cause, state), now) {
            self.tell_watchers(observing, rules, now, effects);
        }
        self.schedule_presentity(observing, now);
        self.remove_if_idle(observing);
    }

    /// Gives a new presentity its teller, if its package has one. An observer is shown all existing subscriptions.
    pub(super) fn add_teller(&mut self, at: u32, rules: &Rules, now: Instant) {
        let Some(presentity) = self.presentities.get(at as usize) else {
            return;
        };
        let package = presentity.key.package;
        let Some(mut teller) = rules.packages.package(package).teller() else {
            return;
        };
        if let (Some(observer), Some(package)) = (teller.observer(), rules.packages.observed_by(package)) {
            let key = KeyRef { package, domain: presentity.key.domain, uid: &presentity.key.uid };
            let watched = self.find(key).and_then(|watched| self.presentities.get(watched as usize));
            for subscription in watched.into_iter().flat_map(|watched| self.watchers_of(watched)) {
                if subscription.is_answered() && !subscription.state().is_terminated() {
                    let state = subscription.state();
                    observer.observe(&change(subscription, Cause::of(None, state), state), now);
                }
            }
        }
        if let Some(presentity) = self.presentity(at) {
            presentity.teller = Some(teller);
        }
    }
}

fn change<W: Watcher>(subscription: &Subscription<W>, cause: Cause, state: State) -> Change<'_> {
    Change {
        id: subscription.id,
        watcher: subscription.way.uri(),
        display_name: subscription.way.display_name(),
        state,
        status: subscription.status(),
        charge: subscription.charge.clone(),
        cause,
        since: subscription.since,
        expires: subscription.expires_at(),
    }
}
