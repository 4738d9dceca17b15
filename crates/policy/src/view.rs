//! One action of one request, seen as the fields that rules name.

use alloy_primitives::{Address, U256};
use countersign_core::{
    abi::AbiValue,
    action::{Action, Effect, Via},
    decimal::Decimal,
    fact::{Asked, Facts, OracleFact},
    intent::Intent,
    token::Asset,
};

use crate::{
    condition::Values,
    field::Field,
    matcher::{Known, Setting},
    signed, simulation,
    truth::Why,
    worth::{self, Worth},
};

/// What is the same for every action of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) intent: &'a Intent,
    pub(crate) facts: &'a Facts,
    pub(crate) fee: Worth,
    pub(crate) risk: u8,
}

/// One action.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) request: Request<'a>,
    pub(crate) action: &'a Action,
    pub(crate) usd: Worth,
    /// Look at what the agent calls the action, not at what it is.
    pub(crate) declared: bool,
}

/// Who stands at the other end: the recipient, the spender, or the contract that is called.
pub(crate) fn counterparty(action: &Action) -> Option<Address> {
    Asked::Counterparty.of(action)
}

/// What is moved or may be.
pub(crate) const fn asset(action: &Action) -> Option<&Asset> {
    match &action.effect {
        Effect::Transfer { asset, .. }
        | Effect::Approve { asset, .. }
        | Effect::Revoke { asset, .. } => Some(asset),
        Effect::Call
        | Effect::Deploy { .. }
        | Effect::Undecodable { .. }
        | Effect::Delegate { .. }
        | Effect::TypedData { .. }
        | Effect::Text { .. }
        | Effect::Opaque { .. } => None,
    }
}

impl Values for View<'_> {
    fn setting(&self) -> Setting {
        Setting { wallet: self.request.intent.address, now: self.request.facts.at }
    }

    fn value(&self, field: &Field) -> Result<Known, Why> {
        let Request { intent, facts, fee, risk } = self.request;
        match field {
            Field::Chain => Ok(number(intent.chain().0)),
            Field::Agent => Ok(Known::Text(intent.agent.to_string())),
            Field::Wallet => Ok(Known::Text(intent.wallet.to_string())),
            Field::Session => text(intent.declared.session.as_ref()),
            Field::Role => text(facts.role.as_ref()),
            Field::Usd => self.usd.map(|usd| number(usd.micros())),
            Field::FeeUsd => fee.map(|usd| number(usd.micros())),
            Field::Gas => Ok(number(facts.gas)),
            Field::Nonce => facts.nonce.map(number).ok_or(Why::Unknowable),
            Field::Now => Ok(number(facts.at.millis())),
            Field::Risk => Ok(Known::Number(U256::from(risk))),
            Field::Context(name) => {
                intent.declared.context.get(name).map(Known::from).ok_or(Why::Unknowable)
            }
            Field::Sim(what) => simulation::said(facts, *what),
            Field::Oracle { name, field } => self.said_by(name, field),
            Field::TextSigned
            | Field::PrimaryType
            | Field::Domain(_)
            | Field::Message(_)
            | Field::Siwe(_) => self.of_message(field),
            Field::Privileged
            | Field::Kind
            | Field::Token
            | Field::Currency
            | Field::Amount
            | Field::Units
            | Field::From
            | Field::To
            | Field::Spender
            | Field::Target
            | Field::Selector
            | Field::Function
            | Field::Argument { .. }
            | Field::ValueWei
            | Field::Action
            | Field::Unlimited
            | Field::Deadline
            | Field::Via
            | Field::Depth
            | Field::RecipientSeen
            | Field::BalanceShare => self.of_action(field),
        }
    }
}

