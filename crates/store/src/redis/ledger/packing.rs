//! How arguments are packed for the scripts, and how their answers are read.

use std::collections::BTreeSet;

use alloy_primitives::Address;
use countersign_core::{
    amount::AMOUNT_MAX,
    charge::{Charge, CounterId, Reading},
    fact::Freeze,
    freeze::StandingFreeze,
    identity::{OperationId, OperatorId},
    operation::{Delivery, OperationRecord, OperationState},
    pact::{PactStanding, PactVerb, Word},
    time::{Millis, Timestamp},
};
use countersign_engine::port::ledger::{
    Bump, Disposition, Found, LedgerError, NewOperation, Overrun, Part, Repeat, SentOutcome, Split,
};
use serde_json::json;

use crate::{
    adoption::Lacking,
    redis::{
        documents::Documents,
        link::Call,
        record::{
            charge_fields, charge_lines, delivery_name, disposition_fields, intent_fields,
            json as document, new_fields, plan_digest, purpose_name,
        },
        reply::{Fields, Reply, damaged},
    },
};

pub(super) fn asked_before(call: Call, repeat: &Repeat) -> Call {
    let Repeat { fingerprint, key, window: Millis(window), batch } = repeat;
    call.arg("fingerprint", fingerprint)
        .maybe("key", *key)
        .arg("window", (*window).min(AMOUNT_MAX))
        .maybe("batch", *batch)
}

/// What a node said to an attempt.
pub(super) fn said(call: Call, outcome: &SentOutcome) -> Call {
    call.arg("state", outcome.state().name()).arg("outcome", outcome.words())
}

pub(super) fn new_operation(new: &NewOperation, delivery: Delivery) -> Result<Call, LedgerError> {
    let call = Call::new().arg("operation", new.id).field("id", new.id);
    let call = call.field("delivery", delivery_name(delivery));
    new_fields(asked_before(call, &new.repeat), new)
}

pub(super) fn charged(
    call: Call,
    charges: &[Charge],
    disposition: &Disposition,
) -> Result<Call, LedgerError> {
    let parks = disposition.parks();
    let call = call.arg("charges", charge_lines(charges, parks));
    disposition_fields(charge_fields(call, charges)?, disposition)
}

/// An attempt, with the charges that it takes the place of and those that come there.
pub(super) fn attempt(
    bump: &Bump,
    record: &OperationRecord,
    dearer: &[Charge],
) -> Result<Call, LedgerError> {
    let Bump { operation, attempt: number, purpose, transaction, fees: _ } = bump;
    let (plan, purpose) = (&transaction.plan, purpose_name(*purpose));
    let call = Call::new()
        .arg("operation", operation)
        .arg("attempt", number)
        .arg("purpose", purpose)
        .arg("plan_digest", plan_digest(plan)?)
        .arg("held", charge_lines(&record.charges, true))
        .arg("charges", charge_lines(dearer, false))
        .field(&format!("purpose:{number}"), purpose)
        .field(&format!("plan_digest:{number}"), plan_digest(plan)?)
        .field(&format!("plan:{number}"), document(plan)?);
    charge_fields(call, dearer)
}

/// The parts of an operation, with the charges that they were found to share.
pub(super) fn parting(split: &Split, record: &OperationRecord) -> Result<Call, LedgerError> {
    let call = Call::new().arg("operation", split.operation).arg("fence", split.fence);
    let Some((first, further)) = split.parts.split_first() else {
        return Err(LedgerError::Refused("nothing is split into nothing".into()));
    };
    // what was split before shows its first part's charges by now; the script knows it by its parts
    let call = call.maybe("wrong", split.parts_of(record).err().map(|error| error.to_string()));
    let parts = further.iter().map(|part| {
        let fields = part_fields(record, part)?.into_fields();
        Ok(json!({ "id": part.id, "fields": fields }))
    });
    let parts = parts.collect::<Result<Vec<_>, LedgerError>>()?;
    let held = charge_lines(&record.charges, true);
    let call = call.arg("held", held).arg("parts", document(&parts)?);
    charge_fields(intent_fields(call, &first.intent)?, &first.charges)
}

