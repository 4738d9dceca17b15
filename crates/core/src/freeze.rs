//! Who froze what, when and why: what people see of a freeze. A decision knows only the [`Freeze`].

use serde::{Deserialize, Serialize};

use crate::{fact::Freeze, identity::OperatorId, text::Remark, time::Timestamp};

/// A freeze with the word of who puts it in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreezeOrder {
    /// What it stops.
    #[serde(flatten)]
    pub freeze: Freeze,
    /// Who.
    #[serde(flatten)]
    pub by: Freezer,
    /// Why, where it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Remark>,
}

/// Who puts a freeze in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", content = "operator", rename_all = "snake_case")]
pub enum Freezer {
    /// A person.
    Operator(OperatorId),
    /// An agent's breaker.
    Breaker,
    /// The gateway, which does not trust a key any more.
    Gateway,
}

impl Freezer {
    /// The word of the wire.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Operator(_) => "operator",
            Self::Breaker => "breaker",
            Self::Gateway => "gateway",
        }
    }

    /// The person, where it was one.
    #[must_use]
    pub const fn operator(&self) -> Option<&OperatorId> {
        match self {
            Self::Operator(operator) => Some(operator),
            Self::Breaker | Self::Gateway => None,
        }
    }
}

/// A freeze that is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandingFreeze {
    /// Who said so.
    #[serde(flatten)]
    pub order: FreezeOrder,
    /// Since when these words stand, by the store's clock.
    pub at: Timestamp,
}

impl FreezeOrder {
    /// Whether this order changes nothing where the other one stands: nothing new is said of why. The last who said why
    /// is the one whom people ask.
    #[must_use]
    pub fn adds_nothing_to(&self, standing: &Self) -> bool {
        self.reason.is_none() || self == standing
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::identity::{AgentId, ChainId};

    #[test]
    fn it_is_one_flat_object_and_reads_back() {
        let at = Timestamp::from_millis(1_767_225_600_000);
        let alice = || Freezer::Operator(OperatorId::parse("alice").unwrap());
        let agent = Freeze::Agent(AgentId::parse("bot").unwrap());
        let reason = Some(Remark::parse("key at a \"stranger's\" desk").unwrap());
        for (order, expected) in [
            (
                FreezeOrder { freeze: agent, by: alice(), reason },
                json!({"scope": "agent", "id": "bot", "by": "operator", "operator": "alice", "reason": "key at a \"stranger's\" desk", "at": "2026-01-01T00:00:00Z"}),
            ),
            (
                FreezeOrder { freeze: Freeze::All, by: Freezer::Breaker, reason: None },
                json!({"scope": "all", "by": "breaker", "at": "2026-01-01T00:00:00Z"}),
            ),
            (
                FreezeOrder {
                    freeze: Freeze::Chain(ChainId(1)),
                    by: Freezer::Gateway,
                    reason: None,
                },
                json!({"scope": "chain", "id": 1, "by": "gateway", "at": "2026-01-01T00:00:00Z"}),
            ),
        ] {
            let standing = StandingFreeze { order, at };
            let text = serde_json::to_string(&standing).unwrap();
            assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), expected);
            assert_eq!(serde_json::from_str::<StandingFreeze>(&text).unwrap(), standing, "{text}");
        }
    }

    #[test]
    fn only_another_reason_says_something_new() {
        let order = |by: Freezer, reason: Option<&str>| FreezeOrder {
            freeze: Freeze::Global,
            by,
            reason: reason.map(|text| Remark::parse(text).unwrap()),
        };
        let standing = order(Freezer::Breaker, Some("5 denials"));
        assert!(order(Freezer::Gateway, None).adds_nothing_to(&standing));
        assert!(standing.adds_nothing_to(&standing));
        assert!(!order(Freezer::Breaker, Some("6 denials")).adds_nothing_to(&standing));
        assert!(!order(Freezer::Gateway, Some("5 denials")).adds_nothing_to(&standing));
    }
}
