//! What a judge says that reads the mandate: a language model that somebody asked.
//!
//! An answer that is not exactly what was asked for, and no answer, ask for people.

use serde::{Deserialize, Serialize};

use crate::json::{Json, Limits};

/// The longest answer that is read, in bytes.
const ANSWER_MAX: usize = 16 * 1024;
/// How much of a reason is kept, in characters.
const REASON_MAX: usize = 500;

/// What a judge thinks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", content = "reason", rename_all = "snake_case")]
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
        let reason = one_line(reason);
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
        Self::Review(format!("the judge did not answer: {}", one_line(why)))
    }
}

/// One line without controls: an agent may have had a hand in it.
fn one_line(reason: &str) -> String {
    let clean = reason.chars().map(|c| if c.is_control() { ' ' } else { c });
    let text: String = clean.take(REASON_MAX).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
