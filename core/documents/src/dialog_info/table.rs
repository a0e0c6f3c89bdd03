//! The state of a recipient of dialog information (RFC 4235 §4.3).

use super::{Dialog, DialogInfo, DialogState, State};

/// All dialogs that the documents of one subscription have told of.
#[derive(Debug, Clone, Default)]
pub struct Table {
    version: Option<u32>,
    dialogs: Vec<Dialog>,
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
    /// The dialogs that are not over.
    pub fn dialogs(&self) -> &[Dialog] {
        &self.dialogs
    }

    /// Applies a document to the table.
    pub fn apply(&mut self, info: DialogInfo) -> Applied {
        if self.version.is_some_and(|version| info.version <= version) {
            return Applied::Stale;
        }
        let is_next = self.version.is_none_or(|version| version.checked_add(1) == Some(info.version));
        self.version = Some(info.version);
        if info.state == State::Full {
            self.dialogs.clear();
        }
        for dialog in info.dialogs {
            self.dialogs.retain(|known| known.id != dialog.id);
            if dialog.state != DialogState::Terminated {
                self.dialogs.push(dialog);
            }
        }
        if is_next || info.state == State::Full { Applied::Known } else { Applied::Gap }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(version: u32, state: State, dialogs: &[(&str, DialogState)]) -> DialogInfo {
        let dialog =
            |(id, state): &(&str, DialogState)| Dialog { id: (*id).into(), state: *state, ..Dialog::default() };
        DialogInfo { version, state, entity: "sip:a@x".into(), dialogs: dialogs.iter().map(dialog).collect() }
    }

    fn ids(table: &Table) -> Vec<&str> {
        table.dialogs().iter().map(|dialog| &*dialog.id).collect()
    }

    #[test]
    fn a_full_document_replaces_and_a_partial_one_changes() {
        let mut table = Table::default();
        let (early, confirmed, ended) = (DialogState::Early, DialogState::Confirmed, DialogState::Terminated);
        assert_eq!(table.apply(document(0, State::Full, &[("a", early), ("b", early)])), Applied::Known);
        assert_eq!(table.apply(document(1, State::Partial, &[("a", ended), ("c", confirmed)])), Applied::Known);
        assert_eq!(ids(&table), ["b", "c"]);
        assert_eq!(table.apply(document(2, State::Full, &[])), Applied::Known);
        assert!(ids(&table).is_empty());
    }

    #[test]
    fn versions_tell_what_is_lost_and_what_is_late() {
        let mut table = Table::default();
        table.apply(document(4, State::Full, &[]));
        assert_eq!(table.apply(document(4, State::Full, &[("a", DialogState::Early)])), Applied::Stale);
        assert_eq!(table.apply(document(6, State::Partial, &[("a", DialogState::Early)])), Applied::Gap);
        assert_eq!(table.apply(document(9, State::Full, &[("b", DialogState::Early)])), Applied::Known);
        assert_eq!(ids(&table), ["b"]);
    }
}
