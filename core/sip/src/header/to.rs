//! To: for whom it is (RFC 3261 §20.39).

use super::shapes::name_addr_header;

name_addr_header! {
    /// The logical recipient.
    To
}

impl<'a> To<'a> {
    /// The recipient's half of the dialog's identity. Absent in requests outside of dialogs.
    pub fn tag(&self) -> Option<&'a str> {
        self.0.tag()
    }
}
