//! What an authenticated agent wants: agent, wallet, chain and exact payload.

use alloy_primitives::{Address, B256, Signature, U256, keccak256};
use serde::{Deserialize, Serialize};

use crate::{
    bundle::{Bundle, Call},
    context::Context,
    identity::{AgentId, ChainId, Fingerprint, WalletId},
    message::Message,
    raw::RawTransaction,
    trail::Trail,
    transaction::{AccessEntry, Authorization, TransactionPlan},
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
    /// `eth_sendRawTransaction`: signed by the wallet's owner, and judged all the same.
    #[serde(rename = "eth_sendRawTransaction")]
    SendRawTransaction,
    /// `personal_sign`
    #[serde(rename = "personal_sign")]
    PersonalSign,
    /// `eth_sign`: the same text, prefixed (EIP-191), as every node does it.
    #[serde(rename = "eth_sign")]
    Sign,
    /// `eth_signTypedData_v4`, and `eth_signTypedData` with an object.
    #[serde(rename = "eth_signTypedData_v4")]
    SignTypedData,
    /// `wallet_sendCalls` (EIP-5792): each call is a transaction, sent in order.
    #[serde(rename = "wallet_sendCalls")]
    SendCalls,
}

impl Method {
    /// The JSON-RPC name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SendTransaction => "eth_sendTransaction",
            Self::SignTransaction => "eth_signTransaction",
            Self::SendRawTransaction => "eth_sendRawTransaction",
            Self::PersonalSign => "personal_sign",
            Self::Sign => "eth_sign",
            Self::SignTypedData => "eth_signTypedData_v4",
            Self::SendCalls => "wallet_sendCalls",
        }
    }
}

/// What would be signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    /// A transaction, but for its nonce.
    Transaction(TransactionPlan),
    /// A message.
    Message(Message),
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
    /// Fields of its own, as in `{"refund_amount": 750}`.
    #[serde(default, skip_serializing_if = "Context::is_empty")]
    pub context: Context,
    /// The distributed trace that it came in, so that what happens later can name it. Judged by nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trail: Option<Trail>,
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
    /// What would be signed.
    pub payload: Payload,
    /// The most that the chain adds to the fee outside of gas × price (an L2's data fee), in wei.
    #[serde(default, skip_serializing_if = "U256::is_zero")]
    pub data_fee_max: U256,
    /// The nonce that the client fixed.
    pub nonce: Option<u64>,
    /// The signature that came with it, over exactly this payload at exactly this nonce: of a wallet whose owner signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
    /// What the agent says about it.
    pub declared: Declared,
    /// Its place in a bundle of calls, if it came in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Box<Bundle>>,
}

impl Intent {
    /// The further calls that it stands for, until its bundle is split.
    #[must_use]
    pub fn rest(&self) -> &[Call] {
        self.bundle.as_deref().map_or(&[], |bundle| bundle.rest.as_slice())
    }

    /// One intent for each call, in order: what is signed for each.
    #[must_use]
    pub fn calls(&self) -> Vec<Self> {
        let alone = |index: u32, payload: Payload, data_fee_max: U256| {
            let bundle = self.bundle.as_ref().map(|bundle| {
                let id = bundle.id.clone();
                Box::new(Bundle {
                    handle: bundle.handle,
                    id,
                    index,
                    count: bundle.count,
                    rest: Vec::new(),
                })
            });
            Self {
                agent: self.agent.clone(),
                wallet: self.wallet.clone(),
                address: self.address,
                method: self.method,
                payload,
                data_fee_max,
                nonce: self.nonce,
                signature: self.signature,
                declared: self.declared.clone(),
                bundle,
            }
        };
        let index = self.bundle.as_ref().map_or(0, |bundle| bundle.index);
        let first = alone(index, self.payload.clone(), self.data_fee_max);
        let further = (index..).skip(1).zip(self.rest()).map(|(index, call)| {
            alone(index, Payload::Transaction(call.plan.clone()), call.data_fee_max)
        });
        std::iter::once(first).chain(further).collect()
    }

    /// The transaction; `None` for a message.
    #[must_use]
    pub const fn plan(&self) -> Option<&TransactionPlan> {
        match &self.payload {
            Payload::Transaction(plan) => Some(plan),
            Payload::Message(_) => None,
        }
    }

    /// The message; `None` for a transaction.
    #[must_use]
    pub const fn message(&self) -> Option<&Message> {
        match &self.payload {
            Payload::Message(message) => Some(message),
            Payload::Transaction(_) => None,
        }
    }

    /// The transaction as its owner signed it; `None` for what is signed here.
    #[must_use]
    pub fn raw(&self) -> Option<RawTransaction> {
        let transaction = self.plan()?.clone().with_nonce(self.nonce?);
        RawTransaction::assemble(transaction, self.signature?)
    }

