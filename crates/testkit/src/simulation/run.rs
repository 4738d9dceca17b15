//! One run: trouble for a while, then none, then the last look.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use countersign_core::{
    intent::Method,
    operation::{Money, OperationRecord, OperationState as S},
    time::Millis,
};
use futures_util::future::join_all;

use super::{
    agents,
    chance::Chance,
    executor::{Ended, WORLD},
    log::Violation,
    people,
    plan::Plan,
    replay, weather,
    world::World,
};
use crate::ledger::flawed::Flaw;

/// How long it may take until everything is quiet once nothing goes wrong any more.
const QUIET_WITHIN: Millis = Millis(40 * 60_000);

/// Longer than any gate waits.
const EXPIRED_AFTER: u64 = 3 * 3_600_000;

/// What came of one seed.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// Stands for everything that happened, in order.
    pub trace: u64,
    /// How often what was reached.
    pub coverage: BTreeMap<&'static str, u64>,
    /// The first promise that did not hold.
    pub violation: Option<Violation>,
    /// Every event, if they were asked for.
    pub lines: Vec<String>,
}

/// Runs one seed, with a ledger that has this flaw, if any.
#[must_use]
pub fn run(seed: u64, flaw: Option<Flaw>, keeps_lines: bool) -> Outcome {
    let world = World::new(Plan::draw(seed, flaw), keeps_lines);
    if keeps_lines {
        let plan = format!("{:?}", world.plan);
        world.log.event("plan", 0, || plan);
    }
    let live = || {
        world.executor.spawn(WORLD, Box::pin(live(Arc::clone(&world))));
        world.executor.run(|| world.is_over())
    };
    match catch_unwind(AssertUnwindSafe(live)) {
        Ok(Ended::Done) => {}
        Ok(ended) => world.log.violate("run", format!("{ended:?}: {}", world.oracle.unquiet())),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).into()));
            world.log.violate("panic", text.unwrap_or_default());
        }
    }
    world.finish();
    world.clear();
    let record = world.log.close();
    Outcome {
        seed,
        trace: record.hash,
        coverage: record.counts,
        violation: record.violation,
        lines: record.lines,
    }
}

async fn live(world: Arc<World>) {
    for slot in 0..usize::try_from(world.plan.gateways).unwrap() {
        world.start(slot);
    }
    mine(&world);
    weather::begin(&world);
    (0..2).for_each(|place| people::sit_down(&world, place));
    join_all(agents::begin(&world)).await;
    heal(&world).await;
    if quiet(&world).await {
        world.oracle.end(&world.levels());
        world.orders.end(&world.chain.spends(), &world.log);
        replay::verify(&world);
    } else if !world.is_over() {
        world.log.violate("I16", format!("still held: {}", world.oracle.unquiet()));
    }
    world.finish();
}

/// Mines for as long as the run lasts.
fn mine(world: &Arc<World>) {
    let world = Arc::clone(world);
    let executor = world.executor.clone();
    let chance = Chance::new(world.plan.seed, 6);
    let miner = async move {
        while !world.is_over() {
            let time = world.plan.block_time;
            world.executor.sleep(Millis(chance.between(time / 2, time * 3 / 2))).await;
            world.oracle.mined(&world.chain.mine());
            if world.is_healed() {
                continue;
            }
            if chance.permille(world.plan.stir_pools) {
                world.chain.stir_pools();
            }
            let confirmations = world.plan.confirmations;
            if chance.permille(world.plan.reorg) && confirmations > 1 {
                let depth = chance.between(1, (confirmations - 1).min(8));
                world.oracle.mined(&world.chain.reorg(depth));
            }
            if chance.permille(world.plan.deep_reorg) {
                let depth = if chance.percent(10) { 64 } else { chance.between(1, 12) };
                world.oracle.mined(&world.chain.reorg(depth));
            }
        }
    };
    executor.spawn(WORLD, Box::pin(miner));
}

/// Everything works again, and people clear their desks.
async fn heal(world: &Arc<World>) {
    world.log.event("healed", 0, String::new);
    world.heal();
    weather::unseal(world);
    // what was on its way to happen still happens
    world.executor.sleep(Millis(20_000)).await;
    weather::unseal(world);
    lift_freezes(world);
    for slot in 0..usize::try_from(world.plan.gateways).unwrap() {
        world.start(slot);
    }
    let chance = Chance::new(world.plan.seed, 7);
    for _ in 0..30 {
        send_unseen(world);
        let all = world.model.all();
        let parked: Vec<&OperationRecord> = all.iter().filter(|o| o.state == S::Parked).collect();
        if parked.is_empty() || world.is_over() {
            break;
        }
        for record in parked {
            decide(world, &chance, record).await;
        }
        world.executor.sleep(Millis(2000)).await;
    }
}

async fn decide(world: &Arc<World>, chance: &Chance, record: &OperationRecord) {
    let Some(open) = world.any_open(chance) else { return };
    let digest = record.digest.unwrap();
    match chance.below(4) {
        0 => people::reject(world, &open, "bob", record.id).await,
        1 => {}
        _ => {
            people::approve(world, &open, "bob", (record.id, digest)).await;
            people::approve(world, &open, "carol", (record.id, digest)).await;
        }
    }
}

fn lift_freezes(world: &World) {
    for freeze in world.model.glance().freezes {
        world.model.unfreeze_now(&freeze);
    }
    world.oracle.step();
}

/// Agents ask for the bytes that were signed for them, and send them.
fn send_unseen(world: &World) {
    let unseen = |o: &&OperationRecord| {
        o.intent.method == Method::SignTransaction && o.state.money() == Money::Committed
    };
    let all: Vec<OperationRecord> =
        world.model.look(|all| all.iter().filter(unseen).cloned().collect());
    for record in all {
        let newest = record.attempts.iter().rev().find_map(|a| Some((a.raw.clone()?, a.hash?)));
        if let Some((raw, hash)) = newest {
            world.chain.send_past(&raw, hash);
        }
    }
}

/// Whether something waits for people, and whether something is held that does not, nor for a call of its bundle that
/// does.
fn waiting(all: &[OperationRecord]) -> (bool, bool) {
    let bundle = |o: &OperationRecord| o.intent.bundle.as_ref().map(|bundle| bundle.handle);
    let parked: Vec<&OperationRecord> = all.iter().filter(|o| o.state == S::Parked).collect();
    let waits_too = |o: &OperationRecord| {
        bundle(o).is_some() && parked.iter().any(|parked| bundle(parked) == bundle(o))
    };
    let moves = |o: &OperationRecord| {
        [Money::Reserved, Money::Committed].contains(&o.state.money())
            && o.state != S::Parked
            && !(o.state == S::Allowed && waits_too(o))
    };
    (!parked.is_empty(), all.iter().any(moves))
}

/// Waits until nothing is held any more; `false` if that takes too long.
async fn quiet(world: &Arc<World>) -> bool {
    let mut until = world.executor.now().0 + QUIET_WITHIN.0;
    let mut calm = 0;
    while world.executor.now().0 < until && !world.is_over() {
        world.executor.sleep(Millis(1000)).await;
        send_unseen(world);
        calm = if world.oracle.is_quiet() && world.chain.waiting() == 0 { calm + 1 } else { 0 };
        if calm > 4 {
            return true;
        }
        let (waits, moves) = world.model.look(waiting);
        if waits && calm == 0 {
            // nobody will answer any more: they expire
            if !moves {
                world.executor.jump(Millis(EXPIRED_AFTER));
                until += EXPIRED_AFTER;
            }
        }
    }
    false
}
