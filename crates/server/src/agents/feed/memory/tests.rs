use countersign_testkit::{FakeChain, fixture};
use serde_json::Value;

use super::*;

const TOPIC: B256 = B256::repeat_byte(7);

fn chain() -> FakeChain {
    let chain = FakeChain::new(fixture::CHAIN);
    chain.mine();
    chain
}

/// One block with one log of its own.
fn mine(chain: &FakeChain, mark: u8) {
    chain.log(alloy_primitives::Address::repeat_byte(mark), &[TOPIC]);
    chain.mine();
}

async fn begun(chain: &FakeChain) -> Memory {
    let mut memory = Memory::default();
    memory.begin(chain).await.unwrap();
    memory
}

/// What a look shows: numbers of heads, `+` and `-` with the first byte of the address of logs.
async fn seen(memory: &mut Memory, chain: &FakeChain) -> Vec<String> {
    let Some(look) = memory.look(chain, true).await.unwrap() else { return Vec::new() };
    let shown = look.events().map(|event| match event {
        Event::Head(header) => {
            let header: Value = serde_json::from_str(header).unwrap();
            assert!(header.get("transactions").is_none(), "a header has none");
            header["number"].as_str().unwrap().to_owned()
        }
        Event::Log(log) => {
            let text: Value = serde_json::from_str(&log.text(false)).unwrap();
            assert_eq!((&text["removed"], log.topics.as_slice()), (&false.into(), &[TOPIC][..]));
            format!("+{}", log.address[0])
        }
        Event::Removed(log) => {
            let text: Value = serde_json::from_str(&log.text(true)).unwrap();
            assert_eq!(text["removed"], true);
            format!("-{}", log.address[0])
        }
    });
    shown.collect()
}

#[tokio::test]
async fn every_block_since_the_beginning_is_told_once_and_in_order() {
    let chain = chain();
    let mut memory = begun(&chain).await;
    assert!(seen(&mut memory, &chain).await.is_empty(), "nothing has come");
    mine(&chain, 2);
    mine(&chain, 3);
    chain.mine();
    assert_eq!(seen(&mut memory, &chain).await, ["0x2", "+2", "0x3", "+3", "0x4"]);
    assert!(seen(&mut memory, &chain).await.is_empty());
}

#[tokio::test]
async fn what_the_chain_takes_back_is_taken_back_before_the_other_branch_is_told() {
    let chain = chain();
    let mut memory = begun(&chain).await;
    for mark in [2, 3, 4] {
        mine(&chain, mark);
    }
    seen(&mut memory, &chain).await;
    chain.reorg(2);
    assert!(seen(&mut memory, &chain).await.is_empty(), "a head that is known is no news");
    mine(&chain, 5);
    assert_eq!(seen(&mut memory, &chain).await, ["-4", "-3", "0x3", "+5"]);
    mine(&chain, 6);
    assert_eq!(seen(&mut memory, &chain).await, ["0x4", "+6"]);
}

#[tokio::test]
async fn a_branch_from_below_what_is_remembered_is_told_from_there() {
    let chain = chain();
    mine(&chain, 2);
    let mut memory = begun(&chain).await;
    mine(&chain, 3);
    seen(&mut memory, &chain).await;
    chain.reorg(3);
    for mark in [4, 5, 6] {
        mine(&chain, mark);
    }
    assert_eq!(seen(&mut memory, &chain).await, ["-3", "0x2", "+5", "0x3", "+6"]);
}

#[tokio::test]
async fn a_look_that_breaks_off_is_made_up_for() {
    let chain = chain();
    let mut memory = begun(&chain).await;
    mine(&chain, 2);
    chain.set_down(true);
    assert!(matches!(memory.look(&chain, true).await, Err(Unseen::Later(_))));
    chain.set_down(false);
    assert_eq!(seen(&mut memory, &chain).await, ["0x2", "+2"]);
}

#[tokio::test]
async fn more_blocks_than_can_be_told_are_not_passed_over_in_silence() {
    let chain = chain();
    let mut memory = begun(&chain).await;
    (0..BLOCKS_MAX).for_each(|_| chain.mine());
    assert_eq!(memory.look(&chain, false).await.unwrap().unwrap().come.len(), BLOCKS_MAX);
    (0..=BLOCKS_MAX).for_each(|_| chain.mine());
    assert_eq!(memory.look(&chain, false).await.unwrap_err(), Unseen::Never);
    assert!(memory.0.len() <= BLOCKS_KEPT);
}

#[tokio::test]
async fn what_is_remembered_is_bounded_in_blocks_and_bytes() {
    let chain = chain();
    let mut memory = begun(&chain).await;
    for _ in 0..3 {
        (0..BLOCKS_MAX).for_each(|_| chain.mine());
        memory.look(&chain, true).await.unwrap();
        assert!(memory.0.len() <= BLOCKS_KEPT);
    }
    let large = Block {
        number: 1000,
        hash: TOPIC,
        parent: B256::ZERO,
        header: "x".repeat(BYTES_KEPT),
        logs: Vec::new(),
    };
    memory.turn(Some(BLOCKS_KEPT - 1), vec![Arc::new(large)]);
    assert_eq!(memory.0.len(), 1, "the newest is always kept");
}
