//! The windows of an agent's limits, by what makes each of them the same limit as before.

use countersign_core::{
    charge::{CounterId, Window},
    identity::AgentId,
    time::{Millis, Timestamp},
};

use crate::{
    limits::{charge, counter},
    model::{Limit, Model, Per},
    policy::{Policies, Policy},
};

/// A limit over a window, apart from the values that split it into counters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitWindow {
    /// Equal for equal limits: policy name, owner, id, window, measure, condition and split.
    pub identity: CounterId,
    /// The policy's name.
    pub policy: String,
    /// The limit's id.
    pub limit: String,
    /// What was settled before this instant counts no more.
    pub since: Timestamp,
}

/// The window limits that can speak of an agent's requests, guards first.
#[must_use]
pub fn windows(policies: &Policies, agent: &AgentId, now: Timestamp) -> Vec<LimitWindow> {
    let models = policies.guards.iter().chain([&policies.grant]).map(Policy::model);
    models
        .flat_map(|model| {
            let windowed = model.limits.iter().filter(|limit| limit.per != Per::Transaction);
            windowed.map(move |limit| window(model, limit, agent, now))
        })
        .collect()
}

fn window(model: &Model, limit: &Limit, agent: &AgentId, now: Timestamp) -> LimitWindow {
    let identity = counter(model, limit, agent, &[]);
    let since = match charge(model, limit, identity, now).window {
        Window::Rolling(length) => {
            let Millis(bucket) = Window::Rolling(length).bucket();
            now.before(Millis(length.0.saturating_add(bucket)))
        }
        Window::Calendar(period) => period.start,
        Window::Grant => Timestamp::default(),
    };
    LimitWindow { identity, policy: model.name.clone(), limit: limit.id.clone(), since }
}
