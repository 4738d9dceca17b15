//! Facts: everything that a rule may name, frozen at one instant.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, U256};
use serde::{Deserialize, Serialize};

use crate::{
    action::{Action, Effect},
    amount::Price,
    approval::GateApproval,
    context::ContextValue,
    identity::{AgentId, ChainId, WalletId},
    opinion::Opinion,
    pact::PactStanding,
    time::Timestamp,
    token::Asset,
};

/// A fact that was looked for: known, or unknown with the reason. Unknown goes against the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact<T> {
    /// It is known.
    Known(T),
    /// It could not be had; the text says why, for people.
    Unknown(String),
}

impl<T> Fact<T> {
    /// The value, where it is known.
    pub const fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown(_) => None,
        }
    }
}

/// A token or the chain's own currency, as the configuration and the price sources know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenFact {
    /// What it is.
    pub asset: Asset,
    /// The name that policies use: `usdc@31337`, `eth@31337`.
    pub name: String,
    /// Base units per whole unit, as a power of ten.
    pub decimals: u8,
    /// USD for one whole unit.
    pub price: Fact<Price>,
    /// `true` where no source ever names a price for it: the limit's code then stands, instead of
    /// `price_unavailable`.
    pub never_priced: bool,
    /// What the contract itself says of its decimals, where that is another number than [`TokenFact::decimals`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimals_said: Option<U256>,
    /// Of a collection: the most items of it that a wallet holds, where the configuration says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_max: Option<u64>,
}

/// What a transaction would do to its wallet if it were mined now, as a node tells it.
///
/// It does not promise that the same happens when it is mined: the chain moves on, and a contract can tell that it is
/// simulated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Simulated {
    /// Whose transaction.
    pub wallet: Address,
    /// It would fail, and then nothing else here says anything.
    pub reverted: bool,
    /// What the wallet would have more or less of, without the fee; one entry for an asset.
    pub changes: Vec<Change>,
    /// What others may move of the wallet's then, as far as this transaction sets it; nothing that it takes away.
    pub approvals: Vec<Granted>,
}

/// What becomes of the wallet's balance of an asset, in base units. One of the two is zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Of what.
    pub asset: Asset,
    /// So much less.
    pub lost: U256,
    /// So much more.
    pub gained: U256,
}

/// Somebody may move so much of an asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// Of what.
    pub asset: Asset,
    /// Who.
    pub spender: Address,
    /// In base units; 2^256 − 1 for a whole collection.
    pub amount: U256,
}

/// What an oracle says of one address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OracleFact {
    /// The oracle, as policies call it.
    pub oracle: String,
    /// Whom of an action it is asked about.
    pub asks: Asked,
    /// About whom it was asked.
    pub address: Address,
    /// What it says, by the names of its fields; unknown where it did not answer in time.
    pub says: Fact<BTreeMap<String, ContextValue>>,
}

/// Whom of an action an oracle is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// Who stands at the other end: the recipient, the spender, or the contract that is called.
    #[default]
    Counterparty,
    /// Who gets what is transferred.
    To,
    /// Who may move something later.
    Spender,
    /// The contract or account that is called.
    Target,
}

impl Asked {
    /// That address of an action; `None` where it has none.
    #[must_use]
    pub fn of(self, action: &Action) -> Option<Address> {
        match (self, &action.effect) {
            (Self::Counterparty | Self::To, Effect::Transfer { to, .. }) => Some(*to),
            (
                Self::Counterparty | Self::Spender,
                Effect::Approve { spender, .. } | Effect::Revoke { spender, .. },
            ) => Some(*spender),
            (Self::Counterparty, Effect::Delegate { delegate, .. }) => Some(*delegate),
            (
                Self::Counterparty,
                Effect::Call | Effect::Undecodable { .. } | Effect::TypedData { .. },
            )
            | (Self::Target, _) => action.target,
            (
                Self::Counterparty,
                Effect::Deploy { .. } | Effect::Text { .. } | Effect::Opaque { .. },
            )
            | (Self::To | Self::Spender, _) => None,
        }
    }
}

/// A switch that stops signing (POLICY §1: a freeze is a guard).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "scope", content = "id", rename_all = "snake_case")]
pub enum Freeze {
    /// Everything but `revoke` and recorded cancels.
    Global,
    /// Everything without exception.
    All,
    /// One agent.
    Agent(AgentId),
    /// One wallet.
    Wallet(WalletId),
    /// One chain.
    Chain(ChainId),
}

