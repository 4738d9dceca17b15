//! Decisions, decided again from their records: from the facts that were frozen and the policies that were pinned, and
//! from nothing else.

use std::collections::BTreeMap;

use countersign_core::{
    charge::{Charge, CounterId, Overrun, Reading, Window},
    fact::Facts,
    identity::{OperationId, PolicyId},
    intent::Intent,
    time::Timestamp,
    trace::{DecisionRecord, TraceStatus},
};
use countersign_policy::{
    Kind, Policies, Policy,
    decision::{Outcome, Verdict, counter_verdicts},
};
use serde_json::Value;

use crate::{
    judge::{crowded, judge_by},
    record::{Ending, Judgement, decision},
};

/// Policies by their versions, as a journal pins them.
#[derive(Debug, Clone, Default)]
pub struct Library(BTreeMap<PolicyId, Policy>);

/// A pinned policy that this program does not read as the version that it is called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// It is no policy, or another one.
    #[error("the text of the policy {0} is not read as that version by this program")]
    Policy(PolicyId),
    /// A decision names a policy that was not pinned before it.
    #[error("the policy {0} is not among the pinned ones")]
    Missing(PolicyId),
}

impl Library {
    /// Reads a pinned policy.
    pub fn pin(&mut self, id: PolicyId, canonical: &str) -> Result<(), ReplayError> {
        if self.0.contains_key(&id) {
            return Ok(());
        }
        let policy = Policy::parse_untested(canonical, "pinned").ok();
        let policy = policy.filter(|policy| policy.id() == id);
        self.0.insert(id, policy.ok_or(ReplayError::Policy(id))?);
        Ok(())
    }

    fn policy(&self, id: PolicyId) -> Result<Policy, ReplayError> {
        self.0.get(&id).cloned().ok_or(ReplayError::Missing(id))
    }

    /// The policies of a decision; `None` where it was made under none.
    fn policies(&self, record: &DecisionRecord) -> Result<Option<Policies>, ReplayError> {
        let Some(grant) = record.policy else { return Ok(None) };
        let guards = record.guards.iter().map(|guard| self.policy(*guard));
        Ok(Some(Policies { grant: self.policy(grant)?, guards: guards.collect::<Result<_, _>>()? }))
    }
}

/// What a repetition came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replayed {
    /// The same record, byte for byte.
    Equal,
    /// Another one.
    Differs {
        /// As it was recorded: canonical JSON.
        recorded: String,
        /// As it is decided now.
        decided: String,
    },
    /// It was refused before anything was judged: there are no facts.
    Unjudged,
    /// It claims an outcome, and has nothing that it would follow from.
    Unfounded,
}

/// Decides a decision again.
pub fn replay(record: &DecisionRecord, library: &Library) -> Result<Replayed, ReplayError> {
    let (Some(policies), Some(facts), Some(intent), Some(operation)) =
        (library.policies(record)?, &record.facts, &record.intent, record.operation_id)
    else {
        return Ok(if is_bare_refusal(record) { Replayed::Unjudged } else { Replayed::Unfounded });
    };
    let store = (record.overruns.as_slice(), record.crowded);
    let decided = decided(operation, (intent, facts), &policies, store);
    let (recorded, decided) = (record.canonical_json(), decided.canonical_json());
    Ok(if recorded == decided { Replayed::Equal } else { Replayed::Differs { recorded, decided } })
}

/// Whether a decision can have stood so at once: what is allowed or parked may have failed at the node, and nothing else
/// has another status than its outcome.
#[must_use]
pub fn stands(record: &DecisionRecord, status: TraceStatus) -> bool {
    let outcome = outcome(record);
    matches!(
        (outcome.as_deref(), status),
        (Some("allow"), TraceStatus::Allowed | TraceStatus::Failed)
            | (Some("park"), TraceStatus::PendingApproval | TraceStatus::Failed)
            | (Some("deny"), TraceStatus::Blocked)
    )
}

/// The word that a record has for how it ended.
pub(crate) fn outcome(record: &DecisionRecord) -> Option<String> {
    let validation: Value = serde_json::from_str(record.validation_result.as_str()?).ok()?;
    validation.get("outcome")?.as_str().map(str::to_owned)
}

/// A refusal without facts takes nothing, asks nobody, and says of no rule what it said.
fn is_bare_refusal(record: &DecisionRecord) -> bool {
    let DecisionRecord { facts, intent, charges, gates, policy_verdicts, overruns, .. } = record;
    outcome(record).as_deref() == Some("deny")
        && facts.is_none()
        && intent.is_none()
        && charges.is_empty()
        && gates.is_empty()
        && policy_verdicts.is_empty()
        && overruns.is_empty()
        && record.crowded.is_none()
}