fn part_fields(whole: &OperationRecord, part: &Part) -> Result<Call, LedgerError> {
    let new = NewOperation {
        id: part.id,
        gateway: whole.gateway.clone(),
        intent: part.intent.clone(),
        repeat: Repeat {
            fingerprint: part.fingerprint(),
            key: None,
            window: Millis::ZERO,
            batch: None,
        },
        trace: whole.trace,
        code: whole.code.clone(),
        reason: whole.reason.clone(),
    };
    let call = new_fields(Call::new().field("id", part.id), &new)?
        .field("delivery", delivery_name(Delivery::Collected))
        .field("state", OperationState::Allowed.name())
        .maybe_field(
            "gates",
            Some(&whole.gates).filter(|g| !g.is_empty()).map(document).transpose()?,
        )
        .maybe_field(
            "asks",
            Some(&whole.asks).filter(|a| !a.is_empty()).map(document).transpose()?,
        );
    charge_fields(call, &part.charges)
}

/// What an operation lacks, with what it was found on.
pub(super) fn adoption(record: &OperationRecord, lacking: &Lacking) -> Result<Call, LedgerError> {
    let all = [record.charges.as_slice(), &lacking.charges].concat();
    let kept: Vec<String> = lacking.kept.iter().map(u64::to_string).collect();
    let call = Call::new()
        .arg("operation", record.id)
        .arg("state", record.state.name())
        .arg("attempts", record.attempts.len())
        .arg("fence", record.fence)
        .arg("held", charge_lines(&record.charges, true))
        .arg("new", charge_lines(&lacking.charges, true))
        .maybe("kept", Some(kept.join(",")).filter(|kept| !kept.is_empty()));
    charge_fields(call, &all)
}

/// A limit by its 64 hex digits.
pub(super) fn limit(hex: &str) -> Result<CounterId, LedgerError> {
    hex.parse().map(CounterId).map_err(|_| damaged("a limit has no name"))
}

/// What a request repeats.
pub(super) fn found(mut answer: Reply, documents: &Documents) -> Result<Found, LedgerError> {
    Ok(match answer.tag()?.as_str() {
        "nothing" => Found::Nothing,
        "same" => Found::Same(documents.next(&mut answer)?),
        "key_conflict" => Found::KeyConflict(documents.next(&mut answer)?),
        other => return Err(unknown(other)),
    })
}

pub(super) fn counterparties(answer: Reply) -> Result<BTreeSet<Address>, LedgerError> {
    let parse = |text: Result<String, LedgerError>| {
        text?.parse().map_err(|_| damaged("a counterparty is no address"))
    };
    answer.texts().map(parse).collect()
}

pub(super) fn freezes(answer: Reply) -> Result<Vec<Freeze>, LedgerError> {
    let freezes: Result<BTreeSet<Freeze>, LedgerError> =
        answer.texts().map(|text| freeze_from(&text?)).collect();
    Ok(freezes?.into_iter().collect())
}

/// One field each: since when, and the order.
pub(super) fn standing_freezes(answer: Reply) -> Result<Vec<StandingFreeze>, LedgerError> {
    let standing = |text: &str| {
        let (at, order) = text.split_once(' ')?;
        let at = Timestamp::from_millis(at.parse().ok()?);
        Some(StandingFreeze { order: serde_json::from_str(order).ok()?, at })
    };
    let read = |text: Result<String, LedgerError>| {
        standing(&text?).ok_or_else(|| damaged("who has put a freeze in force cannot be read"))
    };
    let mut freezes: Vec<_> = answer.texts().map(read).collect::<Result<_, _>>()?;
    freezes.sort_by(|one, other| one.order.freeze.cmp(&other.order.freeze));
    Ok(freezes)
}

/// What people made of a pact; `None` where nobody has spoken.
pub(super) fn standing(answer: &Reply) -> Result<Option<PactStanding>, LedgerError> {
    if answer.is_empty() { Ok(None) } else { spoken(answer.fields()?).map(Some) }
}

