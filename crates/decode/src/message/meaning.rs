//! Typed data that we know: what its signature allows.

mod account;
mod allowance;
mod order;
mod permit2;

use alloy_primitives::{Address, U256};
use countersign_core::{
    abi::DecodedCall,
    action::{Action, Effect, Via},
    identity::ChainId,
    message::{Lasting, Probe},
    token::Asset,
};

use super::{Authority, signed, typed_data::TypedData};
use crate::{EXPANSION_BYTES_MAX, LEAVES_MAX, registry::Registry, standard::Arguments};

/// Why typed data means none of what we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfit {
    /// It may mean anything.
    Unknown,
    /// What it means is never signed.
    Never(&'static str),
}

/// A field of another name or type than the table's type says: only a wrong table does that.
impl From<&'static str> for Unfit {
    fn from(_: &'static str) -> Self {
        Self::Unknown
    }
}

/// What a type means, where its domain fits.
type Meaning = fn(Scene<'_>) -> Result<Authority, Unfit>;

/// Types as contracts hash them, with what they mean.
type Table = [(&'static str, Meaning)];

/// Typed data in a domain that names the chain and a contract.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene<'a> {
    /// Who signs.
    pub(super) wallet: Address,
    pub(super) chain: ChainId,
    /// The contract that verifies the signature.
    pub(super) contract: Address,
    pub(super) data: &'a TypedData,
    pub(super) registry: &'a Registry,
}

/// What a signature would allow, where it is one of those that we know.
pub(super) fn meaning(scene: Scene<'_>) -> Result<Authority, Unfit> {
    let kind = scene.data.encode_type();
    let tables = [allowance::TABLE, permit2::TABLE, order::TABLE, account::TABLE];
    let known = tables.into_iter().flatten().find(|(known, _)| *known == kind);
    let authority = match known {
        Some((_, meaning)) => meaning(scene)?,
        None => permit2::with_witness(scene, &kind)?,
    };
    match authority.actions.len() {
        0 => Err(Unfit::Unknown),
        count if count <= LEAVES_MAX => scene.explained(authority, kind),
        _ => Err(Unfit::Never("more items than one message may have")),
    }
}

impl Scene<'_> {
    fn fields(&self) -> Arguments<'_> {
        Arguments(self.data.message())
    }

    /// Whoever is named here gives the authority: it must be who signs.
    fn owner(&self, field: &str) -> Result<Address, Unfit> {
        match self.fields().address(field)? {
            owner if owner == self.wallet => Ok(owner),
            _ => Err(Unfit::Never("in the name of another account than the wallet")),
        }
    }

    /// The domain is exactly this, besides the chain and the contract.
    fn named(&self, name: &str, version: Option<&str>) -> Result<(), Unfit> {
        let domain = self.data.domain();
        let fits = domain.name.as_deref() == Some(name)
            && domain.version.as_deref() == version
            && domain.salt.is_none();
        if fits { Ok(()) } else { Err(Unfit::Unknown) }
    }

    /// Every leaf that comes from the message itself carries the message.
    fn explained(&self, mut authority: Authority, kind: String) -> Result<Authority, Unfit> {
        let own = authority.actions.iter_mut().filter(|action| action.target.is_none());
        let mut own: Vec<_> = own.collect();
        if own.len().saturating_mul(self.data.canonical_json().len()) > EXPANSION_BYTES_MAX {
            return Err(Unfit::Never("more items than one message may have"));
        }
        let read = DecodedCall { signature: kind, args: self.data.message().clone() };
        for action in &mut own {
            action.target = Some(self.contract);
            if !matches!(action.effect, Effect::TypedData { .. }) {
                action.functions.push(read.clone());
            }
        }
        Ok(authority)
    }

    /// The message as it is, beside what it moves: a rule has to allow its terms.
    fn terms(&self) -> Action {
        signed(super::unknown(self.data))
    }

    /// What an allowance over an ERC-20 would be. Nothing allowed takes away, but only at a token that we know:
    /// what a number means elsewhere is the contract's secret.
    fn allowance(&self, spender: Address, amount: U256, deadline: Option<U256>) -> Effect {
        let asset = Asset::Token(self.contract);
        if amount.is_zero() && self.registry.is_token(self.contract) {
            return Effect::Revoke { asset, spender };
        }
        let unlimited = amount == U256::MAX;
        Effect::Approve { asset, owner: self.wallet, spender, amount, unlimited, deadline }
    }
}

impl Authority {
    /// What may be used until a second that never comes is for ever. Without a probe nobody can tell whether it was.
    fn new(effects: Vec<Effect>, until: Option<u64>, probe: Option<Probe>) -> Self {
        let lasting = Lasting { until, used_up: probe.into_iter().collect() };
        Self { actions: effects.into_iter().map(signed).collect(), lasting: Some(lasting) }
    }

    fn and(mut self, action: Action) -> Self {
        self.actions.push(action);
        self
    }
}

/// The last second of the chain's clock, where it has one that can come.
fn until(deadline: U256) -> Option<u64> {
    u64::try_from(deadline).ok()
}

/// As above, where the deadline itself is too late.
fn before(deadline: U256) -> Option<u64> {
    until(deadline.saturating_sub(U256::ONE))
}
