//! The books at one moment: every operation as the operators' door shows it, every budget, and what the chain says of
//! every hash. All in whole micro-USD and occurrences.

use std::collections::{BTreeMap, BTreeSet};

use countersign_tests::anvil::{Anvil, quantity};
use serde_json::{Value, json};

use crate::scene::Scene;

/// Wei of a coin that costs one USD in one micro-USD.
const MICRO: u128 = 1_000_000_000_000;

/// What operations hold of one limit of one policy.
#[derive(Debug, Default)]
struct Columns {
    reserved: u64,
    committed: u64,
    settled: u64,
    /// The part of the sum that is not fees.
    value: u64,
}

impl Columns {
    const fn used(&self) -> u64 {
        self.reserved.saturating_add(self.committed).saturating_add(self.settled)
    }
}

/// A transaction that was mined.
struct Mined {
    succeeded: bool,
    cancels: bool,
    /// In whole micro-USD, at the price in force.
    fee: u128,
}

/// `faults`: everything in which they disagree; `open`: how many operations are on their way; `states`; `columns`: of
/// each limit what is reserved, committed, settled, used, and the part of it that is no fee.
pub(crate) async fn read(scene: &Scene) -> Result<Value, String> {
    let (alice, price) = (scene.operator("alice", 0), scene.price());
    let operations = alice.list("/operations?limit=200").await;
    let mut faults = Vec::new();
    let (mut states, mut columns) = (BTreeMap::<String, usize>::new(), BTreeMap::new());
    for operation in &operations {
        let count = states.entry(text(operation, "state")).or_default();
        *count = count.saturating_add(1);
        let mined = mined(&scene.world.anvil, operation, price).await;
        faults.extend(unlike_chain(operation, &mined));
        faults.extend(add_up(operation, &mut columns));
    }
    faults.extend(shared_nonces(&operations));
    for line in alice.list("/budget").await {
        faults.extend(unlike_budget(&line, &columns));
    }
    let open = operations.iter().filter(|operation| is_open(operation)).count();
    let again = alice.list("/operations?limit=200").await;
    if again != operations {
        return Err("the books moved while they were read".to_owned());
    }
    let shown = columns.iter().map(|(limit, sums)| (limit.clone(), shown(sums)));
    let shown: serde_json::Map<String, Value> = shown.collect();
    Ok(json!({"faults": faults, "open": open, "states": states, "columns": shown}))
}

fn shown(sums: &Columns) -> Value {
    let Columns { reserved, committed, settled, value } = sums;
    json!({"reserved": reserved, "committed": committed, "settled": settled, "used": sums.used(), "value": value})
}

/// Whether something more happens to it by itself.
fn is_open(operation: &Value) -> bool {
    let still = ["PARKED", "DENIED", "REJECTED", "EXPIRED", "EXECUTED", "REVERTED", "CANCELLED"];
    let state = text(operation, "state");
    state != "CONFLICT" && !still.contains(&state.as_str())
}

async fn mined(anvil: &Anvil, operation: &Value, price: u128) -> Vec<Mined> {
    let mut mined = Vec::new();
    for attempt in list(operation, "attempts") {
        let Some(hash) = attempt.get("hash").and_then(Value::as_str) else { continue };
        let receipt = anvil.call("eth_getTransactionReceipt", json!([hash])).await;
        if receipt.is_null() {
            continue;
        }
        let number = |field: &str| quantity(receipt.get(field).unwrap_or_default());
        let wei = number("gasUsed").saturating_mul(number("effectiveGasPrice"));
        mined.push(Mined {
            succeeded: number("status") == 1,
            cancels: text(&attempt, "purpose") == "cancel",
            fee: wei.saturating_mul(price) / MICRO,
        });
    }
    mined
}

/// Whether an operation that is over says what the chain says, and kept what the chain took.
fn unlike_chain(operation: &Value, mined: &[Mined]) -> Option<String> {
    let (id, state) = (text(operation, "id"), text(operation, "state"));
    if mined.len() > 1 {
        return Some(format!("{id} was mined {} times", mined.len()));
    }
    if is_open(operation) {
        return None;
    }
    let wanted = match mined.first() {
        None => ["DENIED", "REJECTED", "EXPIRED", "PARKED", "CONFLICT"].as_slice(),
        Some(Mined { cancels: true, .. }) => &["CANCELLED"],
        Some(Mined { succeeded: true, .. }) => &["EXECUTED"],
        Some(Mined { succeeded: false, .. }) => &["REVERTED"],
    };
    if !wanted.contains(&state.as_str()) {
        return Some(format!("{id} is {state}, the chain says {wanted:?}"));
    }
    mined.first().and_then(|mined| wrongly_kept(operation, mined))
}

