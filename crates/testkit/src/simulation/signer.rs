//! A key that the oracle watches.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use alloy_primitives::{Address, Signature};
use async_trait::async_trait;
use countersign_engine::{
    port::{Signer, signer::SignerError},
    stage::{Authorized, Bound},
};
use k256::{
    FieldBytes,
    ecdsa::{RecoveryId, SigningKey, hazmat::SignPrimitive},
};

use super::{executor::Executor, world::World};
use crate::ledger::flawed::Flaw;

/// A known key; in some runs each of its signatures is another, as with a remote signer that is not deterministic.
#[derive(Debug)]
pub(crate) struct Key {
    world: Weak<World>,
    key: SigningKey,
    address: Address,
    varies: bool,
    is_away: AtomicBool,
    made: AtomicU64,
}

impl Key {
    /// The n-th key; n is above 0.
    pub(crate) fn new(world: Weak<World>, n: u8, varies: bool) -> Self {
        let mut secret = [0; 32];
        secret[31] = n;
        let key = SigningKey::from_slice(&secret).unwrap();
        let address = Address::from_private_key(&key);
        let (is_away, made) = (AtomicBool::new(false), AtomicU64::new(0));
        Self { world, key, address, varies, is_away, made }
    }

    pub(crate) fn set_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::SeqCst);
    }

    fn signature(&self, hash: &[u8]) -> Signature {
        let made = self.made.fetch_add(1, Ordering::SeqCst);
        let salt = if self.varies { made } else { 0 };
        let hash = FieldBytes::from_slice(hash);
        let scalar = self.key.as_nonzero_scalar();
        let signed =
            scalar.try_sign_prehashed_rfc6979::<sha2::Sha256>(hash, &salt.to_be_bytes()).unwrap();
        let (signature, recovery) = signed;
        let recovery: RecoveryId = recovery.unwrap();
        let (signature, recovery) = match signature.normalize_s() {
            Some(low) => (low, RecoveryId::new(!recovery.is_y_odd(), recovery.is_x_reduced())),
            None => (signature, recovery),
        };
        (signature, recovery).into()
    }
}

#[async_trait]
impl Signer for Key {
    fn address(&self) -> Address {
        self.address
    }

    async fn sign(&self, authorized: &Authorized) -> Result<Signature, SignerError> {
        let world: Arc<World> = self.world.upgrade().unwrap();
        Executor::turn().await;
        let fails = !world.is_healed() && world.chance.permille(world.plan.signer_fails);
        if fails || self.is_away.load(Ordering::SeqCst) {
            world.log.event("signer.away", 0, || authorized.operation().to_string());
            let reason = "the device does not answer".into();
            return Err(SignerError::Unavailable { address: self.address, reason });
        }
        let Bound::Transaction { transaction, attempt } = authorized.bound() else {
            panic!("no message is asked for in this world");
        };
        let hash = transaction.signing_hash();
        world.log.event("signed", transaction.nonce, || {
            format!("{} attempt {attempt}", authorized.operation())
        });
        world.oracle.signs(authorized.operation(), *attempt, transaction);
        world.chain.knows_signer(hash, self.address);
        let signature = self.signature(hash.as_slice());
        if !self.varies {
            let (_, made) = transaction.clone().encode_signed(signature);
            world.oracle.determines(authorized.operation(), made);
        }
        Executor::turn().await;
        Ok(signature)
    }

    fn is_deterministic(&self) -> bool {
        let world = self.world.upgrade().unwrap();
        !self.varies || world.plan.has(Flaw::SaidDetermined)
    }
}
