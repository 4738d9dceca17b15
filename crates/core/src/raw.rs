//! Reading a transaction that was signed elsewhere, strictly: its bytes have one meaning, one signer, and no other form.

use alloy_consensus::{Signed, TxEip1559, TxEip2930, TxEip7702, TxEnvelope, TxLegacy};
use alloy_eips::{eip2718::Decodable2718 as _, eip2930::AccessList, eip7702::SignedAuthorization};
use alloy_primitives::{Address, B256, Bytes, Signature, U8, U64};

use crate::{
    draft::{FieldError, GAS_MAX},
    identity::ChainId,
    transaction::{
        AUTHORIZATIONS_MAX, AccessEntry, Authorization, FeeBid, TransactionDraft, TransactionPlan,
        TransactionType, UnsignedTransaction,
    },
};

/// The most bytes of one: nodes take no more.
pub const RAW_BYTES_MAX: usize = 128 * 1024;

/// The most of a price, in wei per gas: as for one that a client asks for.
const PRICE_MAX: u128 = 0xffff_ffff_ffff_ffff;

/// A signed transaction. Encoding it gives back the bytes that it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawTransaction {
    transaction: UnsignedTransaction,
    signature: Signature,
    hash: B256,
    sender: Address,
}

impl RawTransaction {
    /// Reads bytes of type 0 (with EIP-155 only), 1, 2 or 4. Whether the chain is served and whose the sender is is not
    /// asked here.
    pub fn parse(raw: &Bytes) -> Result<Self, FieldError> {
        if raw.len() > RAW_BYTES_MAX {
            return Err(wrong("is longer than any node takes in one transaction"));
        }
        let (transaction, signature) = decoded(raw)?;
        let read = Self::assemble(transaction, signature)
            .ok_or_else(|| wrong("has a signature that is of nobody, or not in its low form"))?;
        if read.encoded() != *raw {
            return Err(wrong("is not in its canonical form"));
        }
        read.clone().into_draft().can_be_meant()?;
        Ok(read)
    }

    /// One from its parts; `None` where the signature is nobody's, or malleable (EIP-2).
    #[must_use]
    pub fn assemble(transaction: UnsignedTransaction, signature: Signature) -> Option<Self> {
        let canonical = signature.normalize_s().is_none();
        let digest = transaction.signing_hash();
        let sender = signature.recover_address_from_prehash(&digest).ok();
        let sender = sender.filter(|_| canonical)?;
        let (_, hash) = transaction.encode_signed(signature);
        Some(Self { transaction, signature, hash, sender })
    }

    /// Everything that is signed.
    #[must_use]
    pub const fn transaction(&self) -> &UnsignedTransaction {
        &self.transaction
    }

    /// By whom.
    #[must_use]
    pub const fn sender(&self) -> Address {
        self.sender
    }

    /// The signature itself.
    #[must_use]
    pub const fn signature(&self) -> Signature {
        self.signature
    }

    /// The Keccak-256 of the bytes.
    #[must_use]
    pub const fn hash(&self) -> B256 {
        self.hash
    }

    /// The bytes.
    #[must_use]
    pub fn encoded(&self) -> Bytes {
        self.transaction.encode_signed(self.signature).0
    }

    /// The same as a draft that leaves nothing open.
    #[must_use]
    pub fn into_draft(self) -> TransactionDraft {
        let UnsignedTransaction { plan, nonce } = self.transaction;
        plan.into_draft(self.sender, Some(nonce))
    }
}

fn wrong(reason: &str) -> FieldError {
    FieldError::new("raw", reason)
}

fn decoded(raw: &Bytes) -> Result<(UnsignedTransaction, Signature), FieldError> {
    match raw.first() {
        None => return Err(wrong("has no bytes")),
        Some(3) => return Err(wrong("is a blob transaction (EIP-4844), which is not taken here")),
        Some(1 | 2 | 4 | 0xc0..=0xff) => {}
        Some(_) => return Err(wrong("is of no type that is taken here: 0x0, 0x1, 0x2 or 0x4")),
    }
    let mut rest = raw.as_ref();
    let envelope = TxEnvelope::decode_2718(&mut rest)
        .map_err(|_| wrong("is not a signed transaction that can be read"))?;
    if !rest.is_empty() {
        return Err(wrong("has bytes behind the transaction"));
    }
    let signature = *envelope.signature();
    Ok((unsigned(envelope)?, signature))
}

fn unsigned(envelope: TxEnvelope) -> Result<UnsignedTransaction, FieldError> {
    let (plan, nonce) = match envelope {
        TxEnvelope::Legacy(signed) => legacy(signed)?,
        TxEnvelope::Eip2930(signed) => listed(signed)?,
        TxEnvelope::Eip1559(signed) => dynamic(signed)?,
        TxEnvelope::Eip7702(signed) => set_code(signed)?,
        TxEnvelope::Eip4844(_) => {
            return Err(wrong("is a blob transaction (EIP-4844), which is not taken here"));
        }
    };
    // EIP-2681: the last nonce is never used
    if nonce == u64::MAX {
        return Err(wrong("has a nonce that is too large"));
    }
    Ok(plan.with_nonce(nonce))
}

