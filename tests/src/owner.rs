//! Somebody who has a key of their own, and signs with it past the gateway.

use alloy_consensus::{SignableTransaction, TxEip1559, TxEip2930, TxEip7702, TxLegacy};
use alloy_eips::{
    eip2718::Encodable2718 as _,
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Address, Bytes, Signature, TxKind, U256, hex};
use k256::ecdsa::SigningKey;

use crate::anvil;

/// Wei per gas, at most: more than any of these chains asks.
const MAX_FEE: u128 = 4_000_000_000;

/// Wei per gas for whoever includes it.
const TIP: u128 = 1_000_000_000;

/// A key that is used here.
#[derive(Debug, Clone)]
pub struct Owner(SigningKey);

impl Owner {
    /// Whoever has one of anvil's accounts.
    #[must_use]
    pub fn of_account(account: usize) -> Self {
        let (key, _) = anvil::ACCOUNTS.get(account).expect("one of anvil's accounts");
        let secret = hex::decode(key).expect("a key in hex");
        Self(SigningKey::from_slice(&secret).expect("a key"))
    }

    /// Somebody whom nobody here has heard of.
    #[must_use]
    pub fn unknown() -> Self {
        Self(SigningKey::from_slice(&[0x5a; 32]).expect("a key"))
    }

    /// Their address.
    #[must_use]
    pub fn address(&self) -> Address {
        Address::from_private_key(&self.0)
    }

    /// A signed payment, as the parameter of `eth_sendRawTransaction`.
    #[must_use]
    pub fn pays(&self, to: &str, wei: u128, nonce: u64) -> String {
        self.raw(TxEip1559 {
            chain_id: anvil::CHAIN,
            nonce,
            gas_limit: 21_000,
            max_fee_per_gas: MAX_FEE,
            max_priority_fee_per_gas: TIP,
            to: TxKind::Call(to.parse().expect("an address")),
            value: U256::from(wei),
            access_list: alloy_eips::eip2930::AccessList::default(),
            input: Bytes::new(),
        })
    }

    /// The same, in a transaction of type 0 or 1.
    #[must_use]
    pub fn pays_by_price(&self, is_listed: bool, to: &str, wei: u128, nonce: u64) -> String {
        let (to, value) = (TxKind::Call(to.parse().expect("an address")), U256::from(wei));
        let (gas_limit, gas_price, input) = (21_000, MAX_FEE, Bytes::new());
        if is_listed {
            let (chain_id, access_list) =
                (anvil::CHAIN, alloy_eips::eip2930::AccessList::default());
            self.raw(TxEip2930 {
                chain_id,
                nonce,
                gas_price,
                gas_limit,
                to,
                value,
                access_list,
                input,
            })
        } else {
            let chain_id = Some(anvil::CHAIN);
            self.raw(TxLegacy { chain_id, nonce, gas_price, gas_limit, to, value, input })
        }
    }

    /// The same with an authorisation.
    #[must_use]
    pub fn delegates(&self, to: &str, nonce: u64, one: SignedAuthorization) -> String {
        self.raw(TxEip7702 {
            chain_id: anvil::CHAIN,
            nonce,
            gas_limit: 100_000,
            max_fee_per_gas: MAX_FEE,
            max_priority_fee_per_gas: TIP,
            to: to.parse().expect("an address"),
            value: U256::from(1),
            access_list: alloy_eips::eip2930::AccessList::default(),
            authorization_list: vec![one],
            input: Bytes::new(),
        })
    }

    /// Lets the code at `delegate` act as this account, on the chain with this id or, with zero, on every chain.
    #[must_use]
    pub fn authorises(&self, chain: u64, delegate: &str, nonce: u64) -> SignedAuthorization {
        let address = delegate.parse().expect("an address");
        let one = Authorization { chain_id: U256::from(chain), address, nonce };
        let signature = self.sign(one.signature_hash());
        one.into_signed(signature)
    }

    fn raw<T>(&self, transaction: T) -> String
    where
        T: SignableTransaction<Signature>,
        alloy_consensus::Signed<T>: alloy_eips::eip2718::Encodable2718,
    {
        let signature = self.sign(transaction.signature_hash());
        hex::encode_prefixed(transaction.into_signed(signature).encoded_2718())
    }

    fn sign(&self, digest: alloy_primitives::B256) -> Signature {
        self.0.sign_prehash_recoverable(digest.as_slice()).expect("a signature").into()
    }
}
