//! Reorgs that come at the worst moment.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use alloy_primitives::{Address, B256, Bytes, U256};
use async_trait::async_trait;
use countersign_core::{
    fact::Simulated,
    identity::ChainId,
    message::Probe,
    operation::{Actual, OperationState as S},
    time::Millis,
    transaction::{TransactionDraft, TransactionPlan},
};
use countersign_engine::{
    Engine,
    port::{
        Chain,
        chain::{
            Account, AtFinality, Broadcast, ChainError, Estimate, Finality, Head, ReadAnswer,
            ReadCall,
        },
    },
};
use countersign_testkit::FakeChain;

use crate::{
    crash::{Cut, Mortal},
    house::{House, PAYEE, POLICY, eth, send, take},
};

/// A chain that is another one right after a question for a block.
#[derive(Debug)]
struct Shifting {
    chain: Arc<FakeChain>,
    shifts: AtomicBool,
}

impl Shifting {
    /// A gateway over it.
    async fn gateway(self: &Arc<Self>, house: &House) -> Arc<Engine> {
        let engine = house.gateway().await;
        let mut setup = house.setup(POLICY);
        setup.chains.values_mut().for_each(|chain| chain.port = self.clone());
        engine.replace(setup);
        engine
    }
}

macro_rules! as_it_is {
    ($($name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)*) => {
        #[async_trait]
        impl Chain for Shifting {
            $(async fn $name(&self, $($arg: $type),*) -> $answer {
                self.chain.$name($($arg),*).await
            })*

            fn id(&self) -> ChainId {
                self.chain.id()
            }

            async fn block_hash(&self, number: u64) -> Result<Option<B256>, ChainError> {
                let answer = self.chain.block_hash(number).await;
                if self.shifts.swap(false, Ordering::SeqCst) {
                    let length = self.chain.head().await?.number;
                    self.chain.reorg_dropping(usize::try_from(length).unwrap());
                    (0..length).for_each(|_| self.chain.mine());
                }
                answer
            }
        }
    };
}

as_it_is! {
    read(call: ReadCall) -> Result<ReadAnswer, ChainError>;
    head() -> Result<Head, ChainError>;
    account(address: Address) -> Result<Account, ChainError>;
    has_code(address: Address) -> Result<bool, ChainError>;
    estimate_gas(from: Address, draft: &TransactionDraft) -> Result<Estimate, ChainError>;
    broadcast(raw: &Bytes, hash: B256) -> Broadcast;
    receipt(hash: B256) -> Result<Option<Actual>, ChainError>;
    finality(actual: &Actual) -> Result<Finality, ChainError>;
    final_nonce(address: Address) -> Result<u64, ChainError>;
    at_finality(probes: &[Probe]) -> Result<AtFinality, ChainError>;
    data_fee_max(plan: &TransactionPlan) -> Result<U256, ChainError>;
    simulate(wallet: Address, plan: &TransactionPlan) -> Result<Simulated, ChainError>;
    decimals(token: Address) -> Result<Option<U256>, ChainError>;
}

#[tokio::test(start_paused = true)]
async fn a_reorg_between_two_questions_of_one_look_is_found_by_the_next() {
    let house = House::new();
    let shifting = Shifting { chain: house.chain.clone(), shifts: AtomicBool::new(false) };
    let shifting = Arc::new(shifting);
    let engine = shifting.gateway(&house).await;
    take(engine.submit(send(&house, PAYEE, 10)).await);
    house.settle_down(&engine).await;
    house.pass(&engine, Millis(10_000)).await;
    assert_eq!((house.only().state, house.paid()), (S::Executed, eth(10)));
    house.chain.mine();
    shifting.shifts.store(true, Ordering::SeqCst);
    house.pass(&engine, Millis(10_000)).await;
    house.settle_down(&engine).await;
    assert_eq!((house.only().state, house.paid()), (S::Executed, eth(10)));
    assert!(!shifting.shifts.load(Ordering::SeqCst));
}

#[tokio::test(start_paused = true)]
async fn a_reorg_is_looked_through_over_a_store_that_often_fails() {
    let house = House::new();
    let mortal = Mortal::over(&house, Cut::Every(5));
    let engine = house.gateway_over(mortal);
    let other = house.gateway().await;
    take(other.submit(send(&house, PAYEE, 10)).await);
    (0..60).for_each(|_| house.chain.mine());
    house.settle_down(&other).await;
    assert_eq!(house.only().state, S::Executed);
    house.chain.reorg_dropping(200);
    house.pass(&engine, Millis(300_000)).await;
    house.settle_down(&other).await;
    assert_eq!((house.only().state, house.paid()), (S::Executed, eth(10)));
}