type Read = Result<(TransactionPlan, u64), FieldError>;

fn legacy(signed: Signed<TxLegacy>) -> Read {
    let TxLegacy { chain_id, nonce, gas_price, gas_limit, to, value, input } =
        signed.strip_signature();
    let chain = chain_id.ok_or_else(|| wrong("is bound to no chain (EIP-155)"))?;
    let plan = TransactionPlan {
        chain: ChainId(chain),
        kind: TransactionType::Legacy,
        to: to.into_to(),
        value,
        data: input,
        gas: gas(gas_limit)?,
        fee: price(gas_price)?,
        access_list: Vec::new(),
        authorizations: Vec::new(),
    };
    Ok((plan, nonce))
}

fn listed(signed: Signed<TxEip2930>) -> Read {
    let TxEip2930 { chain_id, nonce, gas_price, gas_limit, to, value, access_list, input } =
        signed.strip_signature();
    let plan = TransactionPlan {
        chain: ChainId(chain_id),
        kind: TransactionType::AccessList,
        to: to.into_to(),
        value,
        data: input,
        gas: gas(gas_limit)?,
        fee: price(gas_price)?,
        access_list: entries(access_list),
        authorizations: Vec::new(),
    };
    Ok((plan, nonce))
}

fn dynamic(signed: Signed<TxEip1559>) -> Read {
    let tx = signed.strip_signature();
    let plan = TransactionPlan {
        chain: ChainId(tx.chain_id),
        kind: TransactionType::DynamicFee,
        to: tx.to.into_to(),
        value: tx.value,
        data: tx.input,
        gas: gas(tx.gas_limit)?,
        fee: bid(tx.max_fee_per_gas, tx.max_priority_fee_per_gas)?,
        access_list: entries(tx.access_list),
        authorizations: Vec::new(),
    };
    Ok((plan, tx.nonce))
}

fn set_code(signed: Signed<TxEip7702>) -> Read {
    let tx = signed.strip_signature();
    if tx.authorization_list.len() > AUTHORIZATIONS_MAX {
        return Err(wrong(&format!("has more than {AUTHORIZATIONS_MAX} authorisations")));
    }
    let authorizations = tx.authorization_list.iter().map(authorization).collect::<Option<_>>();
    let plan = TransactionPlan {
        chain: ChainId(tx.chain_id),
        kind: TransactionType::SetCode,
        to: Some(tx.to),
        value: tx.value,
        data: tx.input,
        gas: gas(tx.gas_limit)?,
        fee: bid(tx.max_fee_per_gas, tx.max_priority_fee_per_gas)?,
        access_list: entries(tx.access_list),
        authorizations: authorizations
            .ok_or_else(|| wrong("has an authorisation that no chain takes"))?,
    };
    Ok((plan, tx.nonce))
}

/// `None` for a chain or a parity that cannot be.
fn authorization(signed: &SignedAuthorization) -> Option<Authorization> {
    Some(Authorization {
        chain_id: U64::from(u64::try_from(signed.chain_id).ok()?),
        address: signed.address,
        nonce: U64::from(signed.nonce),
        y_parity: U8::from(Some(signed.y_parity()).filter(|parity| *parity <= 1)?),
        r: signed.r(),
        s: signed.s(),
    })
}

fn entries(list: AccessList) -> Vec<AccessEntry> {
    let entry = |item: alloy_eips::eip2930::AccessListItem| AccessEntry {
        address: item.address,
        storage_keys: item.storage_keys,
    };
    list.0.into_iter().map(entry).collect()
}

fn gas(limit: u64) -> Result<u64, FieldError> {
    match limit {
        0..=GAS_MAX => Ok(limit),
        _ => Err(wrong(&format!("has a gas limit above {GAS_MAX}, the most of one transaction"))),
    }
}

fn price(wei: u128) -> Result<FeeBid, FieldError> {
    match wei {
        0..=PRICE_MAX => Ok(FeeBid::Price(wei)),
        _ => Err(wrong("has a price of gas that is too large")),
    }
}

fn bid(max_fee: u128, tip: u128) -> Result<FeeBid, FieldError> {
    match max_fee {
        0..=PRICE_MAX if tip <= max_fee => Ok(FeeBid::Dynamic { max_fee, tip }),
        0..=PRICE_MAX => Err(wrong("has a tip above its fee")),
        _ => Err(wrong("has a price of gas that is too large")),
    }
}

#[cfg(test)]
mod tests;
