//! What happens to machines and networks: crashes, outages, failovers, jumps of time, changes of the rules.

use std::sync::Arc;

use countersign_core::{
    charge::Window,
    fact::Freeze,
    identity::{AgentId, WalletId},
    operation::Money,
    time::Millis,
};

use super::{
    chance::Chance,
    executor::WORLD,
    limits::{AGENTS, ROLLING},
    plan::Weather,
    world::{WALLETS, World},
};

/// Lets it happen until the run is healed.
pub(crate) fn begin(world: &Arc<World>) {
    if world.plan.weather.is_empty() {
        return;
    }
    let world = Arc::clone(world);
    let executor = world.executor.clone();
    let chance = Chance::new(world.plan.seed, 5);
    let changes = async move {
        loop {
            let pause = chance.between(world.plan.weather_every / 3, world.plan.weather_every * 2);
            world.executor.sleep(Millis(pause)).await;
            if world.is_healed() || world.is_over() {
                return;
            }
            happen(&world, &chance).await;
        }
    };
    executor.spawn(WORLD, Box::pin(changes));
}

async fn happen(world: &Arc<World>, chance: &Chance) {
    let living = world.living();
    let slot = if living.is_empty() { 0 } else { chance.pick(&living) };
    match chance.pick(&world.plan.weather) {
        Weather::GatewayKilled => world.kill_slot(slot),
        Weather::GatewayKilledInACall => world.doom(slot, chance.below(40)),
        Weather::GatewayStopped => world.stop(slot),
        Weather::StoreAway => {
            world.log.event("weather.store_away", 0, String::new);
            world.set_store_away(true);
            later(world, chance.between(100, 9000), |world| world.set_store_away(false));
        }
        Weather::StoreAwayForOne => {
            world.log.event("weather.store_away_for_one", 0, || slot.to_string());
            world.set_store_away_for(slot, true);
            let long = chance.between(100, 12_000);
            later(world, long, move |world| world.set_store_away_for(slot, false));
        }
        Weather::JournalAway => {
            world.log.event("weather.journal_away", 0, String::new);
            world.set_journal_away(true);
            later(world, chance.between(100, 4000), |world| world.set_journal_away(false));
        }
        Weather::NodeToggled => world.chain.toggle_node(),
        Weather::PriceAway => {
            world.log.event("weather.price_away", 0, String::new);
            world.prices.set("ETH", None);
            later(world, chance.between(100, 4000), |world| world.prices.set("ETH", Some("1000")));
        }
        Weather::SignerAway => {
            world.log.event("weather.signer_away", 0, String::new);
            let place = chance.index(world.keys.len());
            world.keys[place].set_away(true);
            let long = chance.between(100, 9000);
            later(world, long, move |world| world.keys[place].set_away(false));
        }
        Weather::LimitsReplaced => replace_limits(world, chance),
        Weather::TimeJumps => jump(world, chance),
        Weather::WindowEnds => end_window(world, chance),
        Weather::Frozen => freeze(world, chance).await,
        Weather::Sealed => seal(world, chance),
        Weather::FailedOver => fail_over(world, chance),
        Weather::KeyUsedElsewhere => {
            if chance.percent(30) {
                world.chain.use_key_elsewhere(world.address(0));
            }
        }
        Weather::ClockSetBack => {
            let by = Millis(chance.between(1000, 400_000));
            world.log.event("weather.clock_set_back", by.0, String::new);
            world.executor.hold_store_back(by);
        }
        Weather::WalletDrained => drain(world, chance),
    }
}

/// Does something to the world after a while.
fn later(world: &Arc<World>, after: u64, work: impl FnOnce(&World) + Send + 'static) {
    let world = Arc::clone(world);
    let executor = world.executor.clone();
    let waits = async move {
        world.executor.sleep(Millis(after)).await;
        work(&world);
    };
    executor.spawn(WORLD, Box::pin(waits));
}

/// Each gateway notices in its own time.
fn replace_limits(world: &Arc<World>, chance: &Chance) {
    let level = chance.index(world.plan.levels);
    world.log.event("weather.limits_replaced", 0, || format!("level {level}"));
    world.use_limits(level);
    for engine in world.engines() {
        let notices = chance.below(3000);
        let world_again = Arc::clone(world);
        later(world, notices, move |_| engine.replace(world_again.setup()));
    }
}