    /// The hash of the transaction that came signed, without recovering who signed it.
    fn signed_hash(&self) -> Option<B256> {
        let signature = self.signature?;
        let transaction = self.plan()?.clone().with_nonce(self.nonce?);
        Some(transaction.encode_signed(signature).1)
    }

    /// The most that the fee can be, in wei: gas × price, and what the chain adds, of every call; nothing for a message,
    /// `None` on overflow of 256 bits.
    #[must_use]
    pub fn fee_wei_max(&self) -> Option<U256> {
        let gas = self.plan().map_or(Some(U256::ZERO), TransactionPlan::fee_wei_max)?;
        let first = gas.checked_add(self.data_fee_max)?;
        self.rest().iter().try_fold(first, |sum, call| sum.checked_add(call.fee_wei_max()?))
    }

    /// The gas limit, of all calls together; nothing for a message.
    #[must_use]
    pub fn gas(&self) -> u64 {
        let first = self.plan().map_or(0, |plan| plan.gas);
        self.rest().iter().fold(first, |sum, call| sum.saturating_add(call.plan.gas))
    }

    /// Wei that the transaction itself carries, of all calls together; nothing for a message.
    #[must_use]
    pub fn value(&self) -> U256 {
        let first = self.plan().map_or(U256::ZERO, |plan| plan.value);
        self.rest().iter().fold(first, |sum, call| sum.saturating_add(call.plan.value))
    }

    /// The chain that the signature is for.
    #[must_use]
    pub const fn chain(&self) -> ChainId {
        match &self.payload {
            Payload::Transaction(plan) => plan.chain,
            Payload::Message(message) => message.chain,
        }
    }

    /// What makes two requests the same payload: agent, method, wallet, chain, to, value, data, access list and
    /// authorisations, or the digest of a message; not gas, fees, type or nonce (CONTRACT §3). Of what was signed
    /// elsewhere, the hash.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let subject = Subject {
            agent: &self.agent,
            wallet: &self.wallet,
            method: self.method,
            chain: self.chain(),
        };
        let of_plan = |plan: &TransactionPlan| {
            let carried = (&plan.data[..], &plan.access_list[..], &plan.authorizations[..]);
            fingerprint(&subject, plan.to, plan.value, carried)
        };
        match (&self.payload, self.signed_hash()) {
            (_, Some(hash)) => digest_fingerprint(&subject, hash),
            (Payload::Transaction(plan), None) if self.method == Method::SendCalls => {
                let rest = self.rest().iter().map(|call| of_plan(&call.plan));
                calls_fingerprint(std::iter::once(of_plan(plan)).chain(rest))
            }
            (Payload::Transaction(plan), None) => of_plan(plan),
            (Payload::Message(message), None) => digest_fingerprint(&subject, message.digest),
        }
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
    (data, access_list, authorizations): (&[u8], &[AccessEntry], &[Authorization]),
) -> Fingerprint {
    let mut bytes = said_by(subject);
    let mut part = |text: &[u8]| {
        bytes.extend_from_slice(keccak256(text).as_slice());
    };
    part(to.as_ref().map_or(&[][..], |to| to.as_slice()));
    part(&value.to_be_bytes::<32>());
    part(data);
    for entry in access_list {
        part(entry.address.as_slice());
        for key in &entry.storage_keys {
            part(key.as_slice());
        }
    }
    for Authorization { chain_id, address, nonce, y_parity, r, s } in authorizations {
        let mut signed = address.to_vec();
        for number in [U256::from(*chain_id), U256::from(*nonce), U256::from(*y_parity), *r, *s] {
            signed.extend_from_slice(&number.to_be_bytes::<32>());
        }
        part(&signed);
    }
    let digest: B256 = keccak256(&bytes);
    Fingerprint(digest)
}

/// The fingerprint of what one digest says all of: a message, or a transaction that was signed elsewhere. `eth_sign` and
/// `personal_sign` of one text are the same payload.
#[must_use]
pub fn digest_fingerprint(subject: &Subject<'_>, digest: B256) -> Fingerprint {
    let same = subject.method == Method::Sign;
    let method = if same { Method::PersonalSign } else { subject.method };
    let mut bytes = said_by(&Subject { method, ..*subject });
    bytes.extend_from_slice(digest.as_slice());
    Fingerprint(keccak256(&bytes))
}

/// The fingerprint of a bundle, from those of its calls in their order.
#[must_use]
pub fn calls_fingerprint(calls: impl Iterator<Item = Fingerprint>) -> Fingerprint {
    let bytes: Vec<u8> = calls.flat_map(|Fingerprint(call)| call.0).collect();
    Fingerprint(keccak256(bytes))
}

fn said_by(subject: &Subject<'_>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(192);
    let mut part = |text: &[u8]| {
        bytes.extend_from_slice(keccak256(text).as_slice());
    };
    part(subject.agent.as_str().as_bytes());
    part(subject.wallet.as_str().as_bytes());
    part(subject.method.name().as_bytes());
    part(&subject.chain.0.to_be_bytes());
    bytes
}
