//! What the configuration says, resolved: an immutable snapshot that a reload replaces whole.

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::Address;
use countersign_core::{
    approval::passkey::{PasskeyKey, RelyingParty},
    identity::{AgentId, AppId, ChainId, OperatorId, WalletId},
    shelf::{ChangeGate, PolicyKey},
    time::Millis,
};
use countersign_decode::Registry;
use countersign_policy::Policy;

use crate::port::{Chain, Courier, Judge, Oracles, Prices, Signer};

/// Everything that a request may be served with. A request keeps the snapshot that it began with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The tenant.
    pub app: AppId,
    /// Chains by id.
    pub chains: BTreeMap<ChainId, ChainSetup>,
    /// Wallets by id.
    pub wallets: BTreeMap<WalletId, WalletSetup>,
    /// Agents by id.
    pub agents: BTreeMap<AgentId, AgentSetup>,
    /// Operators by id.
    pub operators: BTreeMap<OperatorId, OperatorSetup>,
    /// Every guard; each says for itself whom it covers.
    pub guards: Vec<Policy>,
    /// Where USD prices come from.
    pub prices: Arc<dyn Prices>,
    /// Whom policies may ask about addresses; without, `oracle.*` is unknown.
    pub oracles: Option<Arc<dyn Oracles>>,
    /// Where passkeys are used; without, none is believed.
    pub passkeys: Option<RelyingParty>,
    /// Who reads mandates; without, they are for people only.
    pub judge: Option<Arc<dyn Judge>>,
    /// Who tells people outside what happened.
    pub couriers: Vec<Arc<dyn Courier>>,
    /// How policies are changed while the gateway runs.
    pub changes: PolicyChanges,
}

impl Setup {
    /// The wallet with this address that this agent may use.
    #[must_use]
    pub fn wallet_of(&self, agent: &AgentSetup, address: Address) -> Option<&WalletSetup> {
        agent.wallets.iter().filter_map(|id| self.wallets.get(id)).find(|w| w.address == address)
    }

    /// The wallet with this address, whoever may use it.
    #[must_use]
    pub fn wallet_at(&self, address: Address) -> Option<&WalletSetup> {
        self.wallets.values().find(|wallet| wallet.address == address)
    }

    /// The same with another grant for one agent: the gateway as it would be with that version in force.
    #[must_use]
    pub(crate) fn with_grant(&self, agent: &AgentId, grant: &Policy) -> Self {
        let mut other = self.clone();
        for chain in other.chains.values_mut() {
            for (of, function) in grant.functions() {
                chain.registry.add_function(of, function);
            }
        }
        if let Some(agent) = other.agents.get_mut(agent) {
            agent.grant = grant.clone();
        }
        other
    }

    /// Whether the key of this address is here: then nobody else ought to have a signature of it that was not made here.
    #[must_use]
    pub fn holds_key_of(&self, address: Address) -> bool {
        self.wallet_at(address).is_some_and(|wallet| !wallet.signer.is_external())
    }
}

/// One chain.
#[derive(Debug, Clone)]
pub struct ChainSetup {
    /// Its id.
    pub id: ChainId,
    /// Its name: an alternative to the id in a path.
    pub name: String,
    /// The nodes.
    pub port: Arc<dyn Chain>,
    /// The most that `maxFeePerGas` or `gasPrice` may be, in wei per gas.
    pub fee_ceiling: u128,
    /// The chain's own currency.
    pub native: TokenSetup,
    /// Tokens that policies may name.
    pub tokens: Vec<TokenSetup>,
    /// Collections of items that policies may name.
    pub collections: Vec<CollectionSetup>,
    /// What the decoder knows: standards, tokens, contracts, and the functions that policies name.
    pub registry: Registry,
    /// How long a committed transaction with an earlier nonce may be waited for.
    pub gap_wait: Millis,
    /// How long the next transaction of a wallet may stay unmined before its fee is raised; zero: for ever.
    pub bump_after: Millis,
    /// Whether a node may be asked what a transaction would do.
    pub simulation: SimulationMode,
    /// Where people look at this chain: `{explorer}/tx/{hash}` shows a transaction. Never asked by the gateway.
    pub explorer: Option<String>,
}

/// Whether a node is asked what a transaction would do, where a judgement needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SimulationMode {
    /// Never: whoever needs it goes without.
    Off,
    /// Where it answers.
    WhenAvailable,
    /// And without an answer the request is refused.
    Required,
}

