//! What a transaction would do is asked for where a judgement needs it, and nowhere else.

use alloy_primitives::{Address, Bytes, U256};
use countersign_core::{
    fact::{Change, Simulated},
    token::Asset,
};
use countersign_engine::{
    setup::{Setup, SimulationMode, TokenSetup},
    submission::{Answer, Submission},
};

use crate::house::{House, PAYEE, draft, eth, send, take};

const DOLLAR: Address = Address::new([0xdd; 20]);

const POLICY: &str = r"
policy: trader
kind: grant
for: { agent: trader }
rules:
  - { id: any, when: { kind: [call, transfer] }, then: allow }
limits:
  - { id: cap, sum: usd, per: tx, max: 500, code: per_tx_limit_exceeded }
";

fn setup(house: &House, simulation: SimulationMode) -> Setup {
    let mut setup = house.setup(POLICY);
    for chain in setup.chains.values_mut() {
        chain.simulation = simulation;
        chain.tokens.push(TokenSetup {
            name: "usdc@31337".into(),
            address: Some(DOLLAR),
            decimals: 6,
            symbol: "ETH".into(),
        });
    }
    setup
}

/// A call that nobody can read.
fn call(house: &House) -> Submission {
    let mut call = send(house, PAYEE, 0);
    draft(&mut call).data = Bytes::from_static(&[1, 2, 3, 4]);
    house.chain.deploy(PAYEE);
    call
}

/// It takes so many thousandths of a token that is worth 1000 USD.
fn takes(house: &House, thousandths: u64) {
    let lost = U256::from(thousandths * 1000);
    let change = Change { asset: Asset::Token(DOLLAR), lost, gained: U256::ZERO };
    house.chain.set_simulated(Some(Simulated {
        wallet: house.signer_address(),
        reverted: false,
        changes: vec![change],
        approvals: vec![],
    }));
}

async fn code(house: &House, simulation: SimulationMode, submission: Submission) -> String {
    let engine = house.gateway().await;
    engine.replace(setup(house, simulation));
    match take(engine.submit(submission).await) {
        Answer::Denied(denied) => denied.code,
        Answer::Signed(_) => "sent".into(),
        other => format!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_call_is_worth_what_it_is_seen_to_take() {
    for (thousandths, expect) in [(500, "sent"), (501, "per_tx_limit_exceeded")] {
        let house = House::new();
        takes(&house, thousandths);
        let call = call(&house);
        assert_eq!(code(&house, SimulationMode::WhenAvailable, call).await, expect);
        assert_eq!(house.chain.simulations(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_can_tell_is_unknown_or_refused() {
    for (simulation, expect, asked) in [
        (SimulationMode::Off, "per_tx_limit_exceeded", 0),
        (SimulationMode::WhenAvailable, "per_tx_limit_exceeded", 1),
        (SimulationMode::Required, "simulation_failed", 1),
    ] {
        let house = House::new();
        let call = call(&house);
        assert_eq!(code(&house, simulation, call).await, expect, "{simulation:?}");
        assert_eq!(house.chain.simulations(), asked, "{simulation:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_plain_is_not_simulated() {
    let house = House::new();
    let pays = send(&house, PAYEE, 10);
    assert_eq!(code(&house, SimulationMode::Required, pays).await, "sent");
    assert_eq!(house.chain.simulations(), 0);
    house.chain.mine();
    assert_eq!(house.paid(), eth(10));
}

/// Attack PR-3.
#[tokio::test(start_paused = true)]
async fn a_token_that_contradicts_the_configuration_is_refused() {
    for (said, expect) in [(6_u64, "sent"), (77, "token_decimals_differ")] {
        let house = House::new();
        takes(&house, 1);
        house.chain.set_decimals(DOLLAR, U256::from(said));
        let call = call(&house);
        assert_eq!(code(&house, SimulationMode::WhenAvailable, call).await, expect);
    }
}
