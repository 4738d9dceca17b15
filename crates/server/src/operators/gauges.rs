//! What `/metrics` says of books, chains and budgets: asked of the stores at most every few seconds, however often
//! somebody looks, one question after another, and never in the way of a request.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    sync::Arc,
    time::Duration,
};

use countersign_core::{
    amount::MicroUsd,
    time::{Millis, Timestamp},
};
use countersign_engine::{port::ledger::LedgerStatus, submission::BudgetLine};
use tokio::{sync::Mutex, time::timeout};

use super::{Desk, books::unfinished};
use crate::metrics::{escaped, head, seconds};

/// How old an answer may be.
const FRESH: Millis = Millis(5_000);
/// How long all questions together may take; what is missing then is left out.
const DEADLINE: Duration = Duration::from_secs(5);
/// How long the store, and then the nodes, have to show that they are there: silence is an answer, and comes in time.
const SIGN_OF_LIFE: Duration = Duration::from_secs(2);
/// Agents whose budgets are shown; more would be more series than are useful.
const AGENTS_MAX: usize = 1_000;

/// The durability classes of LEDGER, best first.
const CLASSES: [char; 4] = ['A', 'B', 'C', 'D'];

/// The last answer, and when it was given.
#[derive(Debug, Default)]
pub(crate) struct Gauges(Mutex<Option<(Millis, String)>>);

impl Gauges {
    /// The gauges, fresh or nearly so. Whoever comes while another asks waits for the same answer.
    pub(crate) async fn read(&self, desk: &Arc<Desk>) -> String {
        let now = || desk.ports().clock.monotonic();
        let mut last = self.0.lock().await;
        if let Some((at, text)) = &*last
            && now().0.saturating_sub(at.0) < FRESH.0
        {
            return text.clone();
        }
        let mut text = String::new();
        // in the order of their worth: what the deadline cuts off is at the end
        let asked = async {
            text.push_str(&of_books(desk).await);
            text.push_str(&of_chains(desk).await);
            text.push_str(&of_operations(desk).await);
            of_budgets(desk, &mut text).await;
        };
        let _in_time = timeout(DEADLINE, asked).await;
        *last = Some((now(), text.clone()));
        text
    }
}

/// Whether the store answers, and what it promises.
async fn of_books(desk: &Desk) -> String {
    let status = timeout(SIGN_OF_LIFE, desk.ports().ledger.describe()).await.ok();
    written(|text| books(text, status.and_then(Result::ok).as_ref()))
}

fn books(text: &mut String, status: Option<&LedgerStatus>) -> fmt::Result {
    head(text, "countersign_store_up", "gauge", "Whether the store answers.")?;
    writeln!(text, "countersign_store_up {}", u8::from(status.is_some()))?;
    let Some(status) = status else { return Ok(()) };
    let about = "Whether the ledger is sealed or lost: then nothing is signed.";
    head(text, "countersign_ledger_sealed", "gauge", about)?;
    let is_closed = status.sealed.is_some() || status.lost.is_some();
    writeln!(text, "countersign_ledger_sealed {}", u8::from(is_closed))?;
    let about = "The durability class of the store: 1 for the one that it has now.";
    head(text, "countersign_ledger_durability", "gauge", about)?;
    for class in CLASSES {
        let here = u8::from(class == status.durability);
        writeln!(text, "countersign_ledger_durability{{class=\"{class}\"}} {here}")?;
    }
    Ok(())
}

/// How many operations are on their way, and since when the oldest is.
async fn of_operations(desk: &Desk) -> String {
    let ledger = &desk.ports().ledger;
    let (Ok(counted), Ok(now)) = (ledger.census(&unfinished()).await, ledger.now().await) else {
        return String::new();
    };
    written(|text| {
        head(text, "countersign_operations", "gauge", "Operations that are not finished.")?;
        for (state, of) in &counted {
            let state = state.name();
            writeln!(text, "countersign_operations{{state=\"{state}\"}} {}", of.count)?;
        }
        let about = "The age of the oldest operation of each state; 0 where there is none.";
        head(text, "countersign_oldest_operation_seconds", "gauge", about)?;
        for (state, of) in &counted {
            let (state, age) = (state.name(), age(now, of.oldest));
            writeln!(text, "countersign_oldest_operation_seconds{{state=\"{state}\"}} {age}")?;
        }
        Ok(())
    })
}

