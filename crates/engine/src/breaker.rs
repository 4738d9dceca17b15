//! What a denial says of its agent beyond the request: that it looks like an attack, or that there are too many.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use countersign_core::{
    fact::Freeze,
    freeze::{FreezeOrder, Freezer},
    identity::{AgentId, WalletId},
    incident::Severity,
    text::Remark,
    time::Millis,
};
use countersign_policy::decision::{Denial, Ground, RiskPart};

use crate::{
    engine::Engine,
    port::{
        chronicle::{Strike, Struck},
        journal::NewTrace,
        ledger::LedgerError,
    },
    setup::{AgentSetup, Breaker},
};

/// How many denials of an agent without a breaker people are told of.
const BURST: Breaker = Breaker { denials: 20, within: Millis(60_000) };

/// How many agents are watched at once for that.
const WATCHED_MAX: usize = 4096;

/// Codes that say nothing about the agent: an operator's freeze, and what somebody else failed to say.
const NOT_THE_AGENTS: [&str; 4] =
    ["frozen", "fact_unknown", "simulation_failed", "price_unavailable"];

/// Denials of the last time, by agent: for people only, so they need not outlive the process.
#[derive(Debug, Default)]
pub(crate) struct Bursts(Mutex<BTreeMap<AgentId, VecDeque<Millis>>>);

impl Bursts {
    /// Whether this one makes too many. Then the count begins anew.
    fn count(&self, agent: &AgentId, now: Millis) -> bool {
        let mut agents = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if agents.len() >= WATCHED_MAX && !agents.contains_key(agent) {
            agents.clear();
        }
        let times = agents.entry(agent.clone()).or_default();
        let Millis(within) = BURST.within;
        while times.front().is_some_and(|at| now.0.saturating_sub(at.0) >= within) {
            times.pop_front();
        }
        times.push_back(now);
        let too_many = u32::try_from(times.len()).is_ok_and(|count| count >= BURST.denials);
        if too_many {
            times.clear();
        }
        too_many
    }
}

/// What a blocked request would have done to the wallet's owner, if it is worth telling.
fn attack(parts: &[RiskPart]) -> Option<(Severity, &'static str, &'static str)> {
    let has = |name: &str| parts.iter().any(|part| part.part == name);
    let stranger = has("new_counterparty");
    Some(if has("acts_as_the_account") {
        (Severity::High, "acts_as_the_account", "blocked: code would have acted as the account")
    } else if has("unlimited_allowance") && stranger {
        let title = "blocked: an allowance without bound for a stranger";
        (Severity::High, "unlimited_allowance", title)
    } else if has("unlimited_allowance") {
        (Severity::Medium, "unlimited_allowance", "blocked: an allowance without bound")
    } else if has("moves_tokens_of_others") {
        (Severity::High, "moves_tokens_of_others", "blocked: a transfer of somebody else's tokens")
    } else if has("hands_over_control") {
        (Severity::High, "hands_over_control", "blocked: a call that hands over control")
    } else if has("lost_recipient") {
        (Severity::Medium, "lost_recipient", "blocked: a transfer to where nobody has a key")
    } else if has("unreadable") {
        (Severity::Medium, "unreadable", "blocked: what cannot be read for what it is")
    } else {
        return None;
    })
}

/// Whether a denial is the agent's doing. One reason that is, is enough.
fn is_the_agents(denial: &Denial) -> bool {
    let others = |code: &str| NOT_THE_AGENTS.contains(&code);
    let only_others = match denial.violations.as_slice() {
        [] => others(&denial.code),
        violations => violations.iter().all(|violation| others(&violation.code)),
    };
    denial.ground == Ground::Policy && !only_others
}

impl Engine {
    /// Counts a denial against its agent and tells people what it looks like. The count is kept before the agent has its
    /// answer; a store that does not take it has other alarms, and the denial stands.
    pub(crate) async fn denied(
        self: &Arc<Self>,
        agent: &AgentSetup,
        denial: &Denial,
        (entry, parts): (&NewTrace, &[RiskPart]),
    ) {
        if !is_the_agents(denial) {
            return;
        }
        if let Some((severity, cause, title)) = attack(parts) {
            let text = format!("{}: {}", denial.code, denial.reason);
            let of = ("attack_blocked", cause.to_owned());
            self.raise_beside(severity, of, (title.to_owned(), text), entry.clone());
        }
        self.hold_against(agent, entry).await;
    }

