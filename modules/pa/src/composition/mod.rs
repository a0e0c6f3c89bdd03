//! One document of what many say.
//!
//! | file | what |
//! |---|---|
//! | [`part`] | what one publisher adds, rendered once; joining parts |
//! | [`policy`] | whose word counts |

pub mod part;
pub mod policy;

pub use part::{Part, fingerprint, merged, union};
pub use policy::Composition;
