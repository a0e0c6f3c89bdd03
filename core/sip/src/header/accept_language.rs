//! Accept-Language: a language for reasons, warnings and bodies, one of a list (RFC 3261 §20.3).

use super::qvalue::{self, MOST};
use super::shapes::token_with_params_header;

token_with_params_header! {
    /// A language range and how welcome it is.
    AcceptLanguage,
    /// Such as `en`, `en-GB` or `*`.
    range
}

impl AcceptLanguage<'_> {
    /// The preference in thousandths; 1000 where it is not said.
    pub fn q(&self) -> u16 {
        self.params.value("q").and_then(qvalue::parse).unwrap_or(MOST)
    }
}
