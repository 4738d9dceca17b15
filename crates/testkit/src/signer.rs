//! Keys that everybody knows.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use alloy_primitives::{Address, B256, Signature, U8, U64, U256};
use async_trait::async_trait;
use countersign_core::{
    raw::RawTransaction,
    transaction::{Authorization, UnsignedTransaction},
};
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
    varies: AtomicBool,
    signatures: AtomicU64,
}

impl FakeSigner {
    /// The n-th key; n is above 0.
    #[must_use]
    pub fn new(n: u64) -> Self {
        let mut secret = [0; 32];
        secret[24..].copy_from_slice(&n.to_be_bytes());
        let key = SigningKey::from_slice(&secret).unwrap();
        let (broken, varies) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { key, broken, varies, signatures: AtomicU64::new(0) }
    }

    /// What the owner of this key signs who uses it elsewhere. Not counted.
    #[must_use]
    pub fn sign_elsewhere(&self, transaction: UnsignedTransaction) -> RawTransaction {
        let signature = self.by_key(transaction.signing_hash());
        RawTransaction::assemble(transaction, signature).unwrap()
    }

    /// An authorisation (EIP-7702) by this key; chain 0 is every chain.
    #[must_use]
    pub fn authorise(&self, chain: u64, delegate: Address, nonce: u64) -> Authorization {
        let mut one = Authorization {
            chain_id: U64::from(chain),
            address: delegate,
            nonce: U64::from(nonce),
            y_parity: U8::ZERO,
            r: U256::ZERO,
            s: U256::ZERO,
        };
        let signature = self.by_key(one.signing_hash());
        one.y_parity = U8::from(u8::from(signature.v()));
        (one.r, one.s) = (signature.r(), signature.s());
        one
    }

    fn by_key(&self, digest: B256) -> Signature {
        self.key.sign_prehash_recoverable(digest.as_slice()).unwrap().into()
    }

    /// Whether it refuses from now on.
    pub fn set_broken(&self, broken: bool) {
        self.broken.store(broken, Ordering::SeqCst);
    }

    /// From now on it does not promise to sign the same twice.
    pub fn set_varying(&self) {
        self.varies.store(true, Ordering::SeqCst);
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
        Ok(self.by_key(authorized.bound().digest()))
    }

    fn is_deterministic(&self) -> bool {
        !self.varies.load(Ordering::SeqCst)
    }
}
