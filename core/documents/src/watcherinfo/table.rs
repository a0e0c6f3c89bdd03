//! What a recipient of watcher information knows (RFC 3858 §4).

use super::{State, Status, Watcher, WatcherInfo, WatcherList};

/// All lists that the documents of one subscription have told of.
#[derive(Debug, Clone, Default)]
pub struct Table {
    version: Option<u32>,
    lists: Vec<WatcherList>,
}

/// The result of taking in a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    Known,
    /// Documents before it were lost. The subscription should be refreshed, so that the full state is sent again.
    Gap,
    /// It is older than the known state and was ignored.
    Stale,
}

impl Table {
    /// The lists. Those who are terminated are not in them.
    pub fn lists(&self) -> &[WatcherList] {
        &self.lists
    }

    /// Applies a document to the table.
    pub fn apply(&mut self, info: WatcherInfo) -> Applied {
        let next = self.version.map(|version| version.checked_add(1));
        // The same version again is the same document: "less than" in the clause would have it applied twice.
        if self.version.is_some_and(|version| info.version <= version) {
            return Applied::Stale;
        }
        let is_gap = info.state == State::Partial && next.is_some_and(|next| next != Some(info.version));
        self.version = Some(info.version);
        if info.state == State::Full {
            self.lists.clear();
        }
        for told in info.lists {
            let known =
                self.lists.iter().position(|list| list.resource == told.resource && list.package == told.package);
            let at = known.unwrap_or_else(|| {
                self.lists.push(WatcherList { watchers: Vec::new(), ..told.clone() });
                self.lists.len() - 1
            });
            if let Some(list) = self.lists.get_mut(at) {
                told.watchers.into_iter().for_each(|watcher| update(list, watcher));
            }
        }
        if is_gap { Applied::Gap } else { Applied::Known }
    }
}

fn update(list: &mut WatcherList, watcher: Watcher) {
    let known = list.watchers.iter().position(|known| known.id == watcher.id);
    match (known.and_then(|at| list.watchers.get_mut(at)), watcher.status) {
        (_, Status::Terminated) => list.watchers.retain(|known| known.id != watcher.id),
        (Some(known), _) => *known = watcher,
        (None, _) => list.watchers.push(watcher),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Event;
    use super::*;

    fn watcher(id: &str, status: Status) -> Watcher {
        Watcher {
            uri: format!("sip:{id}@example.com"),
            id: id.to_owned(),
            status,
            event: Event::Subscribe,
            display_name: None,
            lang: None,
            expiration: None,
            duration_subscribed: None,
        }
    }

    fn document(version: u32, state: State, watchers: &[(&str, Status)]) -> WatcherInfo {
        let watchers = watchers.iter().map(|(id, status)| watcher(id, *status)).collect();
        let list = WatcherList { resource: "sip:b@example.com".into(), package: "presence".into(), watchers };
        WatcherInfo { version, state, lists: vec![list] }
    }

    fn ids(table: &Table) -> Vec<(&str, Status)> {
        table.lists().iter().flat_map(|list| &list.watchers).map(|watcher| (&*watcher.id, watcher.status)).collect()
    }

    #[test]
    fn a_full_document_replaces_and_a_partial_one_changes() {
        let mut table = Table::default();
        let first = document(0, State::Full, &[("a", Status::Pending), ("b", Status::Active)]);
        assert_eq!(table.apply(first), Applied::Known);
        let second = document(1, State::Partial, &[("a", Status::Active), ("c", Status::Waiting)]);
        assert_eq!(table.apply(second), Applied::Known);
        assert_eq!(ids(&table), [("a", Status::Active), ("b", Status::Active), ("c", Status::Waiting)]);
        table.apply(document(2, State::Partial, &[("b", Status::Terminated)]));
        assert_eq!(ids(&table), [("a", Status::Active), ("c", Status::Waiting)]);
        table.apply(document(3, State::Full, &[]));
        assert_eq!(ids(&table), []);
    }

    #[test]
    fn versions_tell_what_is_lost_and_what_is_late() {
        let mut table = Table::default();
        table.apply(document(4, State::Full, &[]));
        assert_eq!(table.apply(document(3, State::Full, &[("a", Status::Active)])), Applied::Stale);
        assert_eq!(table.apply(document(4, State::Partial, &[("a", Status::Active)])), Applied::Stale);
        assert_eq!(ids(&table), []);
        assert_eq!(table.apply(document(6, State::Partial, &[("a", Status::Active)])), Applied::Gap);
        assert_eq!(
            table.apply(document(9, State::Full, &[("b", Status::Active)])),
            Applied::Known,
            "nothing is missing"
        );
        assert_eq!(ids(&table), [("b", Status::Active)]);
    }
}
