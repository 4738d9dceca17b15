//! Bundles of calls (EIP-5792): several transactions of one wallet, asked for and judged together.

use alloy_primitives::{B256, U256};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{identity::OperationId, transaction::TransactionPlan};

/// The most calls of one bundle.
pub const CALLS_MAX: usize = 16;

/// The longest id that a caller may choose, in bytes (EIP-5792).
pub const BUNDLE_ID_BYTES_MAX: usize = 4096;

/// 32 random bytes: a bundle's id where its caller chose none, and what names the operations of its calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BundleHandle(pub B256);

impl BundleHandle {
    /// A handle from 32 random bytes.
    #[must_use]
    pub fn from_random(halves: [[u8; 16]; 2]) -> Self {
        Self(B256::from_slice(halves.as_flattened()))
    }

    /// The operation of one call. Nobody who does not know the handle can name it.
    #[must_use]
    pub fn operation(self, index: u32) -> OperationId {
        let mut hasher = Sha256::new();
        hasher.update("countersign call");
        hasher.update(self.0);
        hasher.update(index.to_be_bytes());
        let digest: [u8; 32] = hasher.finalize().into();
        let mut id = [0_u8; 16];
        id.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        OperationId::from_random(id)
    }
}

/// An operation's place in its bundle.
///
/// Until a bundle is split its first operation stands for all of it: it holds the money of every call, and nothing of
/// the bundle can be committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// Which bundle.
    pub handle: BundleHandle,
    /// The id that the caller chose, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Which call, from 0.
    pub index: u32,
    /// How many calls there are.
    pub count: u32,
    /// The further calls, while this operation stands for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rest: Vec<Call>,
}

impl Bundle {
    /// What the caller knows it by.
    #[must_use]
    pub fn name(&self) -> String {
        self.id.clone().unwrap_or_else(|| self.handle.0.to_string())
    }

    /// Whether its operation stands for all calls.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        !self.rest.is_empty()
    }
}

/// A call as it would be signed, but for its nonce.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Its transaction.
    pub plan: TransactionPlan,
    /// The most that the chain adds to its fee outside of gas × price, in wei.
    #[serde(default, skip_serializing_if = "U256::is_zero")]
    pub data_fee_max: U256,
}

impl Call {
    /// The most that its fee can be, in wei; `None` on overflow of 256 bits.
    #[must_use]
    pub fn fee_wei_max(&self) -> Option<U256> {
        self.plan.fee_wei_max()?.checked_add(self.data_fee_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_of_every_bundle_has_an_operation_of_its_own() {
        let handles = [[[1; 16], [2; 16]], [[2; 16], [1; 16]]].map(BundleHandle::from_random);
        let ids: std::collections::BTreeSet<_> =
            handles.iter().flat_map(|handle| (0..3).map(|index| handle.operation(index))).collect();
        assert_eq!(ids.len(), 6);
        assert_eq!(handles[0].operation(1), handles[0].operation(1));
    }
}
