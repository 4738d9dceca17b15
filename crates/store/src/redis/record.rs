//! Operations as Redis keeps them: a hash with a field for whatever a script looks at, and JSON documents
//! that scripts carry unread.

use std::fmt::Write as _;

use alloy_primitives::{B256, Bytes};
use countersign_core::{
    amount::AMOUNT_MAX,
    charge::{Charge, Over, Window},
    identity::OperationId,
    intent::{Intent, Payload},
    message::Message,
    operation::{Attempt, Delivery, OperationRecord, OperationState, Purpose},
    time::{Millis, Timestamp},
    transaction::TransactionPlan,
};
use countersign_engine::port::ledger::{Disposition, LedgerError, NewOperation, Parking};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{
    link::Call,
    reply::{Fields, damaged},
};

/// The fields of a new operation, but for its state, its delivery and its charges.
pub(super) fn new_fields(call: Call, new: &NewOperation) -> Result<Call, LedgerError> {
    let NewOperation { id: _, gateway, intent, repeat, trace, code, reason } = new;
    let call = call
        .field("fingerprint", repeat.fingerprint)
        .maybe_field("key", repeat.key)
        .maybe_field("batch", repeat.batch)
        .field("code", code)
        .field("reason", reason)
        .field("trace", trace)
        .field("gateway", gateway)
        .field("agent", &intent.agent)
        .field("chain", intent.chain())
        .field("wallet", &intent.wallet)
        .maybe_field("fixed_nonce", intent.nonce)
        .field("fence", 0);
    intent_fields(call, intent)
}

/// The fields that hold what was judged.
pub(super) fn intent_fields(call: Call, intent: &Intent) -> Result<Call, LedgerError> {
    // how many calls of a bundle it stands for besides its own
    let call = call.field("intent", json(intent)?).field("rest", intent.rest().len());
    Ok(match &intent.payload {
        Payload::Transaction(plan) => call.field("plan_digest", plan_digest(plan)?),
        Payload::Message(message) => call.field("message", message_digest(message)?),
    })
}

/// The fields that hold what is charged, as documents and as scripts read them.
pub(super) fn charge_fields(call: Call, charges: &[Charge]) -> Result<Call, LedgerError> {
    // a held charge is never checked again, so it does not matter who it is checked for
    let held = charge_lines(charges, true);
    Ok(call.field("charges", json(&charges)?).field("held", held))
}

/// The fields that hold where the operation goes on.
pub(super) fn disposition_fields(
    call: Call,
    disposition: &Disposition,
) -> Result<Call, LedgerError> {
    match disposition {
        Disposition::Allow(until) => Ok(call
            .field("state", OperationState::Allowed.name())
            .field("expires_at", until.millis())),
        Disposition::Park(Parking { gates, asks, digest, expires_at }) => Ok(call
            .field("state", OperationState::Parked.name())
            .field("gates", json(gates)?)
            .field("asks", json(asks)?)
            .field("digest", digest)
            .field("expires_at", expires_at.millis())
            .field("votes", "")
            .field("voters", "")
            .field("vote_count", 0)),
    }
}

/// What identifies a message with all that was judged of it.
pub(super) fn message_digest(message: &Message) -> Result<String, LedgerError> {
    Ok(hex::encode(Sha256::digest(json(message)?)))
}

/// What identifies a transaction without its nonce.
pub(super) fn plan_digest(plan: &TransactionPlan) -> Result<String, LedgerError> {
    Ok(hex::encode(Sha256::digest(json(plan)?)))
}

/// Room for one charge as scripts read it.
const CHARGE_LINE: usize = 160;

/// Charges as scripts read them; see `counter_prelude.lua`.
pub(super) fn charge_lines(charges: &[Charge], parks: bool) -> String {
    let mut lines = String::with_capacity(charges.len().saturating_mul(CHARGE_LINE));
    for charge in charges {
        if !lines.is_empty() {
            lines.push(';');
        }
        write_charge(&mut lines, charge, parks);
    }
    lines
}

fn write_charge(lines: &mut String, charge: &Charge, parks: bool) {
    let (start, stop) = match charge.window {
        Window::Calendar(period) => (period.start.millis(), period.end.millis()),
        Window::Rolling(_) | Window::Grant => (0, 0),
    };
    let (Millis(width), Millis(length)) = match charge.window {
        Window::Rolling(length) => (charge.window.bucket(), length),
        Window::Calendar(_) | Window::Grant => (Millis::ZERO, Millis::ZERO),
    };
    let limit = charge.limit.min(AMOUNT_MAX);
    let bound = match charge.over {
        Over::Park { waived, .. } if waived || parks => AMOUNT_MAX,
        Over::Deny | Over::Park { .. } => limit,
    };
    // one more than any bound: never fits
    let amount = charge.amount().unwrap_or(AMOUNT_MAX.saturating_add(1));
    let (counter, period) = (charge.counter.hex(), charge.window.period_key());
    // INVARIANT: writing into a string does not fail
    write!(lines, "{counter}:{period}|{start}|{stop}|{width}|{length}|{amount}|{limit}|{bound}")
        .unwrap_or_default();
}

