//! One wallet, one agent, ether at 1000 USD and a dollar token: what the tests of `decide` happen in.

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256, Bytes, U256};
use countersign_core::{
    action::{Action, Effect, Via},
    approval::{Gate, GateApproval, Vote},
    fact::{Fact, Facts, TokenFact},
    identity::{AgentId, ChainId, OperatorId, PolicyId, WalletId},
    intent::{Declared, Intent, Method, Payload},
    token::Asset,
    transaction::{FeeBid, TransactionPlan, TransactionType},
};
use countersign_policy::{Policies, Policy};

pub(crate) const WALLET: Address = Address::repeat_byte(0x5e);
pub(crate) const FRIEND: Address = Address::repeat_byte(0x11);
pub(crate) const STRANGER: Address = Address::repeat_byte(0x99);
pub(crate) const DOLLAR: Address = Address::repeat_byte(0xdd);

/// A 1000th of a USD in wei, at 1000 USD for one ether.
pub(crate) const MILLI_USD: u64 = 1_000_000_000_000;

pub(crate) fn wei(milli_usd: u64) -> U256 {
    U256::from(milli_usd) * U256::from(MILLI_USD)
}

pub(crate) fn intent() -> Intent {
    Intent {
        agent: AgentId::parse("bot").unwrap(),
        wallet: WalletId::parse("ops-1").unwrap(),
        address: WALLET,
        method: Method::SendTransaction,
        payload: Payload::Transaction(TransactionPlan {
            chain: ChainId(31337),
            kind: TransactionType::DynamicFee,
            to: Some(FRIEND),
            value: U256::ZERO,
            data: Bytes::new(),
            gas: 21_000,
            fee: FeeBid::Dynamic { max_fee: 0, tip: 0 },
            access_list: Vec::new(),
            authorizations: Vec::new(),
        }),
        data_fee_max: alloy_primitives::U256::ZERO,
        nonce: None,
        signature: None,
        declared: Declared::default(),
        bundle: None,
    }
}

pub(crate) fn action(effect: Effect, target: Option<Address>) -> Action {
    Action {
        label: effect.kind().to_owned(),
        effect,
        target,
        selector: None,
        functions: Vec::new(),
        value_wei: U256::ZERO,
        via: Via::Call,
        depth: 0,
        privileged: false,
        unlisted: false,
        foreign: false,
        spends: None,
    }
}

/// Ether to somebody.
pub(crate) fn pay(to: Address, milli_usd: u64) -> Action {
    let amount = wei(milli_usd);
    let effect = Effect::Transfer { asset: Asset::Native, from: WALLET, to, amount };
    Action { value_wei: amount, ..action(effect, Some(to)) }
}

pub(crate) fn revoke() -> Action {
    let effect = Effect::Revoke { asset: Asset::Token(DOLLAR), spender: STRANGER };
    action(effect, Some(DOLLAR))
}

pub(crate) fn token(asset: Asset, name: &str, decimals: u8, price: &str) -> TokenFact {
    let price = Fact::Known(price.parse().unwrap());
    let name = name.to_owned();
    TokenFact {
        asset,
        name,
        decimals,
        price,
        never_priced: false,
        decimals_said: None,
        held_max: None,
    }
}

pub(crate) fn facts(actions: Vec<Action>) -> Facts {
    Facts {
        at: "2026-01-05T12:00:00Z".parse().unwrap(),
        role: None,
        owner: None,
        actions,
        tokens: vec![
            token(Asset::Native, "eth@31337", 18, "1000"),
            token(Asset::Token(DOLLAR), "usdc@31337", 6, "1"),
        ],
        gas: 21_000,
        fee_wei_max: U256::ZERO,
        nonce: None,
        balance_wei: Fact::Known(U256::from(u128::MAX)),
        seen: Fact::Known(BTreeSet::from([FRIEND])),
        simulated: None,
        simulation_required: false,
        oracles: Vec::new(),
        opinion: None,
        fee_ceiling_wei: None,
        freezes: Vec::new(),
        pact: None,
        approvals: Vec::new(),
        calls: Vec::new(),
    }
}

pub(crate) fn vote(name: &str) -> Vote {
    Vote {
        operator: OperatorId::parse(name).unwrap(),
        person: name.to_owned(),
        groups: Vec::new(),
        note: None,
        at: "2026-01-05T11:00:00Z".parse().unwrap(),
        signature: None,
    }
}

pub(crate) fn approval(gate: &Gate, asked_by: &[&str], voters: &[&str]) -> GateApproval {
    GateApproval {
        gate: gate.clone(),
        asked_by: asked_by.iter().map(|rule| (*rule).to_owned()).collect(),
        votes: voters.iter().map(|name| vote(name)).collect(),
        fee_wei_max: U256::ZERO,
        usd: None,
        policy: PolicyId(B256::ZERO),
    }
}

pub(crate) fn grant(rest: &str) -> Policy {
    let source = format!("policy: grant\nkind: grant\n{rest}");
    Policy::parse_untested(&source, "grant.yaml").unwrap_or_else(|errors| panic!("{errors}"))
}

pub(crate) fn guard(rest: &str) -> Policy {
    let source = format!("policy: guard\nkind: guard\n{rest}");
    Policy::parse_untested(&source, "guard.yaml").unwrap_or_else(|errors| panic!("{errors}"))
}

pub(crate) fn alone(grant: Policy) -> Policies {
    Policies { grant, guards: Vec::new() }
}
