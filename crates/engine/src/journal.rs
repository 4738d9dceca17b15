//! What is written into the journal: a decision never without the policies that it was made under.

use std::sync::MutexGuard;

use countersign_core::{
    identity::PolicyId,
    operation::OperationRecord,
    trace::{Again, DecisionRecord, Occasion, TraceUpdate},
};
use countersign_policy::Policy;

use crate::{
    engine::Engine,
    gather::Gathered,
    port::journal::{JournalError, NewTrace},
    record::{Ending, Judgement, decision},
    setup::Setup,
};

/// How many policies are remembered as pinned. Beyond it they are pinned anew, which changes nothing.
pub(crate) const PINNED_MAX: usize = 4096;

/// A decision on an operation that was decided before.
pub(crate) struct Later<'a> {
    pub(crate) setup: &'a Setup,
    pub(crate) record: &'a OperationRecord,
    pub(crate) occasion: Occasion,
    pub(crate) gathered: &'a Gathered,
    pub(crate) judgement: &'a Judgement,
}

impl Engine {
    /// Records a decision behind the policies that it was made under.
    pub(crate) async fn journalled(
        &self,
        setup: &Setup,
        entry: &NewTrace,
    ) -> Result<(), JournalError> {
        let policies = policies_of(setup, &entry.decision);
        let record = || async { self.ports().journal.record(entry).await.map(drop) };
        self.behind(&policies, record).await
    }

    /// Records a later decision on an operation, with what came of it.
    pub(crate) async fn journalled_again(
        &self,
        later: Later<'_>,
        ending: Ending<'_>,
        update: TraceUpdate,
    ) -> Result<(), JournalError> {
        let Later { setup, record, occasion, gathered, judgement } = later;
        let decision = decision(record.id, (&gathered.intent, &gathered.facts), judgement, ending);
        let policies = policies_of(setup, &decision);
        let decision_hash = decision.hash();
        let again = Some(Box::new(Again { occasion, decision_hash, decision }));
        let update = TraceUpdate { again, ..update };
        self.behind(&policies, || self.ports().journal.update(record.trace, &update)).await
    }

    /// Writes behind these policies; once more where the store is another one than when they were pinned.
    async fn behind<W: Future<Output = Result<(), JournalError>>>(
        &self,
        policies: &[&Policy],
        write: impl Fn() -> W,
    ) -> Result<(), JournalError> {
        self.pin(policies).await?;
        match write().await {
            Err(JournalError::Unpinned) => {
                self.pinned().clear();
                self.pin(policies).await?;
                write().await
            }
            written => written,
        }
    }

    async fn pin(&self, policies: &[&Policy]) -> Result<(), JournalError> {
        for policy in policies {
            let id = policy.id();
            if self.pinned().contains(&id) {
                continue;
            }
            self.ports().journal.pin(id, &policy.canonical_json()).await?;
            note_pinned(self.pinned(), id);
        }
        Ok(())
    }
}

fn note_pinned(mut pinned: MutexGuard<'_, std::collections::BTreeSet<PolicyId>>, id: PolicyId) {
    if pinned.len() >= PINNED_MAX {
        pinned.clear();
    }
    pinned.insert(id);
}

/// The policies that a decision names, as far as the setup that it was made with has them.
fn policies_of<'a>(setup: &'a Setup, decision: &DecisionRecord) -> Vec<&'a Policy> {
    let agent = decision.agent_id.as_ref().and_then(|agent| setup.agents.get(agent));
    let known = agent.map(|agent| &agent.grant).into_iter().chain(&setup.guards);
    known.filter(|policy| decision.policies().any(|named| named == policy.id())).collect()
}