/// An operation from its hash, but for what its documents say.
pub(super) fn read_with(
    (f, id): (&mut Fields<'_>, OperationId),
    (intent, charges): (Intent, Vec<Charge>),
) -> Result<OperationRecord, LedgerError> {
    Ok(OperationRecord {
        id,
        state: state(f.text("state")?)?,
        attempts: intent.plan().map_or(Ok(Vec::new()), |plan| attempts(f, plan))?,
        signature: f.maybe("signature")?,
        intent,
        fingerprint: f.parsed("fingerprint")?,
        key: f.maybe("key")?,
        batch: f.maybe("batch")?,
        delivery: delivery(f.text("delivery")?)?,
        code: f.text("code")?.to_owned(),
        reason: f.text("reason")?.to_owned(),
        trace: f.parsed("trace")?,
        digest: f.maybe("digest")?,
        gates: f.maybe_json("gates")?.unwrap_or_default(),
        asks: f.maybe_json("asks")?.unwrap_or_default(),
        votes: f.json_list("votes")?,
        charges,
        actual: f.maybe_json("actual")?,
        kept: f.json_list("kept")?,
        settled_at: instant(f, "settled_at")?,
        gateway: f.text("gateway")?.to_owned(),
        fence: f.parsed("fence")?,
        created_at: instant(f, "created_at")?.ok_or_else(|| damaged("a record has no birth"))?,
        updated_at: instant(f, "updated_at")?.ok_or_else(|| damaged("a record has no age"))?,
        expires_at: instant(f, "expires_at")?,
        finished_at: instant(f, "finished_at")?,
    })
}

/// All attempts have the nonce that commit bound. The first one's plan is the one that was judged.
fn attempts(f: &mut Fields<'_>, plan: &TransactionPlan) -> Result<Vec<Attempt>, LedgerError> {
    let Some(nonce) = f.maybe("nonce")? else { return Ok(Vec::new()) };
    let count: u32 = f.parsed("attempts")?;
    let attempt = |number: u32| {
        let plan = if number == 0 { plan.clone() } else { further_plan(f, number)? };
        Ok(Attempt {
            number,
            purpose: purpose(f.text(&format!("purpose:{number}"))?)?,
            made_at: Timestamp::from_millis(f.parsed(&format!("made_at:{number}"))?),
            transaction: plan.with_nonce(nonce),
            raw: f.maybe::<Bytes>(&format!("raw:{number}"))?,
            hash: f.maybe::<B256>(&format!("hash:{number}"))?,
            outcome: f.maybe(&format!("outcome:{number}"))?,
        })
    };
    (0..count).map(attempt).collect()
}

fn further_plan(f: &mut Fields<'_>, number: u32) -> Result<TransactionPlan, LedgerError> {
    let plan = f.json(&format!("plan:{number}"))?;
    if f.text(&format!("plan_digest:{number}"))? == plan_digest(&plan)? {
        Ok(plan)
    } else {
        Err(damaged("an attempt's document is not the one that it was made with"))
    }
}

fn instant(fields: &mut Fields<'_>, name: &str) -> Result<Option<Timestamp>, LedgerError> {
    Ok(fields.maybe(name)?.map(Timestamp::from_millis))
}

fn state(name: &str) -> Result<OperationState, LedgerError> {
    let found = OperationState::ALL.into_iter().find(|state| state.name() == name);
    found.ok_or_else(|| damaged("a state has an unknown name"))
}

/// How scripts call a purpose.
pub(super) const fn purpose_name(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Payload => "payload",
        Purpose::Cancel => "cancel",
    }
}

fn purpose(name: &str) -> Result<Purpose, LedgerError> {
    let all = [Purpose::Payload, Purpose::Cancel];
    let found = all.into_iter().find(|purpose| purpose_name(*purpose) == name);
    found.ok_or_else(|| damaged("a purpose has an unknown name"))
}

/// How scripts call a delivery.
pub(super) const fn delivery_name(delivery: Delivery) -> &'static str {
    match delivery {
        Delivery::Waiting => "waiting",
        Delivery::Owed => "owed",
        Delivery::Collected => "collected",
    }
}

fn delivery(name: &str) -> Result<Delivery, LedgerError> {
    let all = [Delivery::Waiting, Delivery::Owed, Delivery::Collected];
    let found = all.into_iter().find(|delivery| delivery_name(*delivery) == name);
    found.ok_or_else(|| damaged("a delivery has an unknown name"))
}

/// A document.
pub(super) fn json(value: &impl Serialize) -> Result<String, LedgerError> {
    serde_json::to_string(value).map_err(|error| damaged(&format!("cannot be written: {error}")))
}
