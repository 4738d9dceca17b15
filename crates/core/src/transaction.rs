//! Transactions: what a client asked for, and what will be signed.

use alloy_consensus::{SignableTransaction, TxEip1559, TxEip7702, TxLegacy};
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip7702::{Authorization as Unsigned, SignedAuthorization},
};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U8, U64, U256};
use serde::{Deserialize, Serialize};

use crate::identity::ChainId;

/// The most authorisations of one transaction.
pub const AUTHORIZATIONS_MAX: usize = 16;

/// The transaction types that the gateway signs (EIP-2718).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransactionType {
    /// Type 0 with EIP-155 replay protection; never without.
    Legacy,
    /// Type 1 (EIP-2930) is accepted from clients and carried as such.
    AccessList,
    /// Type 2 (EIP-1559).
    DynamicFee,
    /// Type 4 (EIP-7702): it carries authorisations that others have signed.
    SetCode,
}

/// What a client asked to have signed, after strict parsing. Absent fields are filled before the
/// decision; `to`, `data`, `value` and the access list never change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionDraft {
    /// The account; absent where the client left it to the gateway.
    pub from: Option<Address>,
    /// The recipient or contract; `None` is a deployment.
    pub to: Option<Address>,
    /// Wei.
    pub value: U256,
    /// Calldata or init code.
    pub data: Bytes,
    /// Gas limit.
    pub gas: Option<u64>,
    /// Legacy price per gas, in wei.
    pub gas_price: Option<u128>,
    /// EIP-1559 fee ceiling per gas, in wei.
    pub max_fee_per_gas: Option<u128>,
    /// EIP-1559 tip per gas, in wei.
    pub max_priority_fee_per_gas: Option<u128>,
    /// The nonce that the client fixed.
    pub nonce: Option<u64>,
    /// The type that the client named.
    pub kind: Option<TransactionType>,
    /// The chain that the client named.
    pub chain: Option<ChainId>,
    /// EIP-2930 access list.
    pub access_list: Vec<AccessEntry>,
    /// EIP-7702 authorisations, of a type 4 only.
    pub authorizations: Vec<Authorization>,
}

/// One entry of an EIP-2930 access list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccessEntry {
    /// The account.
    pub address: Address,
    /// Its storage slots.
    pub storage_keys: Vec<B256>,
}

/// An EIP-7702 authorisation as its authority has signed it: from then on the code of `address` acts as that account.
/// It is carried, never made: no method here signs one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Authorization {
    /// The chain that it is for; zero is every chain.
    pub chain_id: U64,
    /// The code that is to act; zero takes a delegation back.
    pub address: Address,
    /// The authority's nonce.
    pub nonce: U64,
    /// 0 or 1.
    pub y_parity: U8,
    /// Of the signature.
    pub r: U256,
    /// Of the signature.
    pub s: U256,
}

impl Authorization {
    /// Who signed it; `None` where nobody can have: then a chain passes it over.
    #[must_use]
    pub fn authority(&self) -> Option<Address> {
        self.sealed().recover_authority().ok()
    }

    /// The digest that its authority signs.
    #[must_use]
    pub fn signing_hash(&self) -> B256 {
        self.sealed().inner().signature_hash()
    }

    /// The one chain that it is for; `None` is every chain.
    #[must_use]
    pub fn chain(&self) -> Option<ChainId> {
        Some(self.chain_id.to::<u64>()).filter(|chain| *chain != 0).map(ChainId)
    }

    fn sealed(&self) -> SignedAuthorization {
        let unsigned = Unsigned {
            chain_id: U256::from(self.chain_id),
            address: self.address,
            nonce: self.nonce.to(),
        };
        SignedAuthorization::new_unchecked(unsigned, self.y_parity.to(), self.r, self.s)
    }
}

/// The price of gas, in wei per gas. Stored as decimal text: JSON numbers end before 128 bits do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeeBid {
    /// Legacy and EIP-2930.
    Price(#[serde(with = "decimal")] u128),
    /// EIP-1559.
    Dynamic {
        /// `maxFeePerGas`
        #[serde(with = "decimal")]
        max_fee: u128,
        /// `maxPriorityFeePerGas`, at most `max_fee`
        #[serde(with = "decimal")]
        tip: u128,
    },
}

mod decimal {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(value: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<u128, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl FeeBid {
    /// The most that one unit of gas can cost, in wei.
    #[must_use]
    pub const fn ceiling(self) -> u128 {
        match self {
            Self::Price(price) => price,
            Self::Dynamic { max_fee, .. } => max_fee,
        }
    }

    /// What one unit of gas may give to whoever includes it, in wei.
    #[must_use]
    pub const fn tip(self) -> u128 {
        match self {
            Self::Price(price) => price,
            Self::Dynamic { tip, .. } => tip,
        }
    }
}

/// A transaction that lacks only its nonce: what a permit covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionPlan {
    /// The chain, always bound into the signature (EIP-155).
    pub chain: ChainId,
    /// The type to sign.
    pub kind: TransactionType,
    /// `None` is a deployment.
    pub to: Option<Address>,
    /// Wei.
    pub value: U256,
    /// Calldata or init code.
    pub data: Bytes,
    /// Gas limit.
    pub gas: u64,
    /// Price per gas.
    pub fee: FeeBid,
    /// EIP-2930 access list.
    pub access_list: Vec<AccessEntry>,
    /// EIP-7702 authorisations, of a type 4 only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorizations: Vec<Authorization>,
}

impl TransactionPlan {
    /// The most that the fee can be, in wei; `None` on overflow of 256 bits.
    #[must_use]
    pub fn fee_wei_max(&self) -> Option<U256> {
        U256::from(self.gas).checked_mul(U256::from(self.fee.ceiling()))
    }