/// The record of a decision on these facts, where the store found what `overruns` says each time that it was asked, and
/// at last, where `crowded` is given, that no more of the agent's operations may wait for people.
#[must_use]
pub fn decided(
    operation: OperationId,
    (intent, facts): (&Intent, &Facts),
    policies: &Policies,
    (overruns, crowd): (&[Vec<Overrun>], Option<u32>),
) -> DecisionRecord {
    let (mut judgement, outcome) = judge_by(policies, intent, facts);
    let outcome = overruns.iter().fold(outcome, |outcome, over| overrun(outcome, over));
    let outcome = refused(outcome, crowd);
    judgement.overruns = overruns.to_vec();
    judgement.crowded = crowd;
    decision(operation, (intent, facts), &judgement, Ending::of(&outcome))
}

fn overrun(outcome: Outcome, over: &[Overrun]) -> Outcome {
    match outcome {
        Outcome::Allow(permit) => permit.overrun(over),
        Outcome::Park(hold) => hold.overrun(over),
        Outcome::Deny(denial) => Outcome::Deny(denial),
    }
}

/// The store counts only where something parks: a record that says otherwise was not made so.
fn refused(outcome: Outcome, crowd: Option<u32>) -> Outcome {
    match (outcome, crowd) {
        (Outcome::Park(_), Some(most)) => Outcome::Deny(crowded(most)),
        (outcome, _) => outcome,
    }
}

/// One policy in the place of that of its name.
///
/// A guard of a new name is added. What a window has used is what the store said where the limit is the one that was
/// judged by; for other limits it is counted from the decisions that were seen, as allowed and as if nothing were given
/// back.
#[derive(Debug)]
pub struct Instead {
    policy: Policy,
    spent: Tally,
}

/// A decision under other policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// `allow`, `park` or `deny`, with the code.
    pub before: Ended,
    /// The same with the other policy.
    pub after: Ended,
}

/// A recorded decision, read to be decided again under other policies.
pub(crate) struct Recorded<'a> {
    pub(crate) intent: &'a Intent,
    pub(crate) facts: &'a Facts,
    /// How it ended.
    pub(crate) ended: Ended,
    policies: Policies,
    known: Known<'a>,
    crowded: Option<u32>,
}

impl<'a> Recorded<'a> {
    /// `None` where nothing was judged.
    pub(crate) fn read(
        record: &'a DecisionRecord,
        library: &Library,
    ) -> Result<Option<Self>, ReplayError> {
        let (Some(policies), Some(facts), Some(intent)) =
            (library.policies(record)?, &record.facts, &record.intent)
        else {
            return Ok(None);
        };
        let (_, outcome) = judge_by(&policies, intent, facts);
        let known = Known { charges: charges(&outcome).to_vec(), overruns: &record.overruns };
        let outcome = record.overruns.iter().fold(outcome, |outcome, over| overrun(outcome, over));
        let ended = Ended::of(&refused(outcome, record.crowded));
        Ok(Some(Self { intent, facts, ended, policies, known, crowded: record.crowded }))
    }
}

/// What the other policy says to a decision.
pub(crate) struct Judged {
    pub(crate) judgement: Judgement,
    pub(crate) outcome: Outcome,
    pub(crate) charges: Vec<Charge>,
    /// What windows say.
    pub(crate) counted: Vec<Verdict>,
}

/// How a decision ends.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ended {
    /// `allow`, `park` or `deny`.
    pub outcome: &'static str,
    /// Empty for `allow`.
    pub code: String,
}

impl Ended {
    fn of(outcome: &Outcome) -> Self {
        let ending = Ending::of(outcome);
        Self { outcome: ending.word(), code: ending.code().to_owned() }
    }
}

