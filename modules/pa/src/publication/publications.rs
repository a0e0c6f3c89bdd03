//! Published event state and its entity tags (RFC 3903 §6): initial, refresh, modify, remove.

use std::time::Instant;

use super::content::{Asked, Content, Publication, Published};
use crate::rejection::Rejection;
use crate::token::{Token, Tokens};

/// Publications that one presentity can have at a time: one per device that publishes, with room for lost ones.
pub const MAX_PUBLICATIONS: usize = 64;

/// The publications of one presentity, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Publications(Vec<Publication>);

impl Publications {
    /// RFC 3903 §6 step 3, the precondition: the id of the publication that a PUBLISH with this SIP-If-Match is about.
    pub fn matched(&self, if_match: &str) -> Result<u64, Rejection> {
        let tag = if_match.trim();
        if tag.contains(|c: char| c == ',' || c.is_ascii_whitespace()) || tag.is_empty() {
            return Err(Rejection::Malformed("Not A Single Entity Tag".into()));
        }
        self.position(tag).map(|at| self.0[at].id).ok_or(Rejection::UnknownEntityTag)
    }

    /// Step 6 and what follows of a PUBLISH whose body has been read. The precondition is looked at again: another PUBLISH may have come
    /// in between. `limit` is in octets of all publications.
    pub fn publish(
        &mut self,
        if_match: Option<&str>,
        asked: Asked,
        limit: usize,
        now: Instant,
        tokens: &Tokens,
    ) -> Result<Published, Rejection> {
        let Asked { id, expires, content } = asked;
        let matched = if_match.map(|tag| self.position(tag.trim()).ok_or(Rejection::UnknownEntityTag)).transpose()?;
        if let Some(content) = content.as_ref().filter(|_| !expires.is_zero()) {
            self.check_room(content, id, limit)?;
        }
        let entity_tag = tokens.token();
        let mut published =
            Published { id, entity_tag, expires, modified: now, changed: false, content: None, previous: None };
        match (matched, content) {
            (None, None) => return Err(Rejection::NothingPublished),
            (None, Some(_)) if expires.is_zero() => {} // Nothing is to be stored.
            (None, Some(content)) => {
                if self.0.len() >= MAX_PUBLICATIONS {
                    return Err(Rejection::TooMany("publications"));
                }
                self.0.push(Publication {
                    id,
                    entity_tag,
                    expires_at: now + expires,
                    modified: now,
                    content: content.clone(),
                });
                published = Published { changed: true, content: Some(content), ..published };
            }
            (Some(at), _) if expires.is_zero() => {
                published = Published { changed: true, previous: Some(self.0.remove(at)), ..published };
            }
            (Some(at), content) => {
                let publication = &mut self.0[at];
                let modified = if content.is_some() { now } else { publication.modified };
                let content = content.unwrap_or_else(|| publication.content.clone());
                let changed = !content.says_the_same(&publication.content);
                let expires_at = now + expires;
                let next = Publication { id, entity_tag, expires_at, modified, content: content.clone() };
                let previous = Some(std::mem::replace(publication, next));
                published = Published { changed, modified, content: Some(content), previous, ..published };
            }
        }
        Ok(published)
    }

    /// Whether all publications stay within `limit` octets if this one gets this content.
    fn check_room(&self, content: &Content, id: u64, limit: usize) -> Result<(), Rejection> {
        let others = self.0.iter().filter(|publication| publication.id != id);
        let octets: usize = others.map(|publication| publication.content.octets()).sum();
        if octets + content.octets() > limit { Err(Rejection::TooLargeTogether) } else { Ok(()) }
    }

    fn position(&self, entity_tag: &str) -> Option<usize> {
        let entity_tag = Token::parse(entity_tag)?;
        self.0.iter().position(|publication| publication.entity_tag == entity_tag)
    }

    /// Takes back what could not be committed, unless a later PUBLISH has already replaced it.
    pub fn undo(&mut self, published: Published) {
        let current = self.0.iter().position(|publication| publication.id == published.id);
        match (current, published.previous) {
            (Some(at), previous) if self.0[at].entity_tag == published.entity_tag => match previous {
                Some(previous) => self.0[at] = previous,
                None => drop(self.0.remove(at)),
            },
            (None, Some(previous)) if published.expires.is_zero() => self.0.push(previous),
            _ => {}
        }
    }

    /// Restores a publication from the database, if it is within today's limits.
    pub fn restore(&mut self, publication: Publication, limit: usize) -> Result<(), Rejection> {
        if self.0.len() >= MAX_PUBLICATIONS {
            return Err(Rejection::TooMany("publications"));
        }
        self.check_room(&publication.content, publication.id, limit)?;
        self.0.push(publication);
        Ok(())
    }

    /// Drops what has expired and gives the ids.
    pub fn expire(&mut self, now: Instant) -> Vec<u64> {
        self.0.extract_if(.., |publication| publication.expires_at <= now).map(|publication| publication.id).collect()
    }

