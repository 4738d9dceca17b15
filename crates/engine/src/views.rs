//! Questions that change nothing but what the agent has collected: simulate, budget, operation, nonce.

use std::sync::Arc;

use alloy_primitives::Address;
use countersign_core::{
    approval::{Ask, Gate},
    charge::{Charge, Over, Overrun, Reading, Unit, Window},
    fact::Facts,
    identity::{AgentId, ChainId, OperationId},
    intent::Method,
    operation::{Delivery, OperationRecord, OperationState},
    pact::Pact,
    time::Timestamp,
};
use countersign_policy::{
    Identity, PactLife, Policies, budget, counter_verdicts,
    decision::{Outcome, Verdict},
    pact_state,
};
use serde_json::{Value, json};

use crate::{
    admission::{Admitted, Parties},
    engine::Engine,
    gather::{Gathered, Request, no_store},
    judge::crowded,
    pact::GrantView,
    port::{chain::ChainError, ledger::LedgerError},
    record::{Judgement, actions_json, charge_json, in_unit, verdict_json},
    reply::{Caller, signed},
    setup::{AgentSetup, Setup},
    submission::{Answer, BudgetLine, OperationView, Signed, Simulation, Submission, Unavailable},
    turn::Turn,
};

impl Engine {
    pub(crate) async fn simulated(&self, submission: Submission) -> Result<Simulation, Answer> {
        let setup = self.setup();
        if let Some(simulation) = self.would_be_elsewhere(&setup, &submission).await? {
            return Ok(simulation);
        }
        let seen = self.simulated_in(setup, submission, |_, _| {}).await?;
        Ok(Simulation { body: seen.body() })
    }

