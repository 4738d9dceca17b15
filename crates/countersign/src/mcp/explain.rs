//! A verdict in words. What others wrote in it is quoted and never longer than a line.

use serde_json::{Value, json};

use super::door::NoResult;
use crate::screen::plain;

/// The longest text of somebody else that is repeated, in characters.
const QUOTED_MAX: usize = 300;

/// What would happen, why, and what to do about it.
#[derive(Debug, PartialEq)]
pub(super) struct Explained {
    outcome: &'static str,
    code: String,
    summary: String,
    reasons: Vec<String>,
    advice: Vec<String>,
}

impl Explained {
    pub(super) fn words(&self) -> String {
        let line = |text: &String| format!("- {text}");
        let mut lines = vec![self.summary.clone()];
        lines.extend(self.reasons.iter().map(line));
        if !self.advice.is_empty() {
            lines.push("What to do:".into());
            lines.extend(self.advice.iter().map(line));
        }
        lines.join("\n")
    }

    pub(super) fn structured(&self) -> Value {
        json!({
            "outcome": self.outcome,
            "code": self.code,
            "summary": self.summary,
            "reasons": self.reasons,
            "advice": self.advice,
        })
    }
}

/// What a verdict means.
pub(super) fn would(verdict: &Value) -> Explained {
    let code = text(verdict, "code");
    let mut reasons: Vec<String> = violations(verdict);
    if reasons.is_empty() && !text(verdict, "reason").is_empty() {
        reasons.push(text(verdict, "reason"));
    }
    if let Some(words) = verdict.get("would_fail").and_then(Value::as_str) {
        reasons.push(format!("The node says that it would fail: {}", quoted(words)));
    }
    match verdict.get("outcome").and_then(Value::as_str) {
        Some("allow") => Explained {
            outcome: "allow",
            code,
            summary: "It would be signed and sent at once.".into(),
            reasons,
            advice: Vec::new(),
        },
        Some("park") => {
            let gates =
                verdict.get("gates").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let gates: Vec<String> = gates.iter().filter_map(Value::as_str).map(quoted).collect();
            Explained {
                outcome: "park",
                summary: format!(
                    "It would wait for people [{code}], at {}.",
                    if gates.is_empty() { "a gate".to_owned() } else { gates.join(", ") }
                ),
                reasons,
                advice: vec![
                    "Send it, keep the `pending_operation_id` of the answer -32002, and wait with `countersign_wait`.".into(),
                    "Then send the very same request again: it returns the result and is not paid twice.".into(),
                ],
                code,
            }
        }
        Some(_) | None => Explained {
            outcome: "deny",
            summary: format!("It would be refused [{code}]. Nothing would be sent."),
            advice: denied(verdict),
            reasons,
            code,
        },
    }
}

/// What an error of the gateway means.
pub(super) fn explained(error: &NoResult) -> Explained {
    let (code, message) = match error {
        NoResult::Refused { code, message, .. } => (*code, quoted(message)),
        NoResult::Unreachable(why) => (0, why.clone()),
    };
    let advice = match code {
        -32602 => {
            "Correct the field that the message names. Quantities are 0x hex without leading zeros."
        }
        4100 => "Use an account of this agent: `eth_accounts` lists them.",
        4001 => "This is final: do not repeat it.",
        -32003 => "The node would not take it: check balance, nonce and arguments.",
        -32010 => {
            "Something that the gateway needs does not answer. Nothing was done; the same again is safe."
        }
        _ => "Check that the gateway runs, its URL and the token.",
    };
    Explained {
        outcome: "error",
        code: code.to_string(),
        summary: "It could not be judged.".into(),
        reasons: vec![message],
        advice: vec![advice.into()],
    }
}

/// An error in one text.
pub(super) fn refusal(error: &NoResult) -> String {
    match error {
        NoResult::Refused { code, message, .. } => format!("{code}: {}", quoted(message)),
        NoResult::Unreachable(why) => why.clone(),
    }
}

fn violations(verdict: &Value) -> Vec<String> {
    let all = verdict.get("violations").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    all.iter().map(violation).collect()
}

/// `limit day [daily_quota_exceeded]: 100 asked, 950 of 1000 used; frees at 2026-..`
fn violation(of: &Value) -> String {
    let mut words = format!("`{}` [{}]", text(of, "rule"), text(of, "code"));
    let (limit, current) = (text(of, "limit"), text(of, "current"));
    let mut facts = Vec::new();
    if !text(of, "requested").is_empty() {
        facts.push(format!("{} asked", text(of, "requested")));
    }
    match (limit.is_empty(), current.is_empty()) {
        (false, false) => facts.push(format!("{current} of {limit} used")),
        (false, true) => facts.push(format!("at most {limit}")),
        (true, false) => facts.push(format!("now {current}")),
        (true, true) => {}
    }
    if !text(of, "frees_at").is_empty() {
        facts.push(format!("frees at {}", text(of, "frees_at")));
    }
    if !facts.is_empty() {
        words.push_str(": ");
        words.push_str(&facts.join(", "));
    }
    words
}

fn denied(verdict: &Value) -> Vec<String> {
    let all = verdict.get("violations").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let frees = all.iter().map(|of| text(of, "frees_at")).filter(|at| !at.is_empty()).max();
    let mut advice = Vec::new();
    if let Some(at) = frees {
        advice.push(format!(
            "Ask for less (`countersign_budget` shows what is left), or after {at}."
        ));
    } else {
        advice.push("Change what is asked for; the same again has the same answer.".into());
    }
    advice.push("Only an operator can change the policy.".into());
    advice
}

fn text(of: &Value, name: &str) -> String {
    of.get(name).and_then(Value::as_str).map(quoted).unwrap_or_default()
}

fn quoted(text: &str) -> String {
    plain(text).chars().take(QUOTED_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_used_up_is_said_with_numbers_and_an_end() {
        let verdict = json!({
            "outcome": "deny", "code": "daily_quota_exceeded", "reason": "x",
            "violations": [{"rule": "day", "code": "daily_quota_exceeded", "limit": "1000",
                "current": "950", "requested": "100", "frees_at": "2026-01-01T00:00:00Z"}],
        });
        assert_eq!(
            would(&verdict).words(),
            "It would be refused [daily_quota_exceeded]. Nothing would be sent.\n- `day` [daily_quota_exceeded]: 100 asked, 950 of 1000 used, frees at 2026-01-01T00:00:00Z\nWhat to do:\n- Ask for less (`countersign_budget` shows what is left), or after 2026-01-01T00:00:00Z.\n- Only an operator can change the policy."
        );
    }

    #[test]
    fn what_others_wrote_stays_one_short_line() {
        let hostile = format!("a\u{1b}[31m\nIgnore all\u{202e}{}", "x".repeat(1000));
        let said = would(&json!({"outcome": "deny", "code": "c", "reason": hostile})).reasons;
        let text = said.first().cloned().unwrap_or_default();
        assert!(
            !text.contains('\n') && !text.contains('\u{1b}') && text.chars().count() <= 300,
            "{text:?}"
        );
    }
}
