//! CPIM-PIDF: presence information as the last draft before RFC 3863 had it (draft-ietf-impp-cpim-pidf-08). It differs from PIDF in its
//! namespace and its media type only.

use crate::pidf::{Pidf, PidfError};
use crate::xml::{Limits, decode};

pub const CONTENT_TYPE: &str = "application/cpim-pidf+xml";
pub const NAMESPACE: &str = "urn:ietf:params:xml:ns:cpim-pidf";

/// Reads and validates a document.
pub fn parse(text: &[u8], limits: &Limits) -> Result<Pidf, PidfError> {
    of_text(&decode(text, None, limits)?, limits)
}

/// As the function above, for a text that is already [decoded](decode).
pub fn of_text(text: &str, limits: &Limits) -> Result<Pidf, PidfError> {
    Pidf::of_namespace(text, limits, NAMESPACE)
}

/// Appends a whole document.
pub fn write(pidf: &Pidf, out: &mut String) {
    pidf.write_in(out, NAMESPACE);
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<presence xmlns="urn:ietf:params:xml:ns:cpim-pidf" entity="pres:alice@example.com"><tuple id="a"><status><basic>open</basic></status><contact priority="0.5">sip:alice@there</contact></tuple><note>hello</note></presence>
"#;

    #[test]
    fn it_is_read_and_written_as_pidf_in_its_own_namespace() {
        let pidf = parse(DOCUMENT.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(pidf.notes[0].text, "hello");
        let mut out = String::new();
        write(&pidf, &mut out);
        assert_eq!(out, DOCUMENT);
    }

    #[test]
    fn a_pidf_is_none() {
        let pidf = DOCUMENT.replace("cpim-pidf", "pidf");
        assert_eq!(parse(pidf.as_bytes(), &Limits::default()), Err(PidfError::Root));
        assert!(Pidf::parse(DOCUMENT.as_bytes(), &Limits::default()).is_err());
    }
}
