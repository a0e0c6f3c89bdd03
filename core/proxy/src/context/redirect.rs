//! Following redirections (RFC 3261 §16.7 step 4, §8.1.3.4).

use signalbox_sip::header::{Contact, Header, HeaderName};

use super::{Context, Target};
use crate::error::Error;
use crate::forward;

impl Context {
    /// In a failure route: adds the contacts of the best response, where that is a redirection, to the targets by their q, and tells how many
    /// there were. Once they are relayed to, they are no answer for the sender any more.
    pub fn append_redirects(&self) -> Result<usize, Error> {
        let result = self.try_append_redirects();
        self.note(result)
    }

    fn try_append_redirects(&self) -> Result<usize, Error> {
        let Some(response) = self.response().filter(|response| (300..400).contains(&response.status())) else {
            return Ok(0);
        };
        let (mut count, mut left) = (0, Vec::new());
        for value in response.items(HeaderName::Contact) {
            match Contact::parse(value).ok().and_then(|contact| target(&contact)) {
                Some(target) => {
                    self.targets().add(target)?;
                    count += 1;
                }
                None => left.push(value.to_owned()),
            }
        }
        if count > 0 {
            self.routing().state.borrow_mut().redirected = Some(left);
        }
        Ok(count)
    }
}

/// A contact as a target; `None` for what cannot be routed here, such as a web page.
fn target(contact: &Contact<'_>) -> Option<Target> {
    forward::next_hop_of(contact.0.uri).ok()?;
    let mut target = Target::new(contact.0.uri);
    target.q = contact.q().unwrap_or(target.q);
    Some(target)
}