/// Whether each chain's nodes answer, and which block is their newest.
async fn of_chains(desk: &Desk) -> String {
    let setup = desk.setup();
    let asked = setup.chains.values().map(|chain| async {
        let head = timeout(SIGN_OF_LIFE, chain.port.head()).await.ok();
        (chain.id, head.and_then(Result::ok))
    });
    let heads = futures_util::future::join_all(asked).await;
    written(|text| {
        head(text, "countersign_chain_up", "gauge", "Whether a node of the chain answers.")?;
        for (chain, found) in &heads {
            let up = u8::from(found.is_some());
            writeln!(text, "countersign_chain_up{{chain=\"{chain}\"}} {up}")?;
        }
        let about = "The number of the newest block that a node shows.";
        head(text, "countersign_chain_head_block", "gauge", about)?;
        for (chain, found) in &heads {
            let Some(found) = found else { continue };
            writeln!(text, "countersign_chain_head_block{{chain=\"{chain}\"}} {}", found.number)?;
        }
        Ok(())
    })
}

/// How much of each limit of each agent is used. One limit has several windows; the fullest counts.
async fn of_budgets(desk: &Desk, text: &mut String) {
    let about = "The used part of a limit, in its fullest window.";
    head(text, "countersign_budget_used_ratio", "gauge", about).unwrap_or_default();
    let setup = desk.setup();
    for agent in setup.agents.keys().take(AGENTS_MAX) {
        let Ok(lines) = desk.gatehouse.engine.budget(agent).await else { continue };
        for (limit, millionths) in fullest(&lines) {
            let (limit, ratio) = (escaped(limit), seconds(millionths));
            let labels = format!("agent=\"{agent}\",limit=\"{limit}\"");
            writeln!(text, "countersign_budget_used_ratio{{{labels}}} {ratio}").unwrap_or_default();
        }
    }
}

fn fullest(lines: &[BudgetLine]) -> BTreeMap<&str, u64> {
    let mut fullest: BTreeMap<&str, u64> = BTreeMap::new();
    for line in lines {
        let Some(millionths) = millionths(&line.used, &line.max) else { continue };
        let known = fullest.entry(&line.limit).or_default();
        *known = millionths.max(*known);
    }
    fullest
}

/// Used over maximum in millionths, without floats. Of a limit of nothing, everything is used.
fn millionths(used: &str, max: &str) -> Option<u64> {
    let micros = |text: &str| text.parse::<MicroUsd>().ok().map(|usd| u128::from(usd.micros()));
    let (used, max) = (micros(used)?, micros(max)?);
    let part = used.checked_mul(1_000_000)?.checked_div(max).unwrap_or(1_000_000);
    u64::try_from(part).ok()
}

fn age(now: Timestamp, then: Option<Timestamp>) -> String {
    let millis = then.map_or(0, |then| now.since(then).0);
    seconds(millis.saturating_mul(1000))
}

fn written(write: impl FnOnce(&mut String) -> fmt::Result) -> String {
    let mut text = String::new();
    // INVARIANT: writing into a string does not fail
    write(&mut text).unwrap_or_default();
    text
}

#[cfg(test)]
mod tests {
    use countersign_core::charge::Unit;

    use super::*;

    #[test]
    fn a_ratio_is_exact_to_six_places() {
        for (used, max, expected) in [
            ("950", "1000", Some("0.95")),
            ("0", "1000", Some("0.0")),
            ("1500", "1000", Some("1.5")),
            ("1", "3", Some("0.333333")),
            ("0", "0", Some("1.0")),
            ("x", "1", None),
        ] {
            let shown = millionths(used, max).map(seconds);
            assert_eq!(shown.as_deref(), expected, "{used}/{max}");
        }
    }

    #[test]
    fn of_several_windows_the_fullest_counts() {
        let line = |limit: &str, used: &str| BudgetLine {
            limit: limit.into(),
            policy: "p".into(),
            per: "24h".into(),
            unit: Unit::Usd,
            max: "10".into(),
            used: used.into(),
            remaining: String::new(),
            frees_at: None,
        };
        let lines = [line("day", "2"), line("day", "9"), line("hour", "1"), line("day", "3")];
        assert_eq!(fullest(&lines), BTreeMap::from([("day", 900_000), ("hour", 100_000)]));
    }
}
