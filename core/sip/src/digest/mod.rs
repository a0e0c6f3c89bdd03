//! Digest authentication (RFC 7616 with RFC 8760's rules for SIP, and RFC 2617 and RFC 2069 as older peers speak them).
//!
//! | file | what |
//! |---|---|
//! | [`algorithm`] | the hash functions, their names and their order of strength |
//! | [`ha1`] | H(A1): what an account stores instead of its password |
//! | [`challenge`] | WWW-Authenticate and Proxy-Authenticate values, printed and read |
//! | [`credentials`] | Authorization and Proxy-Authorization values, read, checked and printed |
//! | [`user_hash`] | hashes in place of user names |
//! | [`info`] | Authentication-Info: the server's own proof |
//! | [`answer`] | the client's side: a challenge answered |
//! | [`nonce`] | nonces that need no table: signed, with their time inside |
//! | [`replay`] | the nonce counts seen: the only table, and it is bounded |
//!
//! A server's steps: [`Credentials::parse`], [`Nonces::judge`], [`Credentials::check`] with the account's [`Ha1`], and last
//! [`Nonces::count`], so that nobody without a password can fill the table.

pub mod algorithm;
pub mod answer;
pub mod challenge;
pub mod credentials;
pub mod ha1;
pub mod info;
pub mod nonce;
mod parameters;
pub mod replay;
pub mod user_hash;

pub use algorithm::{Algorithm, Hex};
pub use answer::Answer;
pub use challenge::{Challenge, QopOffer};
pub use credentials::{CheckError, Credentials, Qop, WithoutQop};
pub use ha1::Ha1;
pub use info::AuthenticationInfo;
pub use nonce::{Judgement, Nonce, Nonces, Origin, ValidNonce};
pub use user_hash::user_hash;

/// Why a challenge, credentials or authentication information could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// Another scheme, such as `Basic`, which SIP forbids (RFC 8760 §2.6).
    #[error("the scheme is not Digest")]
    NotDigest,
    /// Not a comma-separated list of `name=value`.
    #[error("malformed authentication parameters")]
    Malformed,
    /// A parameter that the header cannot do without.
    #[error("parameter {0} is missing")]
    Missing(&'static str),
    /// The same parameter twice: no telling which one was meant.
    #[error("parameter {0} is repeated")]
    Repeated(&'static str),
}
