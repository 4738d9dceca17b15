//! Operators: they approve and reject, late, twice, with what they saw long ago; and they bump and cancel.

use std::sync::Arc;

use countersign_core::{
    identity::{ApprovalDigest, OperationId},
    operation::{Money, OperationRecord, OperationState as S},
    time::Millis,
};
use futures_util::future::join;
use tokio::sync::oneshot;

use super::{
    chance::Chance,
    executor::WORLD,
    limits::OPERATORS,
    world::{Open, World, operator},
};

/// An operator at the desk until the run is healed.
pub(crate) fn sit_down(world: &Arc<World>, place: usize) {
    let world = Arc::clone(world);
    let executor = world.executor.clone();
    let chance = Chance::new(world.plan.seed, 100 + u64::try_from(place).unwrap());
    let desk = async move {
        let mut seen: Vec<(OperationId, ApprovalDigest)> = Vec::new();
        while !world.is_healed() && !world.is_over() {
            world.executor.sleep(Millis(chance.between(200, 4000))).await;
            act(&world, &chance, &mut seen).await;
        }
    };
    executor.spawn(WORLD, Box::pin(desk));
}

async fn act(world: &Arc<World>, chance: &Chance, seen: &mut Vec<(OperationId, ApprovalDigest)>) {
    let Some(open) = world.any_open(chance) else { return };
    let all = world.model.all();
    let parked: Vec<&OperationRecord> = all.iter().filter(|o| o.state == S::Parked).collect();
    for record in &parked {
        seen.extend(record.digest.map(|digest| (record.id, digest)));
    }
    seen.dedup();
    let name = chance.pick(&OPERATORS);
    match chance.below(20) {
        0..=9 if !parked.is_empty() => {
            let record = chance.pick(&parked);
            let seen = (record.id, record.digest.unwrap());
            // some have the same page open, and press the same button
            let other = chance.pick(&OPERATORS);
            let (one, two) =
                (approve(world, &open, name, seen), approve(world, &open, other, seen));
            if chance.percent(40) {
                join(one, two).await;
            } else {
                one.await;
            }
        }
        10..=11 if !seen.is_empty() => {
            // what was on the screen for a long time
            approve(world, &open, name, chance.pick(seen)).await;
        }
        12..=13 if !parked.is_empty() => reject(world, &open, name, chance.pick(&parked).id).await,
        14 if !seen.is_empty() => reject(world, &open, name, chance.pick(seen).0).await,
        15..=17 => {
            let moves = |o: &&OperationRecord| o.state.money() == Money::Committed;
            let moving: Vec<&OperationRecord> = all.iter().filter(moves).collect();
            if !moving.is_empty() {
                let id = chance.pick(&moving).id;
                replace(world, &open, name, (id, chance.percent(50))).await;
            }
        }
        _ => {}
    }
}

/// What came of it, in few words.
fn brief<E: std::fmt::Display>(said: Option<Result<OperationRecord, E>>) -> String {
    match said {
        None => "the gateway ended".into(),
        Some(Ok(record)) => record.state.name().into(),
        Some(Err(error)) => error.to_string(),
    }
}

/// Does something in a gateway's process; `None` if that ends first.
pub(crate) async fn within<T: Send + 'static>(
    world: &World,
    open: &Open,
    work: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    let (sender, receiver) = oneshot::channel();
    let task = async move { drop(sender.send(work.await)) };
    world.executor.spawn(open.process, Box::pin(task));
    receiver.await.ok()
}

pub(crate) async fn approve(
    world: &World,
    open: &Open,
    name: &'static str,
    (id, digest): (OperationId, ApprovalDigest),
) {
    let engine = Arc::clone(&open.engine);
    let work = async move { engine.approve(&operator(name), id, digest, None).await };
    let said = within(world, open, work).await;
    world.log.event("operator.approves", 0, || format!("{name} {id}: {}", brief(said)));
}

pub(crate) async fn reject(world: &World, open: &Open, name: &'static str, id: OperationId) {
    let engine = Arc::clone(&open.engine);
    let work = async move { engine.reject(&operator(name), id, "not today".into()).await };
    let said = within(world, open, work).await;
    world.log.event("operator.rejects", 0, || format!("{name} {id}: {}", brief(said)));
}

async fn replace(
    world: &World,
    open: &Open,
    name: &'static str,
    (id, cancels): (OperationId, bool),
) {
    let engine = Arc::clone(&open.engine);
    let work = async move {
        if cancels {
            engine.cancel_operation(&operator(name), id).await
        } else {
            engine.bump(&operator(name), id, None).await
        }
    };
    let said = within(world, open, work).await;
    let what = if cancels { "operator.cancels" } else { "operator.bumps" };
    world.log.event(what, 0, || format!("{name} {id}: {}", brief(said)));
}
