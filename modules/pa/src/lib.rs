//! The presence agent.
pub mod composition;
pub mod document;
pub mod publication;
pub mod rejection;
pub mod settings;
pub mod token;
