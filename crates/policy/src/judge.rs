//! What the opinion of a judge that reads the mandate can do: ask for people, or refuse.
//!
//! A judge is a language model that somebody asks; asking is not done here. It can never allow what the rules do not.

use countersign_core::{approval::Gate, opinion::Opinion};

use crate::{
    decide::ask,
    decision::{Decision, Denial, Ground, Hold, Outcome, Register, Says, Verdict},
    sentence,
};

impl Decision {
    /// The decision with a judge's opinion. It is never milder: a denial stays one, a review adds the gate, and an
    /// opinion that allows changes nothing. A gate that people have opened already is not asked again (`opened`).
    pub fn heard(mut self, opinion: &Opinion, gate: &Gate, opened: bool) -> Self {
        let (says, code, reason) = match opinion {
            Opinion::Allow => (Says::Pass, "", "nothing against it"),
            Opinion::Review(reason) if opened => (Says::Approve, "", reason.as_str()),
            Opinion::Review(reason) => (Says::Approve, "reason_flagged", reason.as_str()),
            Opinion::Deny(reason) => (Says::Deny, "reason_blocked", reason.as_str()),
        };
        self.verdicts.push(Verdict {
            policy: gate.policy.clone(),
            rule: JUDGE.to_owned(),
            says,
            code: code.to_owned(),
            detail: reason.to_owned(),
        });
        self.outcome = match opinion {
            Opinion::Allow => self.outcome,
            Opinion::Review(_) if opened => self.outcome,
            Opinion::Review(reason) => asked(self.outcome, gate, reason),
            Opinion::Deny(reason) => refused(self.outcome, reason),
        };
        self
    }
}

/// What verdicts and violations of the judge are called.
pub(crate) const JUDGE: &str = "judge";

fn asked(outcome: Outcome, gate: &Gate, reason: &str) -> Outcome {
    let mut hold = match outcome {
        Outcome::Deny(denial) => return Outcome::Deny(denial),
        Outcome::Park(hold) => hold,
        Outcome::Allow(permit) => Hold {
            intent: permit.intent,
            charges: permit.charges,
            policy: permit.policy,
            gates: Vec::new(),
            asks: Vec::new(),
            code: "reason_flagged".to_owned(),
            reason: format!("the judge asks for people: {reason}"),
            triggers: Vec::new(),
        },
    };
    if !hold.gates.contains(gate) {
        hold.gates.push(gate.clone());
    }
    let asking = sentence::bare(JUDGE, "reason_flagged");
    hold.asks.push(ask(gate, &asking));
    hold.triggers.push(asking);
    Outcome::Park(hold)
}

fn refused(outcome: Outcome, reason: &str) -> Outcome {
    let violation = sentence::bare(JUDGE, "reason_blocked");
    match outcome {
        Outcome::Deny(mut denial) => {
            denial.violations.push(violation);
            // what only a missing price denied would be tried again
            denial.ground = Ground::Policy;
            denial.register = Register::Halt;
            Outcome::Deny(denial)
        }
        Outcome::Allow(_) | Outcome::Park(_) => Outcome::Deny(Denial {
            code: "reason_blocked".to_owned(),
            reason: format!("the judge finds it against the mandate: {reason}"),
            register: Register::Halt,
            ground: Ground::Policy,
            violations: vec![violation],
        }),
    }
}