    /// Counts a denial towards the agent's freeze, or where it has no breaker, towards people being told.
    pub(crate) async fn hold_against(self: &Arc<Self>, agent: &AgentSetup, entry: &NewTrace) {
        let Some(Breaker { denials, within }) = agent.breaker else {
            self.watch_for_a_burst(agent, entry);
            return;
        };
        let trace = entry.trace_hash;
        let strike = Strike { agent: agent.id.clone(), trace, denials, within };
        match self.struck(&strike).await {
            Ok(Struck::Counted(_) | Struck::Frozen) => {}
            Ok(Struck::Tripped) => {
                tracing::warn!(agent = %agent.id, denials, "the breaker froze an agent");
                let title = format!("the breaker froze the agent `{}`", agent.id);
                let text = format!(
                    "{denials} of its requests were denied within {within}. Nothing of it is signed until somebody lifts the freeze; then the count begins anew."
                );
                let of = ("breaker_tripped", "");
                self.raise_about(Severity::High, of, (&title, text), entry).await;
            }
            Err(error) => {
                tracing::warn!(agent = %agent.id, %error, "a denial is not counted");
            }
        }
    }

    /// Asks again where the answer was lost. If the agent is frozen then, it was this call.
    async fn struck(&self, strike: &Strike) -> Result<Struck, LedgerError> {
        let chronicle = &self.ports().chronicle;
        match chronicle.strike(strike).await {
            Err(LedgerError::Ambiguous(_)) => match chronicle.strike(strike).await? {
                Struck::Frozen | Struck::Tripped => Ok(Struck::Tripped),
                counted @ Struck::Counted(_) => Ok(counted),
            },
            answer => answer,
        }
    }

    /// Freezes a wallet whose key is not trusted any more, until a person has looked.
    pub(crate) async fn distrust(&self, wallet: &WalletId, why: &str) -> Result<(), LedgerError> {
        let freeze = Freeze::Wallet(wallet.clone());
        let order = FreezeOrder { freeze, by: Freezer::Gateway, reason: Remark::of(why) };
        self.ports().ledger.freeze(&order).await
    }

    fn watch_for_a_burst(self: &Arc<Self>, agent: &AgentSetup, entry: &NewTrace) {
        if !self.bursts().count(&agent.id, self.ports().clock.monotonic()) {
            return;
        }
        let Breaker { denials, within } = BURST;
        let title = format!("many requests of the agent `{}` are denied", agent.id);
        let text = format!("{denials} within {within}, and it has no breaker that would stop it.");
        let of = ("denial_burst", String::new());
        self.raise_beside(Severity::Medium, of, (title, text), entry.clone());
    }
}

#[cfg(test)]
mod tests {
    use countersign_policy::decision::{Register, Violation};

    use super::*;

    fn denial(codes: &[&str]) -> Denial {
        let violation = |code: &&str| Violation {
            rule: "rule".into(),
            code: (*code).into(),
            limit: None,
            current: None,
            requested: None,
            frees_at: None,
        };
        Denial {
            code: codes[0].into(),
            reason: String::new(),
            register: Register::Constructive,
            ground: Ground::Policy,
            violations: codes.iter().map(violation).collect(),
        }
    }

    #[test]
    fn only_what_is_the_agents_doing_counts_against_it() {
        for (codes, expected) in [
            (&["no_rule_allows"][..], true),
            (&["frozen"], false),
            (&["frozen", "fact_unknown"], false),
            (&["frozen", "no_rule_allows"], true),
            (&["simulation_failed"], false),
            (&["price_unavailable"], false),
        ] {
            assert_eq!(is_the_agents(&denial(codes)), expected, "{codes:?}");
        }
        let unavailable = Denial { ground: Ground::Unavailable, ..denial(&["no_rule_allows"]) };
        assert!(!is_the_agents(&unavailable));
    }

    #[test]
    fn what_is_blocked_is_called_by_its_worst_part() {
        let parts = |names: &[&str]| {
            let part = |name: &&str| RiskPart { part: (*name).into(), points: 1 };
            names.iter().map(part).collect::<Vec<_>>()
        };
        let told =
            |names: &[&str]| attack(&parts(names)).map(|(severity, cause, _)| (severity, cause));
        let stranger = told(&["unlimited_allowance", "new_counterparty"]);
        assert_eq!(stranger, Some((Severity::High, "unlimited_allowance")));
        let known = told(&["unlimited_allowance"]);
        assert_eq!(known, Some((Severity::Medium, "unlimited_allowance")));
        assert_eq!(told(&["new_counterparty", "most_of_the_balance"]), None);
        assert_eq!(told(&[]), None);
    }

    #[test]
    fn a_burst_is_so_many_within_a_minute() {
        let (bursts, agent) = (Bursts::default(), AgentId::parse("bot").unwrap());
        let slow = (0..100).any(|n| bursts.count(&agent, Millis(n * 3200)));
        assert!(!slow, "19 a minute are no burst");
        let later = 1_000_000;
        let fast: Vec<u64> = (0..45).filter(|n| bursts.count(&agent, Millis(later + n))).collect();
        assert_eq!(fast, [19, 39], "it is told once for each so many");
    }
}
