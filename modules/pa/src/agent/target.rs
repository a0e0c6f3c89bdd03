//! Whom a request is about.

use crate::packages::PackageId;
use crate::presentity::Domain;

/// Whom a request is about.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    pub package: PackageId,
    pub domain: Domain,
    pub uid: &'a str,
    /// The address of record, for registrations and for the documents' `entity`.
    pub aor: &'a str,
}
