//! What is said of a request, for people and for programs.

use countersign_core::{
    action::Action,
    fact::Facts,
    intent::{Intent, Method},
};
use countersign_policy::decision::{Decision, Outcome, Says, Verdict};
use serde_json::{Value, json};

use super::{action::described, elsewhere::Foreign};
use crate::screen::{Paint, plain, say};

/// Everything that is said of one request.
pub(super) struct Explained {
    pub(super) intent: Intent,
    pub(super) facts: Facts,
    pub(super) said: Said,
    /// Of each call of a bundle, as if it came alone.
    pub(super) calls: Vec<Call>,
}

/// The answer to a request.
pub(super) enum Said {
    /// What the policies say.
    Judged(Box<Decision>),
    /// No policy is asked.
    Foreign(Foreign),
}

/// One call of a bundle.
pub(super) struct Call {
    pub(super) actions: Vec<Action>,
    pub(super) decision: Decision,
}

impl Explained {
    /// For programs: members of what is not judged are null or empty.
    pub(super) fn as_json(&self) -> Value {
        let Self { intent, facts, said, calls } = self;
        let (decision, (outcome, code, reason)) = match said {
            Said::Judged(decision) => (Some(&**decision), ended(&decision.outcome)),
            Said::Foreign(foreign) => (None, ("deny", Foreign::CODE, foreign.reason())),
        };
        json!({
            "agent": intent.agent, "wallet": intent.wallet, "address": intent.address,
            "chain": intent.chain(), "method": intent.method,
            "outcome": outcome, "code": code, "reason": reason, "actions": facts.actions,
            "calls": calls.iter().map(Call::as_json).collect::<Vec<_>>(),
            "usd": decision.map_or(&[][..], |of| of.usd.as_slice()),
            "fee_usd": decision.map(|of| of.fee_usd),
            "verdicts": decision.map_or(&[][..], |of| of.verdicts.as_slice()),
            "policy": decision.map(|of| of.policy),
            "risk_score": decision.map(|of| of.risk_score),
            "risk_parts": decision.map_or(&[][..], |of| of.risk_parts.as_slice()),
            "approval_mode": decision.map(|of| of.approval_mode),
        })
    }

    /// For people.
    pub(super) fn show(&self) {
        let paint = Paint::stdout();
        say(format!("{} {}", paint.bold("Asked by"), self.asker()));
        say(paint.bold("What it does"));
        self.actions().for_each(say);
        match &self.said {
            Said::Judged(decision) => {
                if !self.calls.is_empty() {
                    say(paint.bold("Each call by itself"));
                }
                for (number, call) in (1_usize..).zip(&self.calls) {
                    say(format!("  call {number}: {}", in_words(&call.decision.outcome, paint)));
                }
                say(paint.bold("Rules and limits"));
                ruled(&decision.verdicts, paint).for_each(say);
                say(format!("{} {}", paint.bold("Outcome"), in_words(&decision.outcome, paint)));
            }
            Said::Foreign(foreign) => {
                let (word, code, reason) = (paint.red("deny"), Foreign::CODE, foreign.reason());
                say(format!("{} {word} [{code}] {reason}", paint.bold("Outcome")));
            }
        }
    }

    fn asker(&self) -> String {
        let Intent { agent, wallet, address, method, .. } = &self.intent;
        let (chain, method_name) = (self.intent.chain(), method.name());
        let by = if *method == Method::SendTransaction {
            String::new()
        } else {
            format!(", by {method_name}")
        };
        let from = match self.said {
            Said::Judged(_) => format!("from {wallet} {address}"),
            Said::Foreign(_) => format!("signed by {address}"),
        };
        format!("{agent}, {from}, on chain {chain}{by}")
    }

    /// A line for each action, with its worth and, in a bundle, its call.
    fn actions(&self) -> impl Iterator<Item = String> {
        let counts = self.calls.iter().map(|call| call.actions.len());
        let numbered = (1_usize..).zip(counts);
        let calls: Vec<String> = numbered
            .flat_map(|(number, count)| std::iter::repeat_n(format!("call {number}: "), count))
            .collect();
        let decision = match &self.said {
            Said::Judged(decision) => Some(decision),
            Said::Foreign(_) => None,
        };
        self.facts.actions.iter().enumerate().map(move |(index, action)| {
            let usd = decision.and_then(|of| of.usd.get(index).copied().flatten());
            let usd = usd.map_or_else(|| "unknown USD".to_owned(), |usd| format!("{usd} USD"));
            let call = calls.get(index).map_or("", String::as_str);
            format!("  {call}{}  ({usd})", described(action, &self.facts.tokens))
        })
    }
}

impl Call {
    fn as_json(&self) -> Value {
        let Self { actions, decision } = self;
        let (outcome, code, reason) = ended(&decision.outcome);
        json!({
            "outcome": outcome, "code": code, "reason": reason, "actions": actions,
            "usd": decision.usd, "fee_usd": decision.fee_usd,
        })
    }
}

fn ended(outcome: &Outcome) -> (&'static str, &str, &str) {
    match outcome {
        Outcome::Allow(_) => ("allow", "", ""),
        Outcome::Park(hold) => ("park", hold.code(), hold.reason()),
        Outcome::Deny(denial) => ("deny", &denial.code, &denial.reason),
    }
}

fn in_words(outcome: &Outcome, paint: Paint) -> String {
    let (word, code, reason) = ended(outcome);
    let word = match outcome {
        Outcome::Allow(_) => paint.green(word),
        Outcome::Park(_) => paint.yellow(word),
        Outcome::Deny(_) => paint.red(word),
    };
    if code.is_empty() { word } else { format!("{word} [{code}] {}", plain(reason)) }
}

/// A line for each rule and limit.
fn ruled(verdicts: &[Verdict], paint: Paint) -> impl Iterator<Item = String> {
    let name = |verdict: &Verdict| format!("{}/{}", verdict.policy, verdict.rule);
    let width = verdicts.iter().map(|verdict| name(verdict).len()).max().unwrap_or(0);
    verdicts.iter().map(move |verdict| {
        let (name, detail) = (name(verdict), plain(&verdict.detail));
        format!("  {} {name:<width$}  {detail}", said(verdict.says, paint))
    })
}

fn said(says: Says, paint: Paint) -> String {
    match says {
        Says::Allow => paint.green("allow  "),
        Says::Approve => paint.yellow("approve"),
        Says::Deny => paint.red("deny   "),
        Says::Pass => paint.dim("pass   "),
        Says::Within => paint.green("within "),
    }
}
