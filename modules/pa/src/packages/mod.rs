//! Event packages: what can be subscribed to and published.

pub mod registry;

pub use registry::{EventPackage, PRESENCE, PackageId, Packages, StateSource};
