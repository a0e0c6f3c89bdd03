//! Typed registries where modules meet: one trait, one file. A module provides a service through its host, others look
//! it up; no module depends on a module.

pub mod accounts;
pub mod bindings;
pub mod presence;
