//! Agents: one that only wants to be served once, and one that wants more than it may have.

mod hostile;
mod orders;

use std::sync::Arc;

use alloy_primitives::{Address, Bytes, U256, keccak256};
use countersign_core::{
    bundle::BundleHandle,
    identity::{AgentId, OperationId},
    intent::{Declared, Method},
    time::Millis,
    transaction::TransactionDraft,
};
use countersign_engine::submission::{Answer, CallsDraft, Draft, Reply, Submission};
use futures_util::future::{Either, select};
use tokio::sync::oneshot;

use super::{
    chance::Chance,
    executor::WORLD,
    limits::{AGENTS, PAYEES},
    world::{Open, World},
};
use crate::fixture::CHAIN;

pub(crate) use self::{hostile::provoke, orders::Orders};

/// How often an honest agent asks for the same thing before it gives up.
const ASKS_MAX: u64 = 14;

/// After so long without a word an answer is not waited for any more: what is owed is kept for a day.
const GIVES_UP_AFTER: Millis = Millis(20 * 3_600_000);

/// What an agent heard.
#[derive(Debug)]
pub(crate) enum Heard {
    /// An answer.
    Said(Answer),
    /// Nothing: the connection broke, on its side or on ours.
    Nothing,
}

/// One thing that an agent wants.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    /// Which of the agents.
    pub(crate) agent: usize,
    pub(crate) from: Address,
    pub(crate) to: Address,
    /// Thousandths of an ETH: whole USD.
    pub(crate) usd: u64,
    /// Tells its payment on the chain from every other.
    pub(crate) tag: u64,
    pub(crate) key: Option<String>,
    pub(crate) nonce: Option<u64>,
    pub(crate) batch: Option<u64>,
    pub(crate) method: Method,
    pub(crate) max_fee: Option<u128>,
    pub(crate) wait: Option<Millis>,
    /// Further payments of the same bundle of calls, in order; its key is the bundle's id.
    pub(crate) more: Vec<Further>,
}

/// A further payment of a bundle.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Further {
    pub(crate) usd: u64,
    pub(crate) tag: u64,
}

/// What so many whole USD are, told apart by a tag.
fn value_of(usd: u64, tag: u64) -> U256 {
    U256::from(usd) * U256::from(1_000_000_000_000_000_u64) + U256::from(tag)
}

impl Wish {
    pub(crate) fn new(world: &World, agent: usize, usd: u64) -> Self {
        Self {
            agent,
            from: world.address(0),
            to: PAYEES[0],
            usd,
            tag: world.orders.tag(),
            key: None,
            nonce: None,
            batch: None,
            method: Method::SendTransaction,
            max_fee: None,
            wait: None,
            more: Vec::new(),
        }
    }

    /// The same as the first of several payments that are asked for together.
    pub(crate) fn bundled(mut self, world: &World, further: &[u64]) -> Self {
        self.method = Method::SendCalls;
        self.more =
            further.iter().map(|usd| Further { usd: *usd, tag: world.orders.tag() }).collect();
        self
    }

    pub(crate) fn value(&self) -> U256 {
        value_of(self.usd, self.tag)
    }

    /// The tags of all its payments.
    pub(crate) fn tags(&self) -> impl Iterator<Item = u64> {
        std::iter::once(self.tag).chain(self.more.iter().map(|further| further.tag))
    }

    fn payment(&self, value: U256) -> TransactionDraft {
        TransactionDraft {
            from: Some(self.from),
            to: Some(self.to),
            value,
            data: Bytes::new(),
            gas: None,
            gas_price: None,
            max_fee_per_gas: self.max_fee,
            max_priority_fee_per_gas: None,
            nonce: self.nonce,
            kind: None,
            chain: None,
            access_list: vec![],
            authorizations: vec![],
        }
    }

    fn draft(&self, handle: BundleHandle) -> Draft {
        let first = self.payment(self.value());
        if self.method != Method::SendCalls {
            return Draft::Transaction(first);
        }
        let further =
            self.more.iter().map(|Further { usd, tag }| self.payment(value_of(*usd, *tag)));
        let calls = std::iter::once(first).chain(further).collect();
        Draft::Calls(Box::new(CallsDraft { from: self.from, id: self.key.clone(), handle, calls }))
    }

