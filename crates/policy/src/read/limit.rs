//! Limits: `{ id, when, sum | count, per, tz, by, max, over, code }`.

use countersign_core::time::{Millis, Zone};

use super::{Reader, count, each};
use crate::{
    field::Shape,
    model::{By, Limit, Measure, OverLimit, Per},
    source::Node,
};

pub(crate) const KEYS: [&str; 10] =
    ["id", "when", "sum", "count", "per", "tz", "by", "max", "over", "code"];
const ROLLING_MIN: Millis = Millis(1000);
const ROLLING_MAX: Millis = Millis(366 * 24 * 3_600_000);

impl Reader<'_> {
    pub(crate) fn limit(&mut self, node: &Node) -> Option<Limit> {
        self.keys(node, "a limit", &KEYS)?;
        let id = self.required(node, "id").and_then(|id| self.id(&id));
        let when = self.when(node.get("when"));
        let measure = self.measure(node);
        let per = self.per(node);
        let by = self.by(node.get("by"));
        let max = self.max(node, measure);
        let over = self.over(node.get("over"));
        let code = node.get("code").and_then(|code| self.code(code));
        let (id, when, measure, per, over) = (id?, when?, measure?, per?, over?);
        if per == Per::Transaction && !by.is_empty() {
            self.findings.error(
                node.place,
                "`by` splits a window, and `per: tx` has none",
                "remove `by`",
            );
        }
        if by.contains(&By::Session) {
            self.findings.warning(
                node.place,
                format!("limit `{id}` is split by what the agent calls its session"),
                "an agent can begin a new one whenever it likes; keep another limit beside it",
            );
        }
        let code = code.unwrap_or_else(|| default_code(measure, &per, &over).to_owned());
        let when_key = node.get("when").map(|w| w.canonical().to_string()).unwrap_or_default();
        let (kinds, when) = (when.kinds, when.condition);
        let place = node.place;
        Some(Limit { id, place, kinds, when, when_key, measure, per, by, max: max?, over, code })
    }

    fn measure(&mut self, node: &Node) -> Option<Measure> {
        let wrong = |reader: &mut Self, at: &Node| {
            reader.findings.error(
                at.place,
                "a limit counts one thing",
                "sum: usd, sum: fee_usd, count: tx or count: action",
            );
            None
        };
        match (node.get("sum"), node.get("count")) {
            (Some(sum), None) => match sum.text() {
                Some("usd") => Some(Measure::Usd),
                Some("fee_usd") => Some(Measure::Fee),
                Some(_) | None => wrong(self, sum),
            },
            (None, Some(count)) => match count.text() {
                Some("tx") => Some(Measure::Requests),
                Some("action") => Some(Measure::Actions),
                Some(_) | None => wrong(self, count),
            },
            (Some(_), Some(_)) | (None, None) => wrong(self, node),
        }
    }

    fn per(&mut self, node: &Node) -> Option<Per> {
        let per = self.required(node, "per")?;
        let zone = node.get("tz").map(|tz| self.parsed_with(tz, Zone::parse));
        let word = self.word(&per)?;
        if let Some(tz) = node.get("tz").filter(|_| !matches!(word.as_str(), "day" | "month")) {
            self.findings.error(
                tz.place,
                format!("`tz` means nothing for `per: {word}`"),
                "remove it",
            );
        }
        let zone = zone.unwrap_or(Some(Zone::UTC))?;
        match word.as_str() {
            "tx" => Some(Per::Transaction),
            "day" => Some(Per::Day(zone)),
            "month" => Some(Per::Month(zone)),
            "grant" => Some(Per::Grant),
            text => match text.parse::<Millis>() {
                Ok(length) if (ROLLING_MIN..=ROLLING_MAX).contains(&length) => {
                    Some(Per::Rolling(length, text.to_owned()))
                }
                Ok(_) | Err(_) => {
                    self.findings.error(
                        per.place,
                        format!("`{text}` is not a window"),
                        "use tx, day, month, grant, or a duration from 1s to 366d, as in 24h",
                    );
                    None
                }
            },
        }
    }

    fn by(&mut self, node: Option<&Node>) -> Vec<By> {
        let mut by = Vec::new();
        for item in each(node) {
            let Some(word) = self.word(&item) else { continue };
            match By::ALL.iter().find(|(known, _)| *known == word) {
                Some((_, known)) if !by.contains(known) => by.push(*known),
                Some(_) => self.findings.error(item.place, format!("`{word}` is named twice"), ""),
                None => {
                    let known = By::ALL.map(|(word, _)| word).join(", ");
                    self.findings.error(
                        item.place,
                        format!("a limit cannot be split by `{word}`"),
                        format!("it may be split by {known}"),
                    );
                }
            }
        }
        by
    }

    fn max(&mut self, node: &Node, measure: Option<Measure>) -> Option<u64> {
        let max = self.required(node, "max")?;
        let shape = if measure.is_none_or(Measure::is_money) { Shape::Usd } else { Shape::Number };
        let operand = self.operand(&max, &shape)?;
        let counted = count(&operand);
        if counted.is_none() {
            self.findings.error(max.place, "the maximum is too large to count exactly", "");
        }
        counted
    }

    fn over(&mut self, node: Option<&Node>) -> Option<OverLimit> {
        let Some(node) = node else { return Some(OverLimit::Deny) };
        if node.text() == Some("deny") {
            return Some(OverLimit::Deny);
        }
        let Some(gate) = node.get("approve") else {
            self.findings.error(node.place, "`over` must be deny or { approve: GATE }", "");
            return None;
        };
        self.keys(node, "`over`", &["approve"])?;
        self.gate_named(gate).map(OverLimit::Approve)
    }
}

const fn default_code(measure: Measure, per: &Per, over: &OverLimit) -> &'static str {
    match (measure, per, over) {
        (Measure::Requests | Measure::Actions, ..) => "count_limit_exceeded",
        (_, Per::Transaction, OverLimit::Deny) => "per_tx_limit_exceeded",
        (_, Per::Transaction, OverLimit::Approve(_)) => "amount_above_threshold",
        (_, Per::Rolling(..), _) => "rolling_limit_exceeded",
        (_, Per::Day(_), _) => "daily_quota_exceeded",
        (_, Per::Month(_), _) => "monthly_quota_exceeded",
        (_, Per::Grant, _) => "grant_limit_exceeded",
    }
}
