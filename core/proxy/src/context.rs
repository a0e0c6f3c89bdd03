//! Being built.

/// The message being routed.
#[derive(Clone)]
pub struct Context;
