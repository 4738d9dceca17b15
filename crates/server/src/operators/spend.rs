//! What was spent day by day: the operations of the ledger, added up for a chart.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use countersign_core::{
    amount::MicroUsd,
    charge::Unit,
    identity::AgentId,
    operation::{Money, OperationRecord},
    time::Timestamp,
};
use countersign_engine::port::{journal::Page, ledger::OperationQuery};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Desk, Door, Problem,
    access::{Asked, Viewer},
};

/// The most days.
const DAYS_MAX: u32 = 92;
/// The most operations that are added up; beyond, the answer says so.
const OPERATIONS_MAX: usize = 20_000;
/// How many are asked for at a time.
const PAGE: u32 = 1000;
const DAY_MS: u64 = 86_400_000;

/// Of whom, and how many days back; today counts as one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    agent: Option<AgentId>,
    days: Option<u32>,
}

/// `GET /spend?agent=&days=`: per agent and UTC day what is spent, what may be (a signature exists) and what is
/// reserved, in USD as limits count it, and how many operations.
pub(crate) async fn spend(
    _: Viewer,
    State(desk): Door,
    Asked(Which { agent, days }): Asked<Which>,
) -> Result<Json<Value>, Problem> {
    let days = match days {
        None => 14,
        Some(days @ 1..=DAYS_MAX) => days,
        Some(_) => return Err(Problem::Malformed("`days`: must be from 1 to 92".into())),
    };
    if agent.as_ref().is_some_and(|agent| !desk.setup().agents.contains_key(agent)) {
        return Err(Problem::NotFound);
    }
    let today = desk.ports().ledger.now().await?.millis() / DAY_MS;
    let first = today.saturating_sub(u64::from(days).saturating_sub(1));
    let mut sums = Sums::default();
    let complete = gather(&desk, agent, first, &mut sums).await?;
    Ok(Json(json!({
        "days": (first..=today).map(day_start).collect::<Vec<_>>(),
        "agents": sums.view(first..=today),
        "complete": complete,
    })))
}

/// Whether everything since that day was seen.
async fn gather(
    desk: &Desk,
    agent: Option<AgentId>,
    first: u64,
    sums: &mut Sums,
) -> Result<bool, Problem> {
    let mut query = OperationQuery { agent, limit: PAGE, ..OperationQuery::default() };
    let mut left = OPERATIONS_MAX;
    loop {
        let Page { items, next_cursor } = desk.ports().ledger.operations(&query).await?;
        left = left.saturating_sub(items.len());
        for record in &items {
            if record.created_at.millis() / DAY_MS < first {
                return Ok(true);
            }
            sums.add(record);
        }
        match next_cursor {
            None => return Ok(true),
            Some(_) if left == 0 => return Ok(false),
            cursor => query.cursor = cursor,
        }
    }
}

fn day_start(day: u64) -> Timestamp {
    Timestamp::from_millis(day.saturating_mul(DAY_MS))
}

/// Micro-USD and operations of one agent on one day.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Sum {
    settled: u64,
    committed: u64,
    reserved: u64,
    operations: u64,
}

#[derive(Debug, Default)]
struct Sums(BTreeMap<AgentId, BTreeMap<u64, Sum>>);

impl Sums {
    fn add(&mut self, record: &OperationRecord) {
        let day = record.created_at.millis() / DAY_MS;
        let sum = self.0.entry(record.agent().clone()).or_default().entry(day).or_default();
        sum.operations = sum.operations.saturating_add(1);
        let usd = usd(record);
        let part = match record.state.money() {
            Money::None => return,
            Money::Reserved => &mut sum.reserved,
            Money::Committed => &mut sum.committed,
            Money::Settled => &mut sum.settled,
        };
        *part = part.saturating_add(usd);
    }

    fn view(&self, days: std::ops::RangeInclusive<u64>) -> Vec<Value> {
        let line = |sums: &BTreeMap<u64, Sum>| {
            let on = |day| sum_view(sums.get(&day).copied().unwrap_or_default());
            days.clone().map(on).collect::<Vec<_>>()
        };
        let of = |(agent, sums)| json!({"agent": agent, "days": line(sums)});
        self.0.iter().map(of).collect()
    }
}

fn sum_view(Sum { settled, committed, reserved, operations }: Sum) -> Value {
    json!({
        "settled": text(settled),
        "committed": text(committed),
        "reserved": text(reserved),
        "operations": operations,
    })
}

fn text(micros: u64) -> String {
    MicroUsd::from_micros(micros).map_or_else(|| micros.to_string(), |usd| usd.to_string())
}

/// What an operation takes, as the widest of its limits counts it. Nothing where no limit counts USD.
fn usd(record: &OperationRecord) -> u64 {
    let charges = record.charges.iter().enumerate().filter(|(_, c)| c.unit == Unit::Usd);
    let taken = charges.map(|(index, charge)| {
        let kept = record.kept.get(index).copied();
        kept.unwrap_or_else(|| charge.value.saturating_add(charge.fee))
    });
    taken.max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use countersign_core::operation::OperationState;
    use countersign_engine::port::{Ledger as _, ledger::ReserveAnswer};
    use countersign_testkit::{ManualTime, ModelLedger, fixture};

    use super::*;

    #[tokio::test]
    async fn money_stands_where_its_operation_does() {
        let until = Timestamp::from_millis(2 * DAY_MS);
        let charges = vec![fixture::rolling("day", 5, 100), fixture::rolling("week", 7, 100)];
        let ledger = ModelLedger::new(ManualTime::at(Timestamp::from_millis(DAY_MS)));
        let answer = ledger.reserve(&fixture::park(1, charges, until)).await.unwrap();
        let ReserveAnswer::Reserved(mut record) = answer else { panic!("{answer:?}") };
        record.created_at = Timestamp::from_millis(DAY_MS + 1);
        let mut sums = Sums::default();
        sums.add(&record);
        record.state = OperationState::Executed;
        record.kept = vec![2, 3];
        sums.add(&record);
        record.state = OperationState::Rejected;
        sums.add(&record);
        let sum = sums.0.values().next().and_then(|days| days.get(&1)).copied();
        let expected = Sum { settled: 3, committed: 0, reserved: 7, operations: 3 };
        assert_eq!(sum, Some(expected));
        let view = sums.view(0..=1);
        let [before, day] = &view[0]["days"].as_array().unwrap()[..] else { panic!("{view:?}") };
        assert_eq!((&before["operations"], &day["operations"]), (&json!(0), &json!(3)));
        assert_eq!(day["settled"], "0.000003");
    }
}
