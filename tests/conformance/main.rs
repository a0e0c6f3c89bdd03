//! What the RFCs ask for, one module for each, laid out as the RFC is.

mod rfc4475;
mod rfc5118;
mod torture;
