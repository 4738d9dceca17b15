//! The pure half of a judge that reads the mandate: how its answer is understood, and what it can do.
//!
//! A judge is a language model that somebody asks; asking is not done here. It may ask for people or refuse; it can
//! never allow what the rules do not. An answer that is not exactly what was asked for asks for people.

use countersign_core::{
    approval::Gate,
    json::{Json, Limits},
};

use crate::{
    decision::{Decision, Denial, Ground, Hold, Outcome, Register, Says, Verdict},
    sentence,
};

/// The longest answer that is read, in bytes.
const ANSWER_MAX: usize = 16 * 1024;
/// How much of a reason is kept, in characters.
const REASON_MAX: usize = 500;

/// What a judge thinks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opinion {
    /// Nothing against it.
    Allow,
    /// People should look.
    Review(String),
    /// It goes against the mandate.
    Deny(String),
}

impl Opinion {
    /// Reads an answer: `{"verdict": "allow" | "review" | "deny", "reason": "..."}` and nothing else. Whatever is not
    /// that, and no answer at all, is a review.
    #[must_use]
    pub fn read(answer: &[u8]) -> Self {
        let limits = Limits { bytes: ANSWER_MAX, depth: 2, members: 8 };
        let unclear = || Self::Review("the judge's answer is not what was asked for".to_owned());
        let Ok(Json::Object(members)) = Json::parse(answer, limits) else { return unclear() };
        let text = |key: &str| {
            members.iter().find(|(name, _)| name == key).and_then(|(_, value)| value.as_text())
        };
        let (Some(verdict), Some(reason), 2) = (text("verdict"), text("reason"), members.len())
        else {
            return unclear();
        };
        let reason = harmless(reason);
        match verdict {
            "allow" => Self::Allow,
            "review" => Self::Review(reason),
            "deny" => Self::Deny(reason),
            _ => unclear(),
        }
    }

    /// The opinion where no judge answered in time: the gate is asked.
    #[must_use]
    pub fn absent(why: &str) -> Self {
        Self::Review(format!("the judge did not answer: {}", harmless(why)))
    }
}

/// One line without controls: an agent may have had a hand in it.
fn harmless(reason: &str) -> String {
    let clean = reason.chars().map(|c| if c.is_control() { ' ' } else { c });
    let text: String = clean.take(REASON_MAX).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

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
            rule: RULE.to_owned(),
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
const RULE: &str = "judge";

fn asked(outcome: Outcome, gate: &Gate, reason: &str) -> Outcome {
    let mut hold = match outcome {
        Outcome::Deny(denial) => return Outcome::Deny(denial),
        Outcome::Park(hold) => hold,
        Outcome::Allow(permit) => Hold {
            intent: permit.intent,
            charges: permit.charges,
            policy: permit.policy,
            gates: Vec::new(),
            code: "reason_flagged".to_owned(),
            reason: format!("the judge asks for people: {reason}"),
            triggers: Vec::new(),
        },
    };
    if !hold.gates.contains(gate) {
        hold.gates.push(gate.clone());
    }
    hold.triggers.push(sentence::bare(RULE, "reason_flagged"));
    Outcome::Park(hold)
}

fn refused(outcome: Outcome, reason: &str) -> Outcome {
    let violation = sentence::bare(RULE, "reason_blocked");
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
