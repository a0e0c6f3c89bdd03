//! Accept-Encoding: a coding that is understood, one of a list (RFC 3261 §20.2).

use super::qvalue::{self, MOST};
use super::shapes::token_with_params_header;

token_with_params_header! {
    /// A coding and how welcome it is.
    AcceptEncoding,
    /// Such as `gzip`, `identity` or `*`.
    coding
}

impl AcceptEncoding<'_> {
    /// The preference in thousandths; 1000 where it is not said.
    pub fn q(&self) -> u16 {
        self.params.value("q").and_then(qvalue::parse).unwrap_or(MOST)
    }
}