/// A token that policies may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSetup {
    /// As policies say: `usdc@31337`; the chain's own currency is `eth@31337`.
    pub name: String,
    /// The contract; `None` for the chain's own currency.
    pub address: Option<Address>,
    /// Base units per whole unit, as a power of ten.
    pub decimals: u8,
    /// What price sources call it: `ETH`, `USD`.
    pub symbol: String,
}

/// A collection of items (ERC-721, ERC-1155) that policies may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionSetup {
    /// As policies say: `apes@31337`.
    pub name: String,
    /// The contract.
    pub address: Address,
    /// What price sources call one item of it.
    pub symbol: String,
    /// The most items of it that a wallet holds; `None` where nobody says.
    pub held_max: Option<u64>,
}

/// One wallet.
#[derive(Debug, Clone)]
pub struct WalletSetup {
    /// Its id.
    pub id: WalletId,
    /// Its address.
    pub address: Address,
    /// Who signs for it.
    pub signer: WalletSigner,
    /// The most operations that may be committed and not terminal, per chain.
    pub in_flight_max: u32,
}

/// Who signs for a wallet.
#[derive(Debug, Clone)]
pub enum WalletSigner {
    /// The gateway, with its key.
    Held(Arc<dyn Signer>),
    /// Its owner, elsewhere: the gateway judges what was signed, and can put nothing in its place.
    External,
}

impl WalletSigner {
    /// Whether the key is somewhere else.
    #[must_use]
    pub const fn is_external(&self) -> bool {
        match self {
            Self::External => true,
            Self::Held(_) => false,
        }
    }

    /// Whether what is bound makes the same bytes whenever it is signed: by RFC 6979, or because its owner's signature is
    /// a part of it.
    #[must_use]
    pub fn is_deterministic(&self) -> bool {
        match self {
            Self::Held(key) => key.is_deterministic(),
            Self::External => true,
        }
    }
}

impl<S: Signer + 'static> From<Arc<S>> for WalletSigner {
    fn from(signer: Arc<S>) -> Self {
        Self::Held(signer)
    }
}

/// One agent.
#[derive(Debug, Clone)]
pub struct AgentSetup {
    /// Its id.
    pub id: AgentId,
    /// The wallets that it may use, the default first.
    pub wallets: Vec<WalletId>,
    /// Its grant.
    pub grant: Policy,
    /// The person who owns it, and therefore never approves for it.
    pub owner: Option<String>,
    /// Its role, as a fact.
    pub role: Option<String>,
    /// How long an equal request counts as a repetition; zero turns it off.
    pub duplicate_window: Millis,
    /// How long a parked call is held open before it is answered "pending".
    pub hold: Millis,
    /// The most operations of it that may wait for people at once.
    pub parked_max: u32,
    /// When it is frozen for its denials; without, never.
    pub breaker: Option<Breaker>,
    /// How its grant came into force.
    pub shelf: OnShelf,
}

/// How a grant came into force, where versions of it are kept.
#[derive(Debug, Clone, Default)]
pub struct OnShelf {
    /// Which version it is; `None` where there was never anything but a file.
    pub version: Option<u64>,
    /// The configured file's policy; `None` where the grant is just that.
    pub file: Option<Policy>,
}

impl AgentSetup {
    /// The policy of the configured file, which may be another than the one in force.
    #[must_use]
    pub fn file(&self) -> &Policy {
        self.shelf.file.as_ref().unwrap_or(&self.grant)
    }
}

/// How policies are changed while the gateway runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyChanges {
    /// Who lets one be loosened, and how long that takes.
    pub gate: ChangeGate,
    /// Who signs policies; where somebody does, nothing unsigned comes into force.
    pub keys: Vec<PolicyKey>,
}

/// How many denials freeze an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    /// So many.
    pub denials: u32,
    /// Within this time.
    pub within: Millis,
}

/// One operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorSetup {
    /// Its id.
    pub id: OperatorId,
    /// What it may do.
    pub roles: Vec<Role>,
    /// The person behind it.
    pub person: String,
    /// The groups that it votes for.
    pub groups: Vec<String>,
    /// Whose key signs its approvals, where a gate asks for that.
    pub address: Option<Address>,
    /// The passkeys that sign its approvals.
    pub passkeys: Vec<PasskeySetup>,
}

/// One passkey of an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeySetup {
    /// The credential's id, in base64url.
    pub id: String,
    /// Its public key.
    pub public_key: PasskeyKey,
}

/// What an operator may do (CONTRACT §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Look.
    View,
    /// Approve and reject.
    Approve,
    /// Change policies.
    Policy,
    /// Freeze and unfreeze, seal and unseal.
    Freeze,
}
