//! What an agent does that wants to be paid twice, or more than its limits.

use std::sync::Arc;

use countersign_core::{identity::AgentId, time::Millis};
use futures_util::future::join_all;

use super::{Heard, Wish, ask};
use crate::simulation::{
    chance::Chance,
    limits::{AGENTS, PAYEES, STRANGER},
    people::within,
    world::World,
};

/// Which of the agents it is.
const ME: usize = 1;

/// All of its tricks, in an order drawn from the seed.
pub(crate) async fn provoke(world: Arc<World>) {
    let chance = Chance::new(world.plan.seed, 11);
    let mut left = world.plan.requests / 2;
    while left > 0 && !world.is_over() {
        let asked = match chance.below(11) {
            0 => many_at_once(&world, &chance, left).await,
            1 => one_key(&world, &chance).await,
            2 => one_key_two_bodies(&world, &chance).await,
            3 => fixed_nonces(&world, &chance).await,
            4 => batch(&world, &chance).await,
            5 => too_much(&world, &chance).await,
            6 | 7 => to_the_last_cent(&world, &chance, left).await,
            8 | 9 => bundles(&world, &chance).await,
            _ => hangs_up_and_repeats(&world, &chance).await,
        };
        left = left.saturating_sub(asked);
        world.executor.sleep(Millis(chance.below(2500))).await;
    }
}

fn small(world: &World, chance: &Chance) -> Wish {
    let mut wish = Wish::new(world, ME, chance.between(1, 60));
    wish.to = chance.pick(&PAYEES);
    wish
}

async fn all(world: &Arc<World>, chance: &Chance, wishes: &[Wish]) -> u64 {
    let asks = wishes.iter().map(|wish| {
        let patience = chance.percent(15).then(|| Millis(chance.between(1, 5000)));
        ask(world, chance, wish, patience)
    });
    u64::try_from(join_all(asks).await.len()).unwrap()
}

/// The same payload from several connections at the same time.
async fn many_at_once(world: &Arc<World>, chance: &Chance, left: u64) -> u64 {
    let wish = small(world, chance);
    let wishes = vec![wish; usize::try_from(chance.between(2, 6).min(left.max(2))).unwrap()];
    all(world, chance, &wishes).await
}

async fn one_key(world: &Arc<World>, chance: &Chance) -> u64 {
    let mut wish = small(world, chance);
    wish.key = Some(format!("mine-{}", wish.tag));
    let asked = all(world, chance, &[wish.clone(), wish.clone()]).await;
    world.executor.sleep(Millis(chance.below(8000))).await;
    asked + all(world, chance, &[wish]).await
}

async fn one_key_two_bodies(world: &Arc<World>, chance: &Chance) -> u64 {
    let mut first = small(world, chance);
    first.key = Some(format!("mine-{}", first.tag));
    let mut second = small(world, chance);
    second.key.clone_from(&first.key);
    if chance.percent(50) {
        return all(world, chance, &[first, second]).await;
    }
    let asked = all(world, chance, &[first]).await;
    world.executor.sleep(Millis(chance.below(3000))).await;
    asked + all(world, chance, &[second]).await
}

/// As forge sends them: in parallel, out of order; some with a hole, some twice.
async fn fixed_nonces(world: &Arc<World>, chance: &Chance) -> u64 {
    let Some(open) = world.any_open(chance) else { return 1 };
    let (engine, address) = (Arc::clone(&open.engine), world.address(0));
    let asked = within(world, &open, async move {
        engine.transaction_count(crate::fixture::CHAIN, address, true).await
    });
    let Some(Ok(Some(next))) = asked.await else { return 1 };
    let mut wishes: Vec<Wish> = (0..chance.between(2, 4))
        .map(|n| {
            let skips = u64::from(chance.percent(15));
            Wish { nonce: Some(next + n + skips), ..small(world, chance) }
        })
        .collect();
    let last = wishes.len() - 1;
    wishes.swap(0, last);
    if chance.percent(30) {
        wishes.push(wishes[0].clone());
    }
    all(world, chance, &wishes).await
}

async fn batch(world: &Arc<World>, chance: &Chance) -> u64 {
    let number = Some(chance.draw());
    let twin = Wish { batch: number, wait: Some(Millis::ZERO), ..small(world, chance) };
    let other = Wish { batch: number, wait: Some(Millis::ZERO), ..small(world, chance) };
    all(world, chance, &[twin.clone(), twin, other]).await
}

/// Several payments at once, and the same again from other connections: under one id, or under none.
async fn bundles(world: &Arc<World>, chance: &Chance) -> u64 {
    let further: Vec<u64> = (0..chance.between(1, 4)).map(|_| chance.between(1, 90)).collect();
    let mut wish = small(world, chance).bundled(world, &further);
    if chance.percent(60) {
        wish.key = Some(format!("bundle-{}", wish.tag));
    }
    let mut wishes = vec![wish; usize::try_from(chance.between(1, 3)).unwrap()];
    if chance.percent(40) {
        wishes.push(small(world, chance));
    }
    all(world, chance, &wishes).await
}

async fn too_much(world: &Arc<World>, chance: &Chance) -> u64 {
    let mut wish = Wish::new(world, ME, chance.between(100, 5000));
    match chance.below(4) {
        0 => wish.to = STRANGER,
        1 => wish.from = world.address(1),
        2 => {
            wish.usd = chance.between(1, 20);
            wish.max_fee = Some(u128::from(chance.between(1, 1000)) * 1_000_000_000);
        }
        _ => {}
    }
    all(world, chance, &[wish]).await
}

/// Several at once that together need what is left, and a little more.
async fn to_the_last_cent(world: &Arc<World>, chance: &Chance, left: u64) -> u64 {
    let Some(open) = world.any_open(chance) else { return 1 };
    let engine = Arc::clone(&open.engine);
    let me = AgentId::parse(AGENTS[ME]).unwrap();
    let asked = within(world, &open, async move { engine.budget(&me).await });
    let Some(Ok(lines)) = asked.await else { return 1 };
    let whole = |text: &str| text.split('.').next().and_then(|usd| usd.parse::<u64>().ok());
    let rest = lines.iter().filter(|line| line.limit != "burst");
    let rest = rest.filter_map(|line| whole(&line.remaining)).min().unwrap_or(0);
    let parts = chance.between(1, 4).min(left.max(1));
    let each = (rest / parts).clamp(1, 400);
    let wishes: Vec<Wish> =
        (0..=parts).map(|_| Wish { usd: each + chance.below(2), ..small(world, chance) }).collect();
    all(world, chance, &wishes).await
}

async fn hangs_up_and_repeats(world: &Arc<World>, chance: &Chance) -> u64 {
    let wish = small(world, chance);
    let mut asked = 0;
    for _ in 0..3 {
        asked += 1;
        let patience = Millis(chance.between(1, 800));
        if let Heard::Said(_) = ask(world, chance, &wish, Some(patience)).await {
            break;
        }
        world.executor.sleep(Millis(chance.below(400))).await;
    }
    asked
}
