//! What an authenticated agent wants: agent, wallet, chain and exact payload.

use alloy_primitives::{Address, B256, U256, keccak256};
use serde::{Deserialize, Serialize};

use crate::{
    identity::{AgentId, ChainId, Fingerprint, WalletId},
    transaction::TransactionPlan,
};

/// The signing methods of the agents' door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Method {
    /// `eth_sendTransaction`
    #[serde(rename = "eth_sendTransaction")]
    SendTransaction,
    /// `eth_signTransaction`
    #[serde(rename = "eth_signTransaction")]
    SignTransaction,
}

impl Method {
    /// The JSON-RPC name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SendTransaction => "eth_sendTransaction",
            Self::SignTransaction => "eth_signTransaction",
        }
    }
}

/// What the agent says about itself. None of it can make a verdict milder.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Declared {
    /// The agent's reasoning, up to 16 KiB.
    pub reason: Option<String>,
    /// `swap`, `bridge` ...: may only make the verdict stricter.
    pub action: Option<String>,
    /// The agent's unit of work.
    pub session: Option<String>,
}

/// Authenticated agent, its wallet, the chain and the exact payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Who asks.
    pub agent: AgentId,
    /// Whose key would sign.
    pub wallet: WalletId,
    /// The wallet's address.
    pub address: Address,
    /// The method that asked.
    pub method: Method,
    /// What would be signed, but for the nonce.
    pub plan: TransactionPlan,
    /// The most that the chain adds to the fee outside of gas × price (an L2's data fee), in wei.
    #[serde(default, skip_serializing_if = "U256::is_zero")]
    pub data_fee_max: U256,
    /// The nonce that the client fixed.
    pub nonce: Option<u64>,
    /// What the agent says about it.
    pub declared: Declared,
}

impl Intent {
    /// The most that the fee can be, in wei: gas × price, and what the chain adds; `None` on overflow of 256 bits.
    #[must_use]
    pub fn fee_wei_max(&self) -> Option<U256> {
        self.plan.fee_wei_max()?.checked_add(self.data_fee_max)
    }

    /// The chain that the signature is bound to.
    #[must_use]
    pub const fn chain(&self) -> ChainId {
        self.plan.chain
    }

    /// What makes two requests the same payload: agent, method, wallet, chain, to, value, data and
    /// access list; not gas, fees, type or nonce (CONTRACT §3).
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let subject = Subject {
            agent: &self.agent,
            wallet: &self.wallet,
            method: self.method,
            chain: self.plan.chain,
        };
        fingerprint(
            &subject,
            self.plan.to,
            self.plan.value,
            (&self.plan.data, &self.plan.access_list),
        )
    }
}

/// The part of a fingerprint that says whose request it is.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Who asks.
    pub agent: &'a AgentId,
    /// Whose key.
    pub wallet: &'a WalletId,
    /// The method that asked.
    pub method: Method,
    /// The chain.
    pub chain: ChainId,
}

/// The fingerprint before gas and fees are known.
#[must_use]
pub fn fingerprint(
    subject: &Subject<'_>,
    to: Option<Address>,
    value: alloy_primitives::U256,
    (data, access_list): (&[u8], &[crate::transaction::AccessEntry]),
) -> Fingerprint {
    let mut bytes = Vec::with_capacity(192);
    let mut part = |text: &[u8]| {
        bytes.extend_from_slice(keccak256(text).as_slice());
    };
    part(subject.agent.as_str().as_bytes());
    part(subject.wallet.as_str().as_bytes());
    part(subject.method.name().as_bytes());
    part(&subject.chain.0.to_be_bytes());
    part(to.as_ref().map_or(&[][..], |to| to.as_slice()));
    part(&value.to_be_bytes::<32>());
    part(data);
    for entry in access_list {
        part(entry.address.as_slice());
        for key in &entry.storage_keys {
            part(key.as_slice());
        }
    }
    let digest: B256 = keccak256(&bytes);
    Fingerprint(digest)
}
