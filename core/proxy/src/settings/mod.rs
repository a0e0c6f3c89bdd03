//! The server's own settings.

pub mod nearest;