    fn submission(&self, received: Millis, handle: BundleHandle) -> Submission {
        let is_bundle = self.method == Method::SendCalls;
        Submission {
            agent: AgentId::parse(AGENTS[self.agent]).unwrap(),
            chain: CHAIN,
            method: self.method,
            draft: self.draft(handle),
            declared: Declared::default(),
            key: self.key.clone().filter(|_| !is_bundle),
            wait: self.wait,
            batch: self.batch,
            received,
        }
    }
}

/// Asks some gateway once. The connection may break after `patience`, or while the answer is written.
pub(crate) async fn ask(
    world: &Arc<World>,
    chance: &Chance,
    wish: &Wish,
    patience: Option<Millis>,
) -> Heard {
    let open = loop {
        match world.any_open(chance) {
            Some(open) => break open,
            None if world.is_over() => return Heard::Nothing,
            None => world.executor.sleep(Millis(200)).await,
        }
    };
    world.orders.asked(wish);
    world.log.event("agent.asks", wish.tag, || {
        let Wish { agent, usd, key, nonce, more, .. } = wish;
        let (name, tag) = (AGENTS[*agent], wish.tag);
        format!("{name} {usd} USD, tag {tag}, key {key:?}, nonce {nonce:?}, and {more:?}")
    });
    let breaks = !world.is_healed() && chance.percent(8);
    let (hang_up, gone) = oneshot::channel::<()>();
    let answered = connect(world, &open, wish, (gone, breaks));
    let heard = match patience {
        None => answered.await.ok(),
        Some(patience) => {
            let timer = Box::pin(world.executor.sleep(patience));
            match select(answered, timer).await {
                Either::Left((answer, _)) => answer.ok(),
                Either::Right(_) => None,
            }
        }
    };
    drop(hang_up);
    let heard = heard.map_or(Heard::Nothing, Heard::Said);
    world.orders.heard(wish, &heard);
    if let Heard::Said(Answer::Pending(pending)) = &heard {
        world.oracle.acknowledged(pending.operation);
    }
    world.log.event(name(&heard), wish.tag, || format!("tag {}: {}", wish.tag, brief(&heard)));
    heard
}

/// A connection in the gateway's process. It ends when the agent hangs up.
fn connect(
    world: &World,
    open: &Open,
    wish: &Wish,
    (gone, breaks): (oneshot::Receiver<()>, bool),
) -> oneshot::Receiver<Answer> {
    let (sender, receiver) = oneshot::channel();
    // drawn from what no other order has: a bundle that is asked for again has another handle
    let handle = BundleHandle(keccak256(world.orders.tag().to_be_bytes()));
    let submission = wish.submission(world.executor.now(), handle);
    let engine = Arc::clone(&open.engine);
    let connection = async move {
        let work = Box::pin(async move { engine.submit(submission).await });
        let reply = match select(work, gone).await {
            Either::Left((reply, _)) => reply,
            Either::Right(_) => return,
        };
        let Reply { answer, receipt } = reply;
        // an answer that cannot be written leaves its receipt unused
        if !breaks && !sender.is_closed() {
            receipt.handed_over();
            drop(sender.send(answer));
        }
    };
    world.executor.spawn(open.process, Box::pin(connection));
    receiver
}

const fn name(heard: &Heard) -> &'static str {
    match heard {
        Heard::Nothing => "heard.nothing",
        Heard::Said(Answer::Signed(_)) => "heard.signed",
        Heard::Said(Answer::SignedMessage(_)) => "heard.signed_message",
        Heard::Said(Answer::Denied(_)) => "heard.denied",
        Heard::Said(Answer::Pending(_)) => "heard.pending",
        Heard::Said(Answer::Malformed(_)) => "heard.malformed",
        Heard::Said(Answer::NotYours(_) | Answer::SignsItself(_)) => "heard.not_yours",
        Heard::Said(Answer::NodeRefused(_)) => "heard.node_refused",
        Heard::Said(Answer::Unavailable(_)) => "heard.unavailable",
        Heard::Said(Answer::DuplicateBundle) => "heard.duplicate_bundle",
        Heard::Said(Answer::Broken) => "heard.broken",
    }
}