pub(super) fn overruns(answer: &mut Reply) -> Result<Vec<Overrun>, LedgerError> {
    let overrun = |list: Result<Reply, LedgerError>| {
        let mut list = list?;
        Ok(Overrun { index: list.number()?, reading: reading(list.list()?)? })
    };
    answer.list()?.lists().map(overrun).collect()
}

pub(super) fn reading(mut list: Reply) -> Result<Reading, LedgerError> {
    let (reserved, committed, settled) = (list.number()?, list.number()?, list.number()?);
    let frees_at = match list.text()?.as_str() {
        "" => None,
        millis => Some(millis.parse().map_err(|_| damaged("an instant is no number"))?),
    };
    Ok(Reading { reserved, committed, settled, frees_at: frees_at.map(Timestamp::from_millis) })
}

pub(super) fn changed(answer: &mut Reply) -> Result<bool, LedgerError> {
    match answer.tag()?.as_str() {
        "changed" => Ok(true),
        "unchanged" => Ok(false),
        other => Err(unknown(other)),
    }
}

/// The field of a pact that a word fills.
pub(super) const fn becomes(verb: PactVerb) -> &'static str {
    match verb {
        PactVerb::Approve => "approved",
        PactVerb::Reject => "rejected",
        PactVerb::Revoke => "revoked",
    }
}

/// What people made of a pact, from all of its fields.
pub(super) fn spoken(mut fields: Fields<'_>) -> Result<PactStanding, LedgerError> {
    let mut of = |verb| fields.maybe::<String>(becomes(verb))?.as_deref().map(word).transpose();
    match (of(PactVerb::Approve)?, of(PactVerb::Reject)?, of(PactVerb::Revoke)?) {
        (Some(approved), None, None) => Ok(PactStanding::Approved { approved }),
        (None, Some(rejected), None) => Ok(PactStanding::Rejected { rejected }),
        (approved, None, Some(revoked)) => Ok(PactStanding::Revoked { approved, revoked }),
        (_, Some(_), _) | (None, None, None) => Err(damaged("a pact cannot be read")),
    }
}

/// When, who, and what they wrote.
fn word(text: &str) -> Result<Word, LedgerError> {
    let wrong = || damaged("a word on a pact cannot be read");
    let (at, rest) = text.split_once(' ').ok_or_else(wrong)?;
    let (by, note) = rest.split_once(' ').ok_or_else(wrong)?;
    let at = at.parse().map(Timestamp::from_millis).map_err(|_| wrong())?;
    let by = OperatorId::parse(by).map_err(|_| wrong())?;
    Ok(Word { by, at, note: (!note.is_empty()).then(|| note.to_owned()) })
}

/// The order of `Freeze` itself does not matter here: `commit.lua` looks scopes up one by one.
pub(super) fn freeze_call(freeze: &Freeze) -> Call {
    let agent = match freeze {
        Freeze::Agent(agent) => Some(agent),
        Freeze::Global | Freeze::All | Freeze::Wallet(_) | Freeze::Chain(_) => None,
    };
    Call::new().arg("scope", freeze.scope()).maybe("agent", agent)
}

pub(super) fn freeze_from(text: &str) -> Result<Freeze, LedgerError> {
    serde_json::from_str(text).map_err(|_| damaged("a freeze cannot be read"))
}

pub(super) fn cursor_from(cursor: &str) -> Result<OperationId, LedgerError> {
    let wrong = |_| LedgerError::Refused(format!("`{cursor}` is not a cursor of this list"));
    cursor.parse().map_err(wrong)
}

pub(super) fn addresses(addresses: &[Address]) -> String {
    let texts: Vec<String> = addresses.iter().map(|address| format!("{address:#x}")).collect();
    texts.join(" ")
}

pub(super) fn words<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(" ")
}

pub(super) fn unknown(tag: &str) -> LedgerError {
    damaged(&format!("a script answered `{tag}`"))
}
