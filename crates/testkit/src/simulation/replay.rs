//! Every decision that was recorded is taken again from its record (I17).

use std::collections::BTreeMap;

use countersign_core::trace::DecisionRecord;
use countersign_policy::{Policies, Policy, decide};
use serde_json::Value;

use super::{
    limits::{LEVELS, papers},
    world::World,
};

/// Only so often: it costs as much as the decisions did.
const EVERY: u64 = 16;

pub(crate) fn verify(world: &World) {
    if !world.plan.seed.is_multiple_of(EVERY) {
        return;
    }
    let all = (0..LEVELS.len()).map(papers);
    let by_id: BTreeMap<_, Policy> = all
        .flat_map(|papers| papers.grants.into_iter().chain([papers.guard]))
        .map(|policy| (policy.id(), policy))
        .collect();
    for trace in world.journals.all() {
        let decision = &trace.decision;
        if again(decision, &by_id).is_some_and(|again| again != recorded(decision)) {
            world.log.violate("I17", format!("trace {} is replayed otherwise", trace.trace_hash));
        }
        world.log.reach("replayed");
    }
}

fn again(
    decision: &DecisionRecord,
    by_id: &BTreeMap<countersign_core::identity::PolicyId, Policy>,
) -> Option<Vec<Value>> {
    let grant = by_id.get(&decision.policy?)?.clone();
    let guards: Option<Vec<Policy>> =
        decision.guards.iter().map(|id| by_id.get(id).cloned()).collect();
    let policies = Policies { grant, guards: guards? };
    let decided = decide(decision.intent.as_ref()?, decision.facts.as_ref()?, &policies);
    decided.verdicts.iter().map(|verdict| serde_json::to_value(verdict).ok()).collect()
}

/// The recorded verdicts without the word that is added for readers.
fn recorded(decision: &DecisionRecord) -> Vec<Value> {
    let mut verdicts = decision.policy_verdicts.clone();
    for verdict in &mut verdicts {
        if let Some(object) = verdict.as_object_mut() {
            object.remove("passed");
        }
    }
    verdicts
}
