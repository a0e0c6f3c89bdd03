//! Presentities: whom somebody watches, or publishes about.
//!
//! | file | what |
//! |---|---|
//! | [`key`] | what a presentity is found by |
//! | [`state`] | who publishes about it, where it is registered, who watches it |

pub mod key;
pub mod state;

pub use key::{Domain, Key};
pub use state::{Presentity, entity};