    /// The one that was published or modified last; a refresh changes nothing.
    pub fn newest(&self) -> Option<&Publication> {
        self.0.iter().max_by_key(|publication| publication.modified)
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        self.0.iter().map(|publication| publication.expires_at).min()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Publication> + Clone {
        self.0.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::composition::Part;
    use crate::publication::Content;

    const HOUR: Duration = Duration::from_secs(3600);

    /// Room for many small ones and few large ones.
    const LIMIT: usize = 16 * 1024;

    struct Bench {
        publications: Publications,
        tokens: Tokens,
        now: Instant,
    }

    impl Bench {
        fn new() -> Self {
            Self { publications: Publications::default(), tokens: Tokens::new([7; 16]), now: Instant::now() }
        }

        fn publish(
            &mut self,
            if_match: Option<&str>,
            expires: Option<u64>,
            contact: Option<&str>,
        ) -> Result<Published, Rejection> {
            let content = contact.map(|uri| Content {
                content_type: "application/pidf+xml".into(),
                body: Bytes::copy_from_slice(uri.as_bytes()),
                part: Part::of_contact(uri, 1000, true),
                dialogs: Box::default(),
                room: None,
            });
            let id = if_match.map(|tag| self.publications.matched(tag)).transpose()?;
            let id = id.unwrap_or_else(|| self.tokens.token().0);
            let expires = expires.map_or(HOUR, Duration::from_secs);
            let asked = Asked { id, expires, content: content.map(Arc::new) };
            self.publications.publish(if_match, asked, LIMIT, self.now, &self.tokens)
        }
    }

    fn tag(published: &Published) -> String {
        published.entity_tag.to_string()
    }

    #[test]
    fn every_success_gives_a_new_entity_tag_and_the_old_one_no_longer_matches() {
        let mut bench = Bench::new();
        let first = bench.publish(None, Some(600), Some("sip:a@1")).unwrap();
        assert!(first.changed);
        assert_eq!(first.expires, Duration::from_secs(600));
        let refreshed = bench.publish(Some(&tag(&first)), None, None).unwrap();
        assert!(!refreshed.changed);
        assert_eq!((refreshed.id, refreshed.expires), (first.id, HOUR));
        assert_ne!(refreshed.entity_tag, first.entity_tag);
        assert_eq!(bench.publish(Some(&tag(&first)), None, None), Err(Rejection::UnknownEntityTag));
        let modified = bench.publish(Some(&tag(&refreshed)), None, Some("sip:a@2")).unwrap();
        assert!(modified.changed);
        assert_eq!(bench.publications.len(), 1);
        let removed = bench.publish(Some(&tag(&modified)), Some(0), None).unwrap();
        assert!(removed.changed && removed.expires.is_zero());
        assert!(bench.publications.is_empty());
    }

    #[test]
    fn a_modification_that_says_the_same_is_no_change() {
        let mut bench = Bench::new();
        let first = bench.publish(None, None, Some("sip:a@1")).unwrap();
        assert!(!bench.publish(Some(&tag(&first)), None, Some("sip:a@1")).unwrap().changed);
    }

    #[test]
    fn requests_that_make_no_sense_are_refused_in_the_order_of_the_rfc() {
        let mut bench = Bench::new();
        assert_eq!(bench.publish(Some("nosuchtag"), Some(1), None), Err(Rejection::UnknownEntityTag));
        assert_eq!(
            bench.publish(Some("a, b"), None, None),
            Err(Rejection::Malformed("Not A Single Entity Tag".into()))
        );
        assert_eq!(bench.publish(None, None, None), Err(Rejection::NothingPublished));
        assert_eq!(bench.publish(None, Some(0), None), Err(Rejection::NothingPublished));
    }

    #[test]
    fn an_initial_publication_that_expires_at_once_stores_nothing() {
        let mut bench = Bench::new();
        assert!(!bench.publish(None, Some(0), Some("sip:a@1")).unwrap().changed);
        assert!(bench.publications.is_empty());
    }

    #[test]
    fn what_could_not_be_committed_is_taken_back() {
        let mut bench = Bench::new();
        let first = bench.publish(None, None, Some("sip:a@1")).unwrap();
        let modified = bench.publish(Some(&tag(&first)), None, Some("sip:a@2")).unwrap();
        bench.publications.undo(modified);
        let removed = bench.publish(Some(&tag(&first)), Some(0), None).unwrap();
        bench.publications.undo(removed);
        bench.publications.undo(first);
        assert!(bench.publications.is_empty());
    }

    #[test]
    fn publications_expire_on_time() {
        let mut bench = Bench::new();
        let first = bench.publish(None, Some(60), Some("sip:a@1")).unwrap();
        let deadline = bench.publications.next_deadline().unwrap();
        assert_eq!(deadline, bench.now + Duration::from_secs(60));
        assert!(bench.publications.expire(deadline - Duration::from_millis(1)).is_empty());
        assert_eq!(bench.publications.expire(deadline), [first.id]);
        bench.now = deadline;
        assert_eq!(bench.publish(Some(&tag(&first)), None, None), Err(Rejection::UnknownEntityTag));
    }

    #[test]
    fn a_presentity_has_a_bounded_number_of_publications() {
        let mut bench = Bench::new();
        for _ in 0..MAX_PUBLICATIONS {
            bench.publish(None, None, Some("sip:a@1")).unwrap();
        }
        assert_eq!(bench.publish(None, None, Some("sip:a@1")), Err(Rejection::TooMany("publications")));
    }

    #[test]
    fn a_presentity_has_a_bounded_number_of_octets_published() {
        let mut bench = Bench::new();
        let long = |length| format!("sip:{}", "a".repeat(length));
        let first = bench.publish(None, None, Some(&long(LIMIT / 4))).unwrap();
        assert_eq!(bench.publish(None, None, Some(&long(LIMIT / 4))), Err(Rejection::TooLargeTogether));
        bench.publish(None, None, Some("sip:b")).unwrap();
        // Existing content can be replaced by the same amount, refreshed and removed.
        let modified = bench.publish(Some(&tag(&first)), None, Some(&long(LIMIT / 4 + 1))).unwrap();
        assert_eq!(bench.publish(Some(&tag(&modified)), None, Some(&long(LIMIT))), Err(Rejection::TooLargeTogether));
        let refreshed = bench.publish(Some(&tag(&modified)), None, None).unwrap();
        bench.publish(Some(&tag(&refreshed)), Some(0), None).unwrap();
        bench.publish(None, None, Some(&long(LIMIT / 4))).unwrap();
    }
}
