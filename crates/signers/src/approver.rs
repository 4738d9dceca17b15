//! An operator's own key, on an operator's machine: it signs approvals and nothing else.

use std::{fmt, path::Path};

use alloy_primitives::{Address, Bytes};
use countersign_core::approval::typed::TypedApproval;
use countersign_engine::port::signer::SignerError;
use secrecy::SecretString;

use crate::keystore::{KeystoreError, KeystoreSigner};

/// The key of an approver. No gateway holds one: what it could sign by itself would prove nothing.
pub struct ApproverKey(KeystoreSigner);

impl ApproverKey {
    /// Unlocks a keystore, as [`KeystoreSigner::open`] does.
    pub fn open(keystore: &Path, password: &SecretString) -> Result<Self, KeystoreError> {
        KeystoreSigner::open(keystore, password).map(Self)
    }

    /// Whose approvals it signs.
    #[must_use]
    pub fn address(&self) -> Address {
        countersign_engine::port::Signer::address(&self.0)
    }

    /// Signs an approval: 65 bytes, r ‖ s ‖ v with v 27 or 28.
    pub fn sign(&self, approval: &TypedApproval<'_>) -> Result<Bytes, SignerError> {
        let signature = self.0.countersign(approval.signing_hash())?;
        Ok(Bytes::from(signature.as_bytes().to_vec()))
    }
}

impl fmt::Debug for ApproverKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApproverKey({})", self.address())
    }
}