    /// A draft that leaves nothing open but, perhaps, the nonce.
    #[must_use]
    pub fn into_draft(self, from: Address, nonce: Option<u64>) -> TransactionDraft {
        let Self { chain, kind, to, value, data, gas, fee, access_list, authorizations } = self;
        let (gas_price, max_fee_per_gas, max_priority_fee_per_gas) = match fee {
            FeeBid::Price(price) => (Some(price), None, None),
            FeeBid::Dynamic { max_fee, tip } => (None, Some(max_fee), Some(tip)),
        };
        TransactionDraft {
            from: Some(from),
            to,
            value,
            data,
            gas: Some(gas),
            gas_price,
            max_fee_per_gas,
            max_priority_fee_per_gas,
            nonce,
            kind: Some(kind),
            chain: Some(chain),
            access_list,
            authorizations,
        }
    }

    /// Binds the nonce.
    #[must_use]
    pub const fn with_nonce(self, nonce: u64) -> UnsignedTransaction {
        UnsignedTransaction { plan: self, nonce }
    }
}

/// A transaction with its nonce: exactly what a signature covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnsignedTransaction {
    /// Everything but the nonce.
    pub plan: TransactionPlan,
    /// The account's nonce.
    pub nonce: u64,
}

impl UnsignedTransaction {
    /// The digest that the wallet signs.
    #[must_use]
    pub fn signing_hash(&self) -> B256 {
        match self.sealed() {
            Sealed::Legacy(tx) => tx.signature_hash(),
            Sealed::AccessList(tx) => tx.signature_hash(),
            Sealed::DynamicFee(tx) => tx.signature_hash(),
            Sealed::SetCode(tx) => tx.signature_hash(),
        }
    }

    /// The raw bytes for `eth_sendRawTransaction`, and their hash.
    #[must_use]
    pub fn encode_signed(&self, signature: Signature) -> (Bytes, B256) {
        use alloy_eips::eip2718::Encodable2718;
        match self.sealed() {
            Sealed::Legacy(tx) => {
                let signed = tx.into_signed(signature);
                (signed.encoded_2718().into(), *signed.hash())
            }
            Sealed::AccessList(tx) => {
                let signed = tx.into_signed(signature);
                (signed.encoded_2718().into(), *signed.hash())
            }
            Sealed::DynamicFee(tx) => {
                let signed = tx.into_signed(signature);
                (signed.encoded_2718().into(), *signed.hash())
            }
            Sealed::SetCode(tx) => {
                let signed = tx.into_signed(signature);
                (signed.encoded_2718().into(), *signed.hash())
            }
        }
    }

    fn sealed(&self) -> Sealed {
        let plan = &self.plan;
        let to = plan.to.map_or(TxKind::Create, TxKind::Call);
        let (chain_id, nonce, gas_limit) = (plan.chain.0, self.nonce, plan.gas);
        let (value, input) = (plan.value, plan.data.clone());
        let gas_price = plan.fee.ceiling();
        match plan.kind {
            TransactionType::Legacy => Sealed::Legacy(TxLegacy {
                chain_id: Some(chain_id),
                nonce,
                gas_price,
                gas_limit,
                to,
                value,
                input,
            }),
            TransactionType::AccessList => Sealed::AccessList(alloy_consensus::TxEip2930 {
                chain_id,
                nonce,
                gas_price,
                gas_limit,
                to,
                value,
                access_list: access_list(&plan.access_list),
                input,
            }),
            TransactionType::DynamicFee => Sealed::DynamicFee(TxEip1559 {
                chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas: gas_price,
                max_priority_fee_per_gas: plan.fee.tip(),
                to,
                value,
                access_list: access_list(&plan.access_list),
                input,
            }),
            TransactionType::SetCode => Sealed::SetCode(TxEip7702 {
                chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas: gas_price,
                max_priority_fee_per_gas: plan.fee.tip(),
                // no type 4 deploys: whatever reads one refuses it without a recipient
                to: plan.to.unwrap_or_default(),
                value,
                access_list: access_list(&plan.access_list),
                authorization_list: plan.authorizations.iter().map(Authorization::sealed).collect(),
                input,
            }),
        }
    }
}

enum Sealed {
    Legacy(TxLegacy),
    AccessList(alloy_consensus::TxEip2930),
    DynamicFee(TxEip1559),
    SetCode(TxEip7702),
}

fn access_list(entries: &[AccessEntry]) -> AccessList {
    let item = |e: &AccessEntry| AccessListItem {
        address: e.address,
        storage_keys: e.storage_keys.clone(),
    };
    AccessList(entries.iter().map(item).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fee_of_any_size_survives_json() {
        for fee in [FeeBid::Price(u128::MAX), FeeBid::Dynamic { max_fee: u128::MAX, tip: 1 }] {
            let value = serde_json::to_value(fee).unwrap();
            assert_eq!(serde_json::from_value::<FeeBid>(value).unwrap(), fee);
        }
    }
}
