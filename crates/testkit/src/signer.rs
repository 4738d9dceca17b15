//! Keys that everybody knows.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use alloy_primitives::{Address, Signature};
use async_trait::async_trait;
use countersign_engine::{
    port::{Signer, signer::SignerError},
    stage::Authorized,
};
use k256::ecdsa::SigningKey;

/// A deterministic key from a number. It counts its signatures, and it can be told to fail.
#[derive(Debug)]
pub struct FakeSigner {
    key: SigningKey,
    broken: AtomicBool,
    signatures: AtomicU64,
}

impl FakeSigner {
    /// The n-th key; n is above 0.
    #[must_use]
    pub fn new(n: u64) -> Self {
        let mut secret = [0; 32];
        secret[24..].copy_from_slice(&n.to_be_bytes());
        let key = SigningKey::from_slice(&secret).unwrap();
        Self { key, broken: AtomicBool::new(false), signatures: AtomicU64::new(0) }
    }

    /// Whether it refuses from now on.
    pub fn set_broken(&self, broken: bool) {
        self.broken.store(broken, Ordering::SeqCst);
    }

    /// How many signatures it made.
    #[must_use]
    pub fn signatures(&self) -> u64 {
        self.signatures.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Signer for FakeSigner {
    fn address(&self) -> Address {
        Address::from_private_key(&self.key)
    }

    async fn sign(&self, authorized: &Authorized) -> Result<Signature, SignerError> {
        if self.broken.load(Ordering::SeqCst) {
            let (address, reason) = (self.address(), "the test says so".into());
            return Err(SignerError::Unavailable { address, reason });
        }
        self.signatures.fetch_add(1, Ordering::SeqCst);
        let hash = authorized.bound().digest();
        Ok(self.key.sign_prehash_recoverable(hash.as_slice()).unwrap().into())
    }

    fn is_deterministic(&self) -> bool {
        true
    }
}
