//! Every decision that was recorded is taken again from its record (I17).

use super::world::World;
use crate::replay::Replays;

/// Only so often: it costs as much as the decisions did.
const EVERY: u64 = 16;

pub(crate) fn verify(world: &World) {
    if !world.plan.seed.is_multiple_of(EVERY) {
        return;
    }
    let Replays { equal, unjudged: _, faults } = Replays::of(&world.journals);
    for fault in faults {
        world.log.violate("I17", fault);
    }
    for _ in 0..equal {
        world.log.reach("replayed");
    }
}
