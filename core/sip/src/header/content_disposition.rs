//! Content-Disposition: what the body is for (RFC 3261 §20.11).

use super::shapes::token_with_params_header;

token_with_params_header! {
    /// What to do with a body, and whether that is a must.
    ContentDisposition,
    /// Such as `session`, `render`, `icon` or `alert`.
    kind
}

impl ContentDisposition<'_> {
    /// Whether a recipient that does not understand it may ignore the body: `handling=optional`. Required otherwise.
    pub fn is_optional(&self) -> bool {
        self.params.value("handling").is_some_and(|handling| handling.eq_ignore_ascii_case("optional"))
    }
}