impl View<'_> {
    fn of_action(&self, field: &Field) -> Result<Known, Why> {
        let action = self.action;
        match field {
            Field::Kind => Ok(Known::Text(action.effect.kind().to_owned())),
            Field::Action => Ok(Known::Text(self.label().to_owned())),
            Field::Target if matches!(action.effect, Effect::Delegate { chain: None, .. }) => {
                // code that may act on every chain is on nobody's list
                Err(Why::Unknowable)
            }
            Field::Target => Ok(action.target.map_or(Known::Nothing, Known::Address)),
            Field::Selector => Ok(action.selector.map_or(Known::Nothing, |s| {
                Known::Bytes(alloy_primitives::Bytes::copy_from_slice(s.as_slice()))
            })),
            Field::Function => Ok(Known::Call(
                action.functions.iter().map(|call| call.signature.clone()).collect(),
                action.selector,
            )),
            Field::Argument { signatures, path } => {
                let call =
                    action.functions.iter().find(|call| signatures.contains(&call.signature));
                let value = call.and_then(|call| call.args.at(&path.0));
                value.map(Known::from).ok_or(Why::Unknowable)
            }
            Field::ValueWei => Ok(Known::Number(action.value_wei)),
            Field::Privileged => Ok(Known::Bool(action.privileged)),
            Field::Via => Ok(Known::Text(via(action.via).to_owned())),
            Field::Depth => Ok(Known::Number(U256::from(action.depth))),
            Field::RecipientSeen => self.seen().map(Known::Bool),
            Field::BalanceShare => self.balance_share().map(Known::Number),
            Field::Token => asset(action).map(|asset| self.token(asset)).ok_or(Why::Unknowable),
            Field::Currency => self.currency().map(Known::Text),
            Field::Units => self.units().map(Known::Decimal),
            Field::Chain
            | Field::Agent
            | Field::Wallet
            | Field::Session
            | Field::Role
            | Field::Amount
            | Field::Usd
            | Field::From
            | Field::To
            | Field::Spender
            | Field::Gas
            | Field::FeeUsd
            | Field::Nonce
            | Field::Unlimited
            | Field::Deadline
            | Field::Now
            | Field::Risk
            | Field::TextSigned
            | Field::PrimaryType
            | Field::Domain(_)
            | Field::Context(_)
            | Field::Message(_)
            | Field::Siwe(_)
            | Field::Sim(_)
            | Field::Oracle { .. } => self.of_effect(field),
        }
    }

    fn of_effect(&self, field: &Field) -> Result<Known, Why> {
        match (&self.action.effect, field) {
            (Effect::Transfer { amount, .. }, Field::Amount) => Ok(Known::Number(*amount)),
            (Effect::Transfer { from, .. }, Field::From) => Ok(Known::Address(*from)),
            (Effect::Transfer { to, .. }, Field::To) => Ok(Known::Address(*to)),
            (Effect::Approve { amount, unlimited, .. }, Field::Amount) => {
                Ok(Known::Number(if *unlimited { U256::MAX } else { *amount }))
            }
            (Effect::Approve { spender, .. } | Effect::Revoke { spender, .. }, Field::Spender) => {
                Ok(Known::Address(*spender))
            }
            (Effect::Approve { unlimited, .. }, Field::Unlimited) => Ok(Known::Bool(*unlimited)),
            // an authority without an end ends after everything
            (Effect::Approve { deadline, .. }, Field::Deadline) => {
                Ok(Known::Number(deadline.unwrap_or(U256::MAX)))
            }
            _ => Err(Why::Unknowable),
        }
    }

    /// What is signed besides transactions. What a login does not say is known not to be there.
    fn of_message(&self, field: &Field) -> Result<Known, Why> {
        let at = |value: &AbiValue, path: &str| value.at(path).map(Known::from);
        match (&self.action.effect, field) {
            (Effect::Text { text, .. }, Field::TextSigned) => Ok(Known::Text(text.clone())),
            (Effect::Text { siwe: Some(siwe), .. }, Field::Siwe(path)) => {
                Ok(at(siwe, &path.0).unwrap_or(Known::Nothing))
            }
            (Effect::Text { siwe: None, .. }, Field::Siwe(_)) => Ok(Known::Nothing),
            (Effect::TypedData { primary_type, .. }, Field::PrimaryType) => {
                Ok(Known::Text(primary_type.clone()))
            }
            (_, Field::PrimaryType | Field::Domain(_) | Field::Message(_))
                if !matches!(self.action.effect, Effect::TypedData { .. }) =>
            {
                self.of_typed_data(field)
            }
            (Effect::TypedData { domain, .. }, Field::Domain(path)) => {
                Ok(at(domain, &path.0).unwrap_or(Known::Nothing))
            }
            (Effect::TypedData { message, .. }, Field::Message(path)) => {
                at(message, &path.0).ok_or(Why::Unknowable)
            }
            _ => Err(Why::Unknowable),
        }
    }

    /// What an oracle says of this action.
    fn said_by(&self, oracle: &str, field: &str) -> Result<Known, Why> {
        let about = |fact: &&OracleFact| {
            fact.oracle == oracle && fact.asks.of(self.action) == Some(fact.address)
        };
        let said = self.request.facts.oracles.iter().find(about).and_then(|fact| fact.says.known());
        said.and_then(|said| said.get(field)).map(Known::from).ok_or(Why::Unknowable)
    }

    /// A field of typed data whose meaning is known; a transaction has none.
    fn of_typed_data(&self, field: &Field) -> Result<Known, Why> {
        match (self.action.via, self.request.intent.message()) {
            (Via::Signature, Some(message)) => signed::said(message, field).ok_or(Why::Unknowable),
            (Via::Signature, None) => Err(Why::Unknowable),
            (Via::Call, _) => Ok(Known::Nothing),
        }
    }

    /// What its token is called: `USDC` for `usdc@8453`.
    fn currency(&self) -> Result<String, Why> {
        let asset = asset(self.action).ok_or(Why::Unknowable)?;
        let fact = worth::token(self.request.facts, asset).ok_or(Why::Unknowable)?;
        let name = fact.name.rsplit_once('@').map_or(fact.name.as_str(), |(name, _)| name);
        Ok(name.to_ascii_uppercase())
    }

    /// The amount in whole units of its token.
    fn units(&self) -> Result<Decimal, Why> {
        let asset = asset(self.action).ok_or(Why::Unknowable)?;
        let decimals = worth::token(self.request.facts, asset).ok_or(Why::Unknowable)?.decimals;
        let Known::Number(amount) = self.of_effect(&Field::Amount)? else {
            return Err(Why::Unknowable);
        };
        Decimal::scaled(amount, decimals).ok_or(Why::Unknowable)
    }

    fn label(&self) -> &str {
        let declared = self.request.intent.declared.action.as_deref().filter(|_| self.declared);
        declared.unwrap_or(&self.action.label)
    }

    fn token(&self, asset: &Asset) -> Known {
        let fact = worth::token(self.request.facts, asset);
        Known::Token(fact.map(|fact| fact.name.to_ascii_lowercase()), asset.contract())
    }

    fn seen(&self) -> Result<bool, Why> {
        let seen = self.request.facts.seen.known().ok_or(Why::Unknowable)?;
        counterparty(self.action).map(|address| seen.contains(&address)).ok_or(Why::Unknowable)
    }

    /// Hundredths of a percent of the wallet's own currency that this action takes, rounded up.
    fn balance_share(&self) -> Result<U256, Why> {
        let wei = match &self.action.effect {
            Effect::Transfer { asset: Asset::Native, amount, .. } => *amount,
            Effect::Transfer { .. } => return Err(Why::Unknowable),
            Effect::Approve { .. }
            | Effect::Revoke { .. }
            | Effect::Call
            | Effect::Deploy { .. }
            | Effect::Undecodable { .. }
            | Effect::Delegate { .. }
            | Effect::TypedData { .. }
            | Effect::Text { .. }
            | Effect::Opaque { .. } => self.action.value_wei,
        };
        let balance = self.request.facts.balance_wei.known().ok_or(Why::Unknowable)?;
        share_bps(wei, *balance).ok_or(Why::Unknowable)
    }
}

/// `part` of `whole` in hundredths of a percent, rounded up; `None` where that cannot be said.
pub(crate) fn share_bps(part: U256, whole: U256) -> Option<U256> {
    if part.is_zero() {
        return Some(U256::ZERO);
    }
    let scaled = part.checked_mul(U256::from(10_000))?;
    (!whole.is_zero()).then(|| scaled.div_ceil(whole))
}

fn number(value: u64) -> Known {
    Known::Number(U256::from(value))
}

fn text(value: Option<&String>) -> Result<Known, Why> {
    value.map(|text| Known::Text(text.clone())).ok_or(Why::Unknowable)
}

const fn via(via: Via) -> &'static str {
    match via {
        Via::Call => "call",
        Via::Signature => "signature",
    }
}
