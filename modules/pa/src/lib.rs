//! The presence agent.
pub mod agent;
mod aliases;
pub mod composition;
pub mod document;
pub mod package;
pub mod presentity;
pub mod publication;
pub mod rejection;
pub mod settings;
pub mod shard;
pub mod token;
pub mod watcher;