    /// The verdict without the act, as this configuration has it. `assume` may change the facts before they are judged.
    pub(crate) async fn simulated_in(
        &self,
        setup: Arc<Setup>,
        submission: Submission,
        assume: impl FnOnce(Parties<'_>, &mut Facts) + Send,
    ) -> Result<Seen, Answer> {
        let (_listening, caller) = Caller::new();
        let admitted = Admitted::admit(setup, submission, (caller, Turn::default()))?;
        let parties = admitted.parties()?;
        let request = Request::fresh(&admitted)?;
        let mut gathered = self.gather(admitted.setup(), request).await?;
        assume(parties, &mut gathered.facts);
        let (judgement, outcome) = self.judge(admitted.setup(), parties, &gathered);
        let (outcome, charges, counted) = self.counted(outcome).await?;
        let outcome = self.in_the_crowd(parties.agent, outcome).await?;
        Ok(Seen { gathered, judgement, outcome, charges, counted })
    }

    /// The counter check as the store would make it, without its effect.
    async fn counted(
        &self,
        outcome: Outcome,
    ) -> Result<(Outcome, Vec<Charge>, Vec<Verdict>), Answer> {
        let charges = match &outcome {
            Outcome::Allow(permit) => permit.charges().to_vec(),
            Outcome::Park(hold) => hold.charges().to_vec(),
            Outcome::Deny(_) => Vec::new(),
        };
        let readings = self.ports().ledger.status(&charges, None).await;
        let readings = readings.map_err(|error| no_store(&error))?;
        let (verdicts, overruns) = counter_verdicts(&charges, &readings);
        let outcome = match outcome {
            outcome if overruns.is_empty() => outcome,
            Outcome::Allow(permit) => permit.overrun(&overruns),
            Outcome::Park(hold) => hold.overrun(&overruns),
            Outcome::Deny(denial) => Outcome::Deny(denial),
        };
        Ok((outcome, charges, verdicts))
    }

    /// Whether what would wait for people may wait beside those that do, as the store asks last when it reserves.
    async fn in_the_crowd(&self, agent: &AgentSetup, outcome: Outcome) -> Result<Outcome, Answer> {
        let Outcome::Park(_) = &outcome else { return Ok(outcome) };
        let most = agent.parked_max;
        let parked = self.ports().ledger.parked(&agent.id, most).await;
        let is_full = parked.map_err(|error| no_store(&error))? >= most;
        Ok(if is_full { Outcome::Deny(crowded(most)) } else { outcome })
    }

    /// Every window that is too full besides and whose limit asks, so that people answer all that asks them at once.
    /// Of a store that cannot be asked nothing is known: what it says when it reserves counts.
    pub(crate) async fn full_windows(
        &self,
        outcome: &Outcome,
        without: Option<OperationId>,
    ) -> Vec<Overrun> {
        let Outcome::Park(hold) = outcome else { return Vec::new() };
        let known = |charge: &Charge| hold.asks().iter().any(|ask| asks_for(ask, charge));
        let asking: Vec<usize> = (0..)
            .zip(hold.charges())
            .filter(|(_, charge)| is_asking(charge) && !known(charge))
            .map(|(index, _)| index)
            .collect();
        if asking.is_empty() {
            return Vec::new();
        }
        let Ok(readings) = self.ports().ledger.status(hold.charges(), without).await else {
            return Vec::new();
        };
        let (_, mut overruns) = counter_verdicts(hold.charges(), &readings);
        overruns.retain(|overrun| asking.contains(&overrun.index));
        overruns
    }

    pub(crate) async fn budget_lines(
        &self,
        agent: &AgentId,
    ) -> Result<Vec<BudgetLine>, Unavailable> {
        let setup = self.setup();
        let Some(agent) = setup.agents.get(agent) else { return Ok(Vec::new()) };
        let ledger = &self.ports().ledger;
        let now = ledger.now().await.map_err(|error| store(&error))?;
        let policies = Policies { grant: agent.grant.clone(), guards: setup.guards.clone() };
        let charges = window_charges(&setup, agent, &policies, now);
        let mut readings = ledger.status(&charges, None).await.map_err(|error| store(&error))?;
        let beyond = charges.iter().zip(&readings).map(|(charge, now)| beyond(charge, *now));
        let beyond: Vec<Charge> = beyond.collect();
        let later = ledger.status(&beyond, None).await.map_err(|error| store(&error))?;
        for (reading, later) in readings.iter_mut().zip(later) {
            reading.frees_at = later.frees_at;
        }
        let shown = |(charge, reading): (&Charge, _)| line(charge, reading);
        Ok(charges.iter().zip(readings).map(shown).collect())
    }

    /// Where an agent's grant stands; `None` for an agent that is not configured.
    pub(crate) async fn state_of_grant(
        &self,
        agent: &AgentId,
    ) -> Result<Option<GrantView>, Unavailable> {
        let setup = self.setup();
        let Some(agent) = setup.agents.get(agent) else { return Ok(None) };
        let ledger = &self.ports().ledger;
        let now = ledger.now().await.map_err(|error| store(&error))?;
        let policies = Policies { grant: agent.grant.clone(), guards: Vec::new() };
        let mut charges = window_charges(&setup, agent, &policies, now);
        charges.retain(|charge| charge.window == Window::Grant);
        let readings = ledger.status(&charges, None).await.map_err(|error| store(&error))?;
        let of =
            |(charge, reading): (&Charge, Reading)| (charge.source.limit.clone(), reading.settled);
        let settled = charges.iter().zip(readings).map(of).collect();
        let pact = Pact { agent: agent.id.clone(), grant: agent.grant.id() };
        let standing = ledger.pact(&pact).await.map_err(|error| store(&error))?;
        let life = PactLife { standing, settled };
        let state = pact_state(&agent.grant, &life, now);
        Ok(Some(GrantView { grant: agent.grant.clone(), state, standing: life.standing }))
    }

    pub(crate) async fn operation_view(
        &self,
        agent: &AgentId,
        id: OperationId,
    ) -> Result<Option<OperationView>, Unavailable> {
        let ledger = &self.ports().ledger;
        let Some(record) = self.own_operation(agent, id).await? else { return Ok(None) };
        if record.is_finished_for_agent() && record.delivery == Delivery::Owed {
            let collected = ledger.deliver(id, Delivery::Owed, Delivery::Collected).await;
            collected.map_err(|error| store(&error))?;
        }
        Ok(Some(view(&record)))
    }

    /// One operation, if it is this agent's.
    pub(crate) async fn own_operation(
        &self,
        agent: &AgentId,
        id: OperationId,
    ) -> Result<Option<OperationRecord>, Unavailable> {
        let record = self.ports().ledger.operation(id).await.map_err(|error| store(&error))?;
        Ok(record.filter(|record| record.agent() == agent))
    }

    pub(crate) async fn count_transactions(
        &self,
        chain: ChainId,
        address: Address,
        pending: bool,
    ) -> Result<Option<u64>, Unavailable> {
        let setup = self.setup();
        let (Some(wallet), Some(chain)) = (setup.wallet_at(address), setup.chains.get(&chain))
        else {
            return Ok(None);
        };
        let account = chain.port.account(address).await.map_err(|error| node(&error))?;
        if !pending {
            return Ok(Some(account.nonce));
        }
        let next = self.ports().ledger.next_nonce(chain.id, &wallet.id).await;
        let next = next.map_err(|error| store(&error))?;
        Ok(Some(next.unwrap_or(0).max(account.nonce)))
    }
}

/// The smallest charge that does not fit now: when it will is when something frees next.
fn beyond(charge: &Charge, now: Reading) -> Charge {
    let value = charge.limit.saturating_sub(now.used()).saturating_add(1);
    Charge { value, ..charge.clone() }
}

/// Whether a window that is too full would ask people.
const fn is_asking(charge: &Charge) -> bool {
    matches!(charge.over, Over::Park { waived: false, .. })
}

fn asks_for(ask: &Ask, charge: &Charge) -> bool {
    (&ask.policy, &ask.rule) == (&charge.source.policy, &charge.source.limit)
}

/// One empty charge for each window that any of the agent's wallets and chains meets.
fn window_charges(
    setup: &Setup,
    agent: &AgentSetup,
    policies: &Policies,
    now: Timestamp,
) -> Vec<Charge> {
    let mut charges: Vec<Charge> = Vec::new();
    for wallet in &agent.wallets {
        for chain in setup.chains.keys() {
            let identity = Identity { agent: &agent.id, wallet, chain: *chain };
            let lines = budget(policies, identity, now).into_iter().map(|line| line.charge);
            let new = lines.filter(|c| charges.iter().all(|known| known.counter != c.counter));
            let new: Vec<Charge> = new.collect();
            charges.extend(new);
        }
    }
    charges
}

fn line(charge: &Charge, reading: Reading) -> BudgetLine {
    let unit: Unit = charge.unit;
    let used = reading.used();
    BudgetLine {
        limit: charge.source.limit.clone(),
        policy: charge.source.policy.clone(),
        per: charge.source.per.clone(),
        unit,
        max: in_unit(unit, charge.limit),
        used: in_unit(unit, used),
        remaining: in_unit(unit, charge.limit.saturating_sub(used)),
        frees_at: reading.frees_at,
    }
}

/// A judgement that nothing follows from, with what it was made of.
pub(crate) struct Seen {
    pub(crate) gathered: Gathered,
    pub(crate) judgement: Judgement,
    pub(crate) outcome: Outcome,
    pub(crate) charges: Vec<Charge>,
    /// What windows say.
    pub(crate) counted: Vec<Verdict>,
}

impl Seen {
    /// Fields as CONTRACT §3 shows them.
    pub(crate) fn body(&self) -> Value {
        let Self { gathered, judgement, outcome, charges, counted } = self;
        let (word, code, reason, violations, gates) = match outcome {
            Outcome::Allow(_) => ("allow", "", String::new(), json!([]), Vec::new()),
            Outcome::Park(hold) => (
                "park",
                hold.code(),
                hold.reason().to_owned(),
                json!(hold.triggers()),
                hold.gates().iter().map(|gate: &Gate| json!(gate.id)).collect(),
            ),
            Outcome::Deny(denial) => (
                "deny",
                denial.code.as_str(),
                denial.reason.clone(),
                json!(denial.violations),
                Vec::new(),
            ),
        };
        let verdicts = judgement.verdicts.iter().chain(counted).map(verdict_json);
        json!({
            "outcome": word,
            "code": code,
            "reason": reason,
            "violations": violations,
            "gates": gates,
            "actions": actions_json(&gathered.facts, judgement),
            "verdicts": verdicts.collect::<Vec<_>>(),
            "charges": charges.iter().map(charge_json).collect::<Vec<_>>(),
            "policy": judgement.policy,
            "approval_mode": judgement.approval_mode,
            "risk_score": judgement.risk_score,
            "risk_parts": judgement.risk_parts,
            "simulated": gathered.facts.simulated,
            "would_fail": gathered.fails.as_ref().map(|fails| &fails.message),
        })
    }
}

pub(crate) fn view(record: &OperationRecord) -> OperationView {
    let parked = record.state == OperationState::Parked;
    let status = if parked { "PENDING_APPROVAL" } else { record.state.name() };
    let transaction =
        signed(record).map(|Signed { hash, raw, bundle, .. }| match record.intent.method {
            Method::SignTransaction => raw.to_string(),
            Method::SendCalls => bundle.unwrap_or_else(|| hash.to_string()),
            Method::SendTransaction
            | Method::SendRawTransaction
            | Method::PersonalSign
            | Method::Sign
            | Method::SignTypedData => hash.to_string(),
        });
    let result = transaction.or_else(|| record.signature.as_ref().map(ToString::to_string));
    OperationView {
        id: record.id,
        status: status.into(),
        code: record.code.clone(),
        hash: record.hash(),
        result,
        expires_at: record.expires_at,
        trace: record.trace,
    }
}

fn store(error: &LedgerError) -> Unavailable {
    Unavailable { code: "store_unavailable", reason: error.to_string() }
}

fn node(error: &ChainError) -> Unavailable {
    Unavailable { code: "upstream_unavailable", reason: error.to_string() }
}
