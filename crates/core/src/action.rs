//! Leaf effects: what a call would really do.

use alloy_primitives::{Address, B256, U256};
use serde::{Deserialize, Serialize};

use crate::{
    abi::{AbiValue, DecodedCall, Selector},
    identity::ChainId,
    token::Asset,
};

/// One leaf effect of an intent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// What it does.
    pub effect: Effect,
    /// The contract or account that is called; `None` for a deployment or a message.
    pub target: Option<Address>,
    /// The first four bytes of calldata, where there are any.
    pub selector: Option<Selector>,
    /// Every ABI that reads this call canonically. More than one is possible; rules match any of them.
    pub functions: Vec<DecodedCall>,
    /// Wei sent with the call.
    pub value_wei: U256,
    /// What the configuration or the agent calls it: `transfer`, `swap`, `bridge`, `call` ...
    pub label: String,
    /// How the authority was given.
    pub via: Via,
    /// How many containers it lies inside; 0 for the request itself.
    pub depth: u8,
    /// Hands over control of a contract: ownership, upgrades, modules, roles.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub privileged: bool,
    /// A function that the registered layout of its contract does not have: who gets something by it, nobody
    /// can tell. Only a rule that names the function allows it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unlisted: bool,
    /// A transfer of what belongs neither to the wallet nor to the account that acts: its owner has let it be taken, or
    /// has signed for it. A grant's rule lets it pass without people only where it names `from`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub foreign: bool,
    /// What a call takes from its caller besides `value_wei`, at most, where a registered layout says so; `None`
    /// is not known, an empty list is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spends: Option<Vec<Outflow>>,
}

/// So much of an asset leaves an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outflow {
    /// What leaves.
    pub asset: Asset,
    /// In base units; 2^256 − 1 where nothing bounds it.
    pub amount: U256,
}

/// The kinds of effect (POLICY §1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Effect {
    /// Value goes from an account to another.
    Transfer {
        /// What moves.
        asset: Asset,
        /// Whose it is; not always the wallet (`transferFrom`).
        from: Address,
        /// Who gets it.
        to: Address,
        /// In base units.
        amount: U256,
    },
    /// Somebody may move value later.
    Approve {
        /// What may be moved.
        asset: Asset,
        /// Whose it is.
        owner: Address,
        /// Who may move it.
        spender: Address,
        /// In base units: the allowance after the call where the call says it, else the increase.
        amount: U256,
        /// No bound in practice: 2^256 − 1, 2^160 − 1 for Permit2, `setApprovalForAll`.
        unlimited: bool,
        /// Seconds since the epoch, where the authority ends by itself.
        deadline: Option<U256>,
    },
    /// Authority can only shrink: an allowance set to zero or decreased, an operator removed.
    Revoke {
        /// What could be moved.
        asset: Asset,
        /// Whose authority shrinks.
        spender: Address,
    },
    /// A call that is none of the above.
    Call,
    /// Init code becomes a contract.
    Deploy {
        /// Keccak-256 of the init code.
        init_code_hash: B256,
    },
    /// A call to a contract with data that no ABI reads canonically although one claims its selector.
    Undecodable {
        /// Why, for people.
        reason: String,
    },
    /// Code gets to act as an account: an EIP-7702 authorisation, a delegatecall by a smart account.
    Delegate {
        /// Who is acted for.
        account: Address,
        /// The code that acts.
        delegate: Address,
        /// Where; `None` is every chain (EIP-7702's chain 0).
        chain: Option<ChainId>,
    },
    /// Typed data (EIP-712) whose meaning nobody registered.
    TypedData {
        /// The root of the types.
        primary_type: String,
        /// The domain's fields, an [`AbiValue::Tuple`].
        domain: AbiValue,
        /// The fields that are signed, an [`AbiValue::Tuple`].
        message: AbiValue,
    },
    /// A text that people can read (EIP-191).
    Text {
        /// All of it.
        text: String,
        /// The fields of a login (EIP-4361, "Sign-In with Ethereum"), an [`AbiValue::Tuple`], where it is one.
        siwe: Option<AbiValue>,
    },
    /// A message that nobody can read, or that pretends to be something else. It is never signed.
    Opaque {
        /// Why, for people.
        reason: String,
    },
}

impl Effect {
    /// The word that policies use for the kind. Undecodable calldata is a `call`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Transfer { .. } => "transfer",
            Self::Approve { .. } => "approve",
            Self::Revoke { .. } => "revoke",
            Self::Call | Self::Undecodable { .. } => "call",
            Self::Deploy { .. } => "deploy",
            Self::Delegate { .. } => "delegate",
            Self::TypedData { .. } => "typed_data",
            Self::Text { .. } | Self::Opaque { .. } => "text",
        }
    }
}

/// How authority is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// By the transaction itself.
    Call,
    /// By an off-chain signature, also one that is carried in calldata.
    Signature,
}
