//! The fakes of the smaller ports do what their documentation says.
#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

use alloy_primitives::{B256, U256};
use countersign_core::{
    time::Millis,
    transaction::{FeeBid, UnsignedTransaction},
};
use countersign_engine::port::{
    Chain, Clock, Prices,
    chain::{Broadcast, Finality},
    prices::PriceError,
};
use countersign_testkit::{
    FakeChain, FakeClock, FixedPrices, ManualTime,
    chain::Mood,
    fixture::{CHAIN, address, intent},
};
use k256::ecdsa::SigningKey;

fn key() -> SigningKey {
    SigningKey::from_slice(&[7; 32]).unwrap()
}

/// A signed payment of `wei`, with its hash.
fn signed(nonce: u64, wei: u64, max_fee: u128) -> (alloy_primitives::Bytes, B256) {
    let mut plan = intent(wei).plan().unwrap().clone();
    plan.fee = FeeBid::Dynamic { max_fee, tip: 1 };
    let transaction = UnsignedTransaction { plan, nonce };
    let hash = transaction.signing_hash();
    let signature = key().sign_prehash_recoverable(hash.as_slice()).unwrap();
    transaction.encode_signed(signature.into())
}

fn funded() -> FakeChain {
    let chain = FakeChain::new(CHAIN);
    let sender = alloy_primitives::Address::from_private_key(&key());
    chain.fund(sender, U256::from(10_u64).pow(U256::from(18)));
    chain
}

const FEE: u128 = 2_000_000_000;

#[tokio::test]
async fn the_chain_mines_in_turn_and_takes_blocks_back() {
    let chain = funded();
    chain.set_confirmations(2);
    let ((first, hash), (second, later)) = (signed(0, 5, FEE), signed(1, 6, FEE));
    assert_eq!(chain.broadcast(&second, later).await, Broadcast::Accepted);
    chain.mine();
    assert_eq!(chain.receipt(later).await.unwrap(), None, "it is not its turn");
    assert_eq!(chain.broadcast(&first, hash).await, Broadcast::Accepted);
    assert_eq!(chain.broadcast(&first, hash).await, Broadcast::Accepted, "known already");
    chain.mine();
    let receipt = chain.receipt(later).await.unwrap().unwrap();
    assert!(receipt.succeeded);
    assert_eq!(chain.peek(address(2)).balance, U256::from(11));
    assert_eq!(chain.finality(&receipt).await.unwrap(), Finality::Pending);
    chain.mine();
    assert_eq!(chain.finality(&receipt).await.unwrap(), Finality::Final);
    let answer = chain.broadcast(&first, hash).await;
    assert!(matches!(answer, Broadcast::NonceTooLow(_)), "{answer:?}");
    chain.reorg(2);
    assert_eq!(chain.receipt(later).await.unwrap(), None);
    assert_eq!(chain.finality(&receipt).await.unwrap(), Finality::Pending, "nothing is there yet");
    chain.mine();
    assert_eq!(chain.finality(&receipt).await.unwrap(), Finality::Gone);
    assert_eq!(chain.peek(address(2)).balance, U256::from(11));
}

#[tokio::test]
async fn a_reorg_changes_the_hashes_of_the_blocks_it_takes_and_of_no_other() {
    for dropping in [false, true] {
        let chain = funded();
        let (raw, hash) = signed(0, 5, FEE);
        chain.mine();
        chain.broadcast(&raw, hash).await;
        chain.mine();
        let receipt = chain.receipt(hash).await.unwrap().unwrap();
        for _ in 0..64 {
            chain.mine();
        }
        let before = hashes(&chain, 0..=67).await;
        assert_eq!(before[2], Some(receipt.block_hash));
        assert!(before[66].is_some() && before[67].is_none());
        if dropping {
            chain.reorg_dropping(65);
        } else {
            chain.reorg(65);
        }
        assert_eq!(hashes(&chain, 0..=2).await, [before[0], before[1], None]);
        assert_eq!(chain.head().await.unwrap().hash, before[1].unwrap());
        chain.mine();
        assert_ne!(chain.block_hash(2).await.unwrap(), before[2]);
        assert_eq!(chain.finality(&receipt).await.unwrap(), Finality::Gone);
        assert_eq!(chain.receipt(hash).await.unwrap().is_some(), !dropping);
        let paid = if dropping { 0 } else { 5 };
        assert_eq!(chain.peek(address(2)).balance, U256::from(paid));
    }
}

async fn hashes(chain: &FakeChain, heights: impl Iterator<Item = u64>) -> Vec<Option<B256>> {
    let mut hashes = Vec::new();
    for height in heights {
        hashes.push(chain.block_hash(height).await.unwrap());
    }
    hashes
}

#[tokio::test]
async fn the_node_refuses_loses_and_drops_as_it_is_told() {
    let chain = funded();
    let (raw, hash) = signed(0, 5, FEE);
    chain.set_mood(Mood::Refuses("no".into()));
    assert_eq!(chain.broadcast(&raw, hash).await, Broadcast::Refused("no".into()));
    for (mood, mined) in [(Mood::Drops, false), (Mood::LosesReplies, true)] {
        chain.set_mood(mood);
        assert!(matches!(chain.broadcast(&raw, hash).await, Broadcast::Unknown(_)));
        chain.mine();
        assert_eq!(chain.receipt(hash).await.unwrap().is_some(), mined);
    }
    chain.set_mood(Mood::Takes);
    let (raw, hash) = signed(1, 5, FEE);
    assert_eq!(chain.broadcast(&raw, hash).await, Broadcast::Accepted);
    let (rival, other) = signed(1, 6, FEE);
    let answer = chain.broadcast(&rival, other).await;
    assert!(matches!(answer, Broadcast::Underpriced(_)), "{answer:?}");
    let (bump, bumped) = signed(1, 6, 2 * FEE);
    assert_eq!(chain.broadcast(&bump, bumped).await, Broadcast::Accepted);
    chain.set_down(true);
    assert!(chain.head().await.is_err());
}

#[tokio::test]
async fn prices_are_as_they_are_set() {
    let prices = FixedPrices::of(&[("ETH", "3000")]);
    let quote = prices.price("ETH").await.unwrap();
    assert_eq!((quote.price.to_string().as_str(), quote.at), ("3000", None));
    prices.set("ETH", None);
    assert!(matches!(prices.price("ETH").await, Err(PriceError::Unavailable { .. })));
    assert!(matches!(prices.price("USD").await, Err(PriceError::NeverPriced(_))));
}

#[tokio::test]
async fn the_clock_runs_tasks_and_draws_what_never_repeats() {
    let wall = ManualTime::default();
    let clock = FakeClock::new(wall.clone());
    wall.advance(Millis(5));
    assert_eq!(clock.wall(), wall.now());
    assert_ne!(clock.random(), clock.random());
    let (done, ran) = tokio::sync::oneshot::channel();
    clock.spawn(Box::pin(async move { done.send(()).unwrap() }));
    ran.await.unwrap();
    let before = clock.monotonic();
    clock.sleep(Millis(2)).await;
    assert!(clock.monotonic() >= Millis(before.0.saturating_add(2)));
}