impl Instead {
    /// Nothing is counted yet.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self { policy, spent: Tally::default() }
    }

    /// Decides a decision again, with the other policy. Give decisions in their order. `None` where the policy does not
    /// concern it.
    pub fn compare(
        &mut self,
        record: &DecisionRecord,
        library: &Library,
    ) -> Result<Option<Compared>, ReplayError> {
        let Some(recorded) = Recorded::read(record, library)? else { return Ok(None) };
        let after = self.end(&recorded);
        Ok(after.map(|after| Compared { before: recorded.ended.clone(), after }))
    }

    /// How a decision ends with the other policy.
    pub(crate) fn end(&mut self, recorded: &Recorded<'_>) -> Option<Ended> {
        self.judge(recorded, recorded.facts).map(|judged| Ended::of(&judged.outcome))
    }

    /// The whole judgement with the other policy, on these facts in the place of the recorded ones.
    pub(crate) fn judge(&mut self, recorded: &Recorded<'_>, facts: &Facts) -> Option<Judged> {
        let Recorded { intent, policies, known, crowded, .. } = recorded;
        let (judgement, outcome) = judge_by(&self.others(policies, intent)?, intent, facts);
        let charges = charges(&outcome).to_vec();
        let readings: Vec<Reading> =
            charges.iter().map(|charge| self.spent.reading(charge, facts.at, known)).collect();
        let (counted, over) = counter_verdicts(&charges, &readings);
        let outcome = if over.is_empty() { outcome } else { overrun(outcome, &over) };
        let outcome = refused(outcome, *crowded);
        if !matches!(outcome, Outcome::Deny(_)) {
            for charge in &charges {
                self.spent.add(charge, facts.at);
            }
        }
        Some(Judged { judgement, outcome, charges, counted })
    }

    fn others(&self, policies: &Policies, intent: &Intent) -> Option<Policies> {
        let Policies { mut grant, mut guards } = policies.clone();
        let policy = || self.policy.clone();
        if self.policy.kind() == Kind::Grant {
            let is_it = grant.name() == self.policy.name();
            grant = Some(policy()).filter(|_| is_it)?;
        } else if let Some(guard) = guards.iter_mut().find(|g| g.name() == self.policy.name()) {
            *guard = policy();
        } else {
            let covers = self.policy.scope().covers(&intent.agent, &intent.wallet, intent.chain());
            guards.push(Some(policy()).filter(|_| covers)?);
        }
        Some(Policies { grant, guards })
    }
}

fn charges(outcome: &Outcome) -> &[Charge] {
    match outcome {
        Outcome::Allow(permit) => permit.charges(),
        Outcome::Park(hold) => hold.charges(),
        Outcome::Deny(_) => &[],
    }
}

/// What the store said of the windows when the decision was made.
struct Known<'a> {
    charges: Vec<Charge>,
    overruns: &'a [Vec<Overrun>],
}

impl Known<'_> {
    /// What the store said of this very limit, if it did: a reading where it was overrun, nothing used where it fitted.
    fn reading(&self, of: &Charge) -> Option<Reading> {
        let same = |charge: &Charge| charge.counter == of.counter && charge.window == of.window;
        let (index, charge) = self.charges.iter().enumerate().find(|(_, charge)| same(charge))?;
        let told = self.overruns.iter().flatten().find(|overrun| overrun.index == index);
        let is_wider = of.limit >= charge.limit && of.amount() <= charge.amount();
        told.map(|overrun| overrun.reading).or_else(|| is_wider.then(Reading::default))
    }
}

/// What windows have used.
#[derive(Debug, Default)]
struct Tally(BTreeMap<CounterId, BTreeMap<(String, u64), u64>>);

impl Tally {
    fn reading(&self, charge: &Charge, at: Timestamp, known: &Known<'_>) -> Reading {
        if let Some(reading) = known.reading(charge) {
            return reading;
        }
        let period = charge.window.period_key();
        let buckets = self.0.get(&charge.counter).into_iter().flatten();
        let counts =
            |(key, _): &(&(String, u64), &u64)| key.0 == period && key.1 > begin(charge, at);
        let used = buckets.filter(counts).map(|(_, amount)| *amount);
        Reading { settled: used.fold(0, u64::saturating_add), ..Reading::default() }
    }

    fn add(&mut self, charge: &Charge, at: Timestamp) {
        let period = charge.window.period_key();
        let width = charge.window.bucket().0;
        let bucket = match width {
            0 => u64::MAX,
            width => at.millis().div_euclid(width).saturating_add(1).saturating_mul(width),
        };
        let buckets = self.0.entry(charge.counter).or_default();
        // what no later request can count is forgotten
        buckets.retain(|(of, end), _| *of == period && *end > begin(charge, at));
        let sum = buckets.entry((period, bucket)).or_default();
        *sum = sum.saturating_add(charge.amount().unwrap_or(u64::MAX));
    }
}

/// A bucket counts while its end is later than this.
fn begin(charge: &Charge, at: Timestamp) -> u64 {
    match charge.window {
        Window::Rolling(width) => at.millis().saturating_sub(width.0),
        Window::Calendar(_) | Window::Grant => 0,
    }
}