/// The value as it was charged if it moved, and the fee that the chain took, rounded up.
fn wrongly_kept(operation: &Value, mined: &Mined) -> Option<String> {
    let (charges, kept) = (list(operation, "charges"), list(operation, "kept"));
    let moved = mined.succeeded && !mined.cancels;
    for (charge, kept) in charges.iter().zip(&kept) {
        let kept = u128::from(kept.as_u64().expect("an amount"));
        let value = u128::from(number(charge, "value"));
        let value = if moved { value } else { 0 };
        let fits = match text(charge, "unit").as_str() {
            "count" if mined.cancels => kept == 0,
            "count" => kept == u128::from(number(charge, "value")),
            _ => {
                let least = value.saturating_add(mined.fee);
                (least..=least.saturating_add(2)).contains(&kept)
            }
        };
        if !fits {
            return Some(format!("{} kept {kept} of {charge}", text(operation, "id")));
        }
    }
    let whole = charges.len() == kept.len();
    (!whole).then(|| format!("{} is settled without amounts", text(operation, "id")))
}

/// Adds what an operation holds to its limits' columns.
fn add_up(operation: &Value, columns: &mut BTreeMap<String, Columns>) -> Option<String> {
    let (state, kept) = (text(operation, "state"), list(operation, "kept"));
    for (index, charge) in list(operation, "charges").iter().enumerate() {
        let source = charge.get("source").unwrap_or_default();
        let limit = format!("{}/{}", text(source, "policy"), text(source, "limit"));
        let sums = columns.entry(limit).or_default();
        let (value, fee) = (number(charge, "value"), number(charge, "fee"));
        let amount = value.saturating_add(fee);
        let (column, amount, value) = match state.as_str() {
            "PARKED" | "APPROVED" | "ALLOWED" => (&mut sums.reserved, amount, value),
            "PREPARED" | "SIGNED" | "BROADCAST" | "UNKNOWN" | "MINED" | "CANCELLING" => {
                (&mut sums.committed, amount, value)
            }
            "EXECUTED" | "REVERTED" | "CANCELLED" => {
                let kept = kept.get(index).and_then(Value::as_u64);
                let value = if state == "EXECUTED" { value } else { 0 };
                (&mut sums.settled, kept.unwrap_or_default(), value)
            }
            "DENIED" | "REJECTED" | "EXPIRED" | "CONFLICT" => (&mut sums.settled, 0, 0),
            other => return Some(format!("no such state: {other}")),
        };
        *column = column.saturating_add(amount);
        sums.value = sums.value.saturating_add(value);
    }
    None
}

/// What an agent is told that it used is what operations hold.
fn unlike_budget(line: &Value, columns: &BTreeMap<String, Columns>) -> Option<String> {
    let limit = format!("{}/{}", text(line, "policy"), text(line, "limit"));
    let used = text(line, "used");
    let held = columns.get(&limit).map_or(0, Columns::used);
    // a count says so by having no fraction and being what is held as it is
    let fits = used == held.to_string() || micro(&used) == held;
    (!fits).then(|| format!("{limit}: {used} used, {held} held"))
}

/// A nonce belongs to one operation.
fn shared_nonces(operations: &[Value]) -> Vec<String> {
    let mut held = BTreeSet::new();
    let with_nonce = operations.iter().filter(|operation| !operation["nonce"].is_null());
    let shared = with_nonce.filter(|operation| {
        !held.insert((text(operation, "address"), operation["nonce"].to_string()))
    });
    shared.map(|operation| format!("{} shares its nonce", text(operation, "id"))).collect()
}

/// A decimal number of USD.
fn micro(usd: &str) -> u64 {
    let (whole, part) = usd.split_once('.').unwrap_or((usd, ""));
    format!("{whole}{part:0<6}").parse().unwrap_or_else(|_| panic!("not an amount: {usd}"))
}

fn number(value: &Value, field: &str) -> u64 {
    value.get(field).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {field} in {value}"))
}

fn text(value: &Value, field: &str) -> String {
    value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn list(value: &Value, field: &str) -> Vec<Value> {
    value.get(field).and_then(Value::as_array).cloned().unwrap_or_default()
}
