//! Gates: who must say yes, how long it is asked, and how far things may drift meanwhile.

use countersign_core::{
    approval::{Gate, Quorum, Signing},
    time::Millis,
};

use super::{Reader, each, scalar};
use crate::source::{Entry, Node};

/// How long a gate waits where it does not say.
pub(crate) const TTL: Millis = Millis(24 * 3_600_000);
/// How far the fee may rise where a gate does not say: to twice what people saw.
pub(crate) const DRIFT_FEE_BPS: u32 = 10_000;
const TTL_MAX: Millis = Millis(30 * 24 * 3_600_000);

impl Reader<'_> {
    pub(crate) fn gate(&mut self, entry: &Entry) -> Option<Gate> {
        let node = &entry.node;
        let what = format!("gate `{}`", entry.key);
        self.keys(node, &what, &["need", "in_order", "sign", "ttl", "delay", "drift"])?;
        let need = self.required(node, "need")?;
        let clauses = each(Some(&need));
        if clauses.is_empty() {
            self.findings.error(
                need.place,
                format!("{what} needs nobody"),
                "name at least one clause",
            );
        }
        let need = clauses.iter().filter_map(|clause| self.quorum(clause, &what)).collect();
        let ttl = node.get("ttl").and_then(|node| self.duration(node)).unwrap_or(TTL);
        let delay = node.get("delay").and_then(|node| self.duration(node)).unwrap_or(Millis::ZERO);
        if ttl == Millis::ZERO || ttl > TTL_MAX || delay >= ttl {
            self.findings.error(
                node.place,
                format!("{what} can never be passed in time"),
                "ttl must be above 0 and its delay, and at most 30d",
            );
        }
        let (drift_fee_bps, drift_usd_bps) = self.drift(node.get("drift"));
        let in_order = node
            .get("in_order")
            .and_then(|node| self.parsed_with(node, str::parse::<bool>))
            .unwrap_or(false);
        let sign = each(node.get("sign")).iter().filter_map(|node| self.signing(node)).collect();
        let policy = self.policy_name().to_owned();
        Some(Gate {
            policy,
            id: entry.key.clone(),
            need,
            in_order,
            sign,
            ttl,
            delay,
            drift_fee_bps,
            drift_usd_bps,
        })
    }

    fn signing(&mut self, node: &Node) -> Option<Signing> {
        self.parsed_with(node, str::parse)
    }

    fn quorum(&mut self, node: &Node, what: &str) -> Option<Quorum> {
        self.keys(node, &format!("a clause of {what}"), &["any", "of"])?;
        let any_node = self.required(node, "any")?;
        let any = self.parsed_with(&any_node, str::parse::<u32>)?;
        let of_node = self.required(node, "of")?;
        let mut of = Vec::new();
        for name in each(Some(&of_node)) {
            let Some(word) = self.word(&name) else { continue };
            if word != Quorum::ANYONE && !scalar::is_id(&word) {
                self.findings.error(name.place, format!("`{word}` is not a name"), scalar::ID_HINT);
            } else if of.contains(&word) {
                self.findings.error(
                    name.place,
                    format!("`{word}` is named twice"),
                    "a person counts once",
                );
            } else {
                of.push(word);
            }
        }
        if any == 0 || of.is_empty() {
            self.findings.error(
                any_node.place,
                format!("{what} would open by itself"),
                "need at least one person: { any: 1, of: [name] }",
            );
        }
        self.warn_if_short(any, &of, &any_node, what);
        Some(Quorum { any, of })
    }

    fn warn_if_short(&mut self, any: u32, of: &[String], node: &Node, what: &str) {
        let names = u32::try_from(of.len()).unwrap_or(u32::MAX);
        if any > names && names > 1 && !of.iter().any(|name| name == Quorum::ANYONE) {
            self.findings.warning(
                node.place,
                format!("{what} needs {any} persons of {names} names"),
                "it opens only if some of them are groups",
            );
        }
    }

    fn drift(&mut self, node: Option<&Node>) -> (Option<u32>, Option<u32>) {
        let Some(node) = node else { return (Some(DRIFT_FEE_BPS), None) };
        if self.keys(node, "`drift`", &["fee", "usd"]).is_none() {
            return (Some(DRIFT_FEE_BPS), None);
        }
        let fee = node.get("fee").and_then(|node| self.bps(node)).or(Some(DRIFT_FEE_BPS));
        (fee, node.get("usd").and_then(|node| self.bps(node)))
    }

    fn bps(&mut self, node: &Node) -> Option<u32> {
        let text = self.word(node)?;
        let bps = scalar::percent(&text).and_then(|bps| u32::try_from(bps).ok());
        if bps.is_none() {
            self.findings.error(node.place, format!("`{text}` is not a percentage"), "as in 25%");
        }
        bps
    }

    pub(crate) fn duration(&mut self, node: &Node) -> Option<Millis> {
        self.parsed_with(node, str::parse)
    }
}
