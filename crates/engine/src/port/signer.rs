//! The key, behind its only door.

use std::fmt;

use alloy_primitives::{Address, Signature};
use async_trait::async_trait;

use crate::stage::Authorized;

/// A key that signs what is authorised and nothing else. There is no method that takes a digest.
#[async_trait]
pub trait Signer: fmt::Debug + Send + Sync {
    /// The address of the key.
    fn address(&self) -> Address;

    /// Signs the digest of what is bound ([`crate::stage::Bound::digest`]). The same input gives the same signature
    /// (RFC 6979) or says so by [`Signer::is_deterministic`]. The caller checks the signature
    /// against [`Signer::address`]; the signer is not trusted with that.
    async fn sign(&self, authorized: &Authorized) -> Result<Signature, SignerError>;

    /// Whether signing again gives the same bytes.
    fn is_deterministic(&self) -> bool;
}

/// Why there is no signature. Nothing was signed in any of these cases.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignerError {
    /// The key cannot be used now.
    #[error("the key of {address} is not available: {reason}")]
    Unavailable {
        /// Whose key.
        address: Address,
        /// What went wrong, for operators; never key material.
        reason: String,
    },
}