impl Freeze {
    /// What it stops, in a word: `agent:bot`, `all`.
    #[must_use]
    pub fn scope(&self) -> String {
        match self {
            Self::Global => "global".into(),
            Self::All => "all".into(),
            Self::Agent(agent) => format!("agent:{agent}"),
            Self::Wallet(wallet) => format!("wallet:{wallet}"),
            Self::Chain(chain) => format!("chain:{chain}"),
        }
    }

    /// Whether this freeze stops a request of that agent, wallet and chain.
    #[must_use]
    pub fn covers(&self, agent: &AgentId, wallet: &WalletId, chain: ChainId) -> bool {
        match self {
            Self::Global | Self::All => true,
            Self::Agent(frozen) => frozen == agent,
            Self::Wallet(frozen) => frozen == wallet,
            Self::Chain(frozen) => *frozen == chain,
        }
    }
}

/// The snapshot that a decision is made from. It never contains the operation's own charges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// When they were gathered, by the store's clock.
    pub at: Timestamp,
    /// The agent's configured role, if it has one.
    pub role: Option<String>,
    /// The person who owns the agent and therefore never approves for it.
    pub owner: Option<String>,
    /// The leaf effects, in order.
    pub actions: Vec<Action>,
    /// Every token that an action or a decoded argument names, and the chain's own currency.
    pub tokens: Vec<TokenFact>,
    /// Gas limit of the planned transaction.
    pub gas: u64,
    /// The most that the fee can be, in wei.
    pub fee_wei_max: U256,
    /// The nonce that the client fixed.
    pub nonce: Option<u64>,
    /// The wallet's balance of the chain's own currency, in wei.
    pub balance_wei: Fact<U256>,
    /// Recipients and spenders that this wallet has paid before.
    pub seen: Fact<BTreeSet<Address>>,
    /// What the transaction would do, where that was asked for; absent where nothing needs it or it is switched off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simulated: Option<Fact<Simulated>>,
    /// Without a simulation the request is refused: the chain is configured so, and something needs one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub simulation_required: bool,
    /// What oracles say, where a rule names them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub oracles: Vec<OracleFact>,
    /// What a judge says that read the mandate; absent where none was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opinion: Option<Opinion>,
    /// The most that the chain's configuration lets a unit of gas cost, in wei.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee_ceiling_wei: Option<U256>,
    /// Freezes in force.
    pub freezes: Vec<Freeze>,
    /// What people said to the agent's grant as it stands; absent where nobody said anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pact: Option<PactStanding>,
    /// Gates that people have opened for this operation, with what they opened.
    pub approvals: Vec<GateApproval>,
    /// How the rest is shared among the calls of a bundle, in order; empty for what is one transaction or message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<CallFacts>,
}

/// What belongs to one call of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallFacts {
    /// How many of the actions are its own: they stand in the order of the calls.
    pub actions: usize,
    /// Gas limit.
    pub gas: u64,
    /// The most that its fee can be, in wei.
    pub fee_wei_max: U256,
    /// What it would do by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simulated: Option<Fact<Simulated>>,
}

impl Facts {
    /// The facts of each call by itself, in order; none where this is no bundle.
    #[must_use]
    pub fn of_calls(&self) -> Vec<Self> {
        if self.calls.is_empty() {
            return Vec::new();
        }
        let mut common = self.clone();
        common.actions.clear();
        common.calls.clear();
        common.simulated = None;
        let mut actions = self.actions.iter();
        let of = |call: &CallFacts| Self {
            actions: actions.by_ref().take(call.actions).cloned().collect(),
            gas: call.gas,
            fee_wei_max: call.fee_wei_max,
            simulated: call.simulated.clone(),
            ..common.clone()
        };
        self.calls.iter().map(of).collect()
    }
}

impl Simulated {
    /// What several transactions would do together, as far as each was told by itself.
    #[must_use]
    pub fn together(self, other: Self) -> Self {
        let mut changes = self.changes;
        for change in other.changes {
            match changes.iter_mut().find(|known| known.asset == change.asset) {
                Some(known) => known.add(&change),
                None => changes.push(change),
            }
        }
        Self {
            wallet: self.wallet,
            reverted: self.reverted || other.reverted,
            changes,
            approvals: [self.approvals, other.approvals].concat(),
        }
    }
}

impl Change {
    fn add(&mut self, other: &Self) {
        let lost = self.lost.saturating_add(other.lost);
        let gained = self.gained.saturating_add(other.gained);
        (self.lost, self.gained) = (lost.saturating_sub(gained), gained.saturating_sub(lost));
    }
}