/// Everybody sleeps for a while: minutes, hours, days.
fn jump(world: &Arc<World>, chance: &Chance) {
    let by = match chance.below(5) {
        0 => chance.between(6000, 70_000),
        1 => chance.between(60_000, 1_800_000),
        2 => ROLLING.0 - 5000 + chance.below(10_000),
        3 => chance.between(ROLLING.0, 4 * ROLLING.0),
        _ => chance.between(20 * ROLLING.0, 30 * ROLLING.0),
    };
    world.log.event("weather.time_jumps", by, || Millis(by).to_string());
    world.executor.jump(Millis(by));
}

/// Just before or just after something leaves a window.
fn end_window(world: &Arc<World>, chance: &Chance) {
    let all = world.model.all();
    let settled: Vec<_> = all.iter().filter(|o| o.state.money() == Money::Settled).collect();
    if settled.is_empty() {
        return;
    }
    let record = chance.pick(&settled);
    let windows = record.charges.iter().map(|charge| charge.window);
    let lengths: Vec<u64> = windows
        .filter_map(|window| match window {
            Window::Rolling(length) => Some(length.0),
            Window::Calendar(_) | Window::Grant => None,
        })
        .collect();
    let (Some(at), false) = (record.settled_at, lengths.is_empty()) else { return };
    let length = chance.pick(&lengths);
    let ends = at.millis() + length + chance.below(4000);
    let to = ends.saturating_sub(2000).saturating_sub(world.model.glance().now.millis());
    if to > 0 && to <= ROLLING.0 + 10_000 {
        world.log.event("weather.window_ends", to, || Millis(to).to_string());
        world.executor.jump(Millis(to));
    }
}

async fn freeze(world: &Arc<World>, chance: &Chance) {
    let wallet = WalletId::parse(chance.pick(&WALLETS)).unwrap();
    let agent = AgentId::parse(chance.pick(&AGENTS)).unwrap();
    let kinds = [Freeze::Global, Freeze::All, Freeze::Agent(agent), Freeze::Wallet(wallet)];
    let freeze = chance.pick(&kinds);
    world.log.event("weather.frozen", 0, || format!("{freeze:?}"));
    world.model.freeze_now(&freeze);
    world.oracle.step();
    later(world, chance.between(200, 12_000), move |world| {
        world.model.unfreeze_now(&freeze);
        world.oracle.step();
    });
}

fn seal(world: &Arc<World>, chance: &Chance) {
    world.log.event("weather.sealed", 0, String::new);
    world.model.seal_now("a person says so");
    world.oracle.step();
    later(world, chance.between(200, 15_000), unseal);
}

/// A person lifts the seal; where history is lost they put it right first.
pub(crate) fn unseal(world: &World) {
    if world.history.is_lost() {
        world.history.reconcile();
        world.oracle.history_is_found();
    }
    world.model.unseal_now();
    world.oracle.step();
}

/// A replica takes over that lacks the last moments. Every gateway has seen some of what it lacks, also those that do not
/// live: one that starts before any other has noticed could not know.
fn fail_over(world: &Arc<World>, chance: &Chance) {
    if world.history.is_lost() {
        return;
    }
    let copy = world.model.copy();
    let mends = chance.between(1000, 12_000);
    let fails = move |world: &World| {
        if world.history.is_lost()
            || world.living().is_empty()
            || world.is_healed()
            || !world.history.is_behind_all(&copy, world.plan.gateways)
        {
            return;
        }
        world.oracle.step();
        world.oracle.history_is_lost();
        world.history.fail_over(copy);
        let world_again = world.this();
        later(&world_again, mends, |world| {
            if world.history.is_lost() {
                unseal(world);
            }
        });
    };
    later(world, chance.between(300, 5000), fails);
}

fn drain(world: &Arc<World>, chance: &Chance) {
    let place = chance.index(world.keys.len());
    let address = world.address(place);
    world.log.event("weather.wallet_drained", 0, String::new);
    world.chain.fund(address, alloy_primitives::U256::from(40_000_000_000_000_000_u64));
    later(world, chance.between(500, 8000), World::fund);
}