fn brief(heard: &Heard) -> String {
    match heard {
        Heard::Nothing => String::new(),
        Heard::Said(Answer::Signed(signed)) => {
            format!("{} {:.8}", signed.operation, signed.hash.to_string())
        }
        Heard::Said(Answer::Pending(p)) => format!("{} {} {}", p.operation, p.state.name(), p.code),
        Heard::Said(Answer::Denied(d)) => format!("{} {}", d.code, d.reason),
        Heard::Said(other) => format!("{other:?}"),
    }
}

/// What an honest agent wants, one after the other.
pub(crate) async fn trade(world: Arc<World>) {
    let chance = Chance::new(world.plan.seed, 10);
    for _ in 0..world.plan.requests / 2 {
        let wish = honest_wish(&world, &chance);
        pursue(&world, &chance, &wish).await;
        world.executor.sleep(Millis(chance.below(1500))).await;
        if world.is_over() {
            return;
        }
    }
}

fn honest_wish(world: &World, chance: &Chance) -> Wish {
    let usd = match chance.below(10) {
        0..=5 => chance.between(1, 30),
        6..=7 => chance.between(15, 110),
        8 => chance.between(100, 190),
        _ => chance.between(150, 450),
    };
    let mut wish = Wish::new(world, 0, usd);
    wish.from = world.address(usize::from(chance.percent(30)));
    wish.to = chance.pick(&PAYEES);
    wish.key = chance.percent(50).then(|| format!("invoice-{}", wish.tag));
    if chance.percent(8) {
        wish.method = Method::SignTransaction;
    } else if chance.percent(15) {
        let further: Vec<u64> = (0..chance.between(1, 3)).map(|_| chance.between(1, 40)).collect();
        wish = wish.bundled(world, &further);
    }
    if chance.percent(15) {
        wish.wait = Some(Millis(chance.between(500, 20_000)));
    }
    let is_found = wish.key.is_some() || world.plan.tells_repetitions_apart();
    if is_found {
        world.orders.is_honest(&wish);
    }
    wish
}

/// Asks until it knows.
async fn pursue(world: &Arc<World>, chance: &Chance, wish: &Wish) {
    let begun = world.executor.now();
    let mut waits: Option<OperationId> = None;
    for _ in 0..ASKS_MAX {
        let patience = chance.percent(25).then(|| Millis(chance.between(1, 9000)));
        let heard = ask(world, chance, wish, patience).await;
        let is_late = world.executor.now().0 - begun.0 > GIVES_UP_AFTER.0;
        if is_late && wish.key.is_none() {
            world.orders.is_too_late(wish);
        }
        let pause = match heard {
            Heard::Said(
                Answer::Signed(_)
                | Answer::SignedMessage(_)
                | Answer::Denied(_)
                | Answer::Malformed(_)
                | Answer::NotYours(_)
                | Answer::SignsItself(_)
                | Answer::DuplicateBundle
                | Answer::NodeRefused(_),
            ) => return,
            Heard::Said(Answer::Pending(pending)) => {
                waits = Some(pending.operation);
                chance.between(800, 9000)
            }
            Heard::Said(Answer::Unavailable(_)) => chance.between(100, 4000),
            // it cannot know whether its first call was taken in before the second comes
            Heard::Said(Answer::Broken) | Heard::Nothing => chance.between(14_000, 20_000),
        };
        world.executor.sleep(Millis(pause)).await;
        if is_late || world.is_over() {
            return;
        }
    }
    if let Some(id) = waits {
        world.log.event("agent.gives_up", wish.tag, || id.to_string());
    }
}

/// Starts both agents; the receivers complete when they have no more wishes.
pub(crate) fn begin(world: &Arc<World>) -> Vec<oneshot::Receiver<()>> {
    let (traded, trading) = oneshot::channel();
    let (provoked, provoking) = oneshot::channel();
    let (trader, mallory) = (Arc::clone(world), Arc::clone(world));
    let trade = async move {
        trade(trader).await;
        traded.send(()).ok();
    };
    let provoke = async move {
        provoke(mallory).await;
        provoked.send(()).ok();
    };
    world.executor.spawn(WORLD, Box::pin(trade));
    world.executor.spawn(WORLD, Box::pin(provoke));
    vec![trading, provoking]
}
