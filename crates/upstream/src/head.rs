//! The newest block: whether it is believed, and what it says about fees.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use countersign_core::time::{Millis, Timestamp};
use countersign_engine::port::chain::Head;
use futures_util::future::try_join3;

use crate::{
    chain::NodeChain,
    node::Visit,
    options::NodeOptions,
    transport::Fault,
    wire::{Answer, Block, Question, Wei},
};

/// What a node's newest block has to keep to: attacks NO-14 and NO-18.
#[derive(Debug)]
pub(crate) struct HeadWatch {
    /// The highest head that any node has shown.
    seen: AtomicU64,
    lag_max: u64,
    stale_after: Option<Millis>,
    wall: Option<fn() -> Timestamp>,
}

impl HeadWatch {
    pub(crate) const fn new(options: &NodeOptions) -> Self {
        Self {
            seen: AtomicU64::new(0),
            lag_max: options.head_lag_max,
            stale_after: options.stale_after,
            wall: options.wall,
        }
    }

    /// Refuses the head of a node that was set back, has fallen far behind, or stands still.
    fn believe(&self, block: &Block, shown_for: Duration) -> Result<(), Fault> {
        let head = block.number.0;
        if let Some(limit) = self.stale_after {
            let shown_for = Millis(u64::try_from(shown_for.as_millis()).unwrap_or(u64::MAX));
            let mined = Timestamp::from_millis(block.timestamp.0.saturating_mul(1000));
            let (age, ahead) = self.wall.map_or((Millis::ZERO, Millis::ZERO), |wall| {
                let now = wall();
                (now.since(mined), mined.since(now))
            });
            if age.max(shown_for) > limit {
                return Err(Fault::Stale { head, age: age.max(shown_for) });
            }
            if ahead > limit {
                return Err(Fault::Early { head, ahead });
            }
        }
        let seen = self.seen.fetch_max(head, Ordering::Relaxed);
        if seen.saturating_sub(head) > self.lag_max {
            return Err(Fault::Behind { head, seen });
        }
        Ok(())
    }
}

impl NodeChain {
    /// A node's newest block, if it is believed.
    pub(crate) async fn newest(&self, visit: &Visit<'_>) -> Result<Block, Fault> {
        let block: Block = visit.fetch("eth_getBlockByNumber", &("latest", false)).await?;
        self.watch.believe(&block, visit.shows_since(block.number.0))?;
        Ok(block)
    }

    /// The newest block and the fees, all from one node.
    pub(crate) async fn head_at(&self, visit: &Visit<'_>) -> Result<Head, Fault> {
        let price = visit.fetch::<Wei>("eth_gasPrice", &[(); 0]);
        let (block, price, tip) = try_join3(self.newest(visit), price, tip(visit)).await?;
        let (Wei(gas_price), base_fee) = (price, block.base_fee_per_gas.map(|Wei(fee)| fee));
        // what a node without the method would suggest: all of its price that is not base fee
        let suggested = base_fee.map_or(0, |base| gas_price.saturating_sub(base));
        Ok(Head {
            number: block.number.0,
            hash: block.hash,
            gas_limit: block.gas_limit.0,
            base_fee,
            tip: tip.unwrap_or(suggested),
            gas_price,
        })
    }
}

/// `None` where the chain has no such method.
async fn tip(visit: &Visit<'_>) -> Result<Option<u128>, Fault> {
    let question = Question::new("eth_maxPriorityFeePerGas", &[(); 0])?;
    let read = |answer| match answer {
        Answer::Error(_) => Ok(None),
        Answer::Result(_) => answer.typed().map(|Wei(tip)| Some(tip)),
    };
    visit.ask(&question, read).await
}
