//! Operations as rows.

use alloy_primitives::B256;
use countersign_core::{
    identity::{ChainId, OperationId, WalletId},
    operation::{Delivery, OperationRecord, OperationState},
};
use rusqlite::{OptionalExtension, Row, named_params};
use sha2::{Digest, Sha256};

use super::{fault::Fault, worker::Step};

/// Finished at the end of time: not yet.
pub(super) const NEVER: i64 = i64::MAX;

/// A number for SQLite, which has no unsigned ones. Larger ones than it can hold become the largest: no
/// time or amount of ours is near.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number from SQLite.
pub(super) fn uint(number: i64) -> Result<u64, Fault> {
    u64::try_from(number).map_err(|_| Fault::Damaged(format!("{number} is negative")))
}

/// A hash from SQLite.
#[expect(clippy::needless_pass_by_value, reason = "the form that map takes")]
pub(super) fn hash_of(bytes: Vec<u8>) -> Result<B256, Fault> {
    let damaged = |_| Fault::Damaged("a hash is not 32 bytes".into());
    B256::try_from(bytes.as_slice()).map_err(damaged)
}

/// The name of a lane: all transactions of one wallet on one chain.
pub(super) fn lane(chain: ChainId, wallet: &WalletId) -> String {
    format!("{chain}/{wallet}")
}

/// The name of a nonce of a lane.
pub(super) fn kept_nonce(lane: &str, nonce: u64) -> String {
    format!("{lane}/{nonce}")
}

pub(super) const fn delivery_number(delivery: Delivery) -> i64 {
    match delivery {
        Delivery::Waiting => 0,
        Delivery::Owed => 1,
        Delivery::Collected => 2,
    }
}

/// Committed and not terminal: holds its lane open.
pub(super) const fn is_in_flight(state: OperationState) -> bool {
    use OperationState as S;
    match state {
        S::Prepared | S::Signed | S::Broadcast | S::Unknown | S::Mined | S::Cancelling => true,
        S::Denied
        | S::Parked
        | S::Approved
        | S::Allowed
        | S::Executed
        | S::Reverted
        | S::Rejected
        | S::Expired
        | S::Cancelled
        | S::Conflict => false,
    }
}

fn lapses(record: &OperationRecord) -> Option<i64> {
    let waits = matches!(record.state, OperationState::Parked | OperationState::Approved);
    record.expires_at.filter(|_| waits).map(|at| int(at.millis()))
}

fn idle(record: &OperationRecord) -> Option<i64> {
    let next = matches!(record.state, OperationState::Approved | OperationState::Allowed);
    let at_work = is_in_flight(record.state) && !record.is_signed_message();
    (next || at_work).then(|| int(record.updated_at.millis()))
}

/// The lane that an operation holds open; none for a message, which has no nonce.
pub(super) fn open_lane(record: &OperationRecord) -> Option<String> {
    let holds = is_in_flight(record.state) && record.message().is_none();
    holds.then(|| lane(record.chain(), record.wallet()))
}

fn keeps(record: &OperationRecord) -> Option<String> {
    let waits = matches!(record.state, OperationState::Parked | OperationState::Approved);
    let nonce = record.intent.nonce.filter(|_| waits)?;
    Some(kept_nonce(&lane(record.chain(), record.wallet()), nonce))
}

fn finished(record: &OperationRecord) -> i64 {
    record.finished_at.map_or(NEVER, |at| int(at.millis()))
}

/// The JSON in a row whose first column it is.
pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<String> {
    row.get(0)
}

/// A record as it is stored, with the digest that was stored with it.
pub(super) struct Stored {
    json: String,
    digest: Vec<u8>,
}

/// The record in a row that has `record` and `digest`.
pub(super) fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored { json: row.get("record")?, digest: row.get("digest")? })
}

/// A record, if no other hand changed it.
pub(super) fn parse(stored: &Stored) -> Result<OperationRecord, Fault> {
    let Stored { json, digest } = stored;
    if Sha256::digest(json).as_slice() != digest {
        let id = json.get(..64).unwrap_or(json);
        return Err(Fault::Damaged(format!("another hand changed the record `{id}`")));
    }
    Ok(serde_json::from_str(json)?)
}

impl Step<'_> {
    /// The records of a list. What another hand changed is left out and told: it must not hide the others.
    pub(super) fn sound<'a>(
        &self,
        rows: impl IntoIterator<Item = &'a Stored>,
    ) -> Result<Vec<OperationRecord>, Fault> {
        let mut records = Vec::new();
        for row in rows {
            match parse(row) {
                Err(Fault::Damaged(why)) => self.history().left_out(why),
                record => records.push(record?),
            }
        }
        Ok(records)
    }

    /// One operation.
    pub(super) fn operation(&self, id: OperationId) -> Result<Option<OperationRecord>, Fault> {
        self.connection()
            .prepare_cached("SELECT record, digest FROM operations WHERE id = ?1")?
            .query_row([id.to_string()], stored)
            .optional()?
            .map(|record| parse(&record))
            .transpose()
    }

    /// One operation that must be there.
    pub(super) fn known(&self, id: OperationId) -> Result<OperationRecord, Fault> {
        let missing = || Fault::Refused(format!("there is no operation {id}"));
        self.operation(id)?.ok_or_else(missing)
    }

    /// Whether the gateway of an operation lives. The column says who works on it, which is nobody after
    /// a restart; the record says who took it in.
    pub(super) fn is_attended(&self, id: OperationId) -> Result<bool, Fault> {
        let gateway: String = self
            .connection()
            .prepare_cached("SELECT gateway FROM operations WHERE id = ?1")?
            .query_row([id.to_string()], |row| row.get(0))?;
        Ok(self.lives(&gateway))
    }

    /// Whether the operation's time has come.
    pub(super) fn is_over(&self, record: &OperationRecord) -> bool {
        record.expires_at.is_some_and(|at| at <= self.now)
    }

    /// Stores a new operation.
    pub(super) fn insert(&self, record: &OperationRecord, event: &str) -> Result<(), Fault> {
        let json = serde_json::to_string(record)?;
        let digest = Sha256::digest(&json);
        self.connection()
            .prepare_cached(
                "INSERT INTO operations (id, state, agent, fingerprint, key, batch, delivery,
                    gateway, created, finished, lapses, idle, lane, keeps,
                    record, digest)
                 VALUES (:id, :state, :agent, :fingerprint, :key, :batch, :delivery,
                    :gateway, :created, :finished, :lapses, :idle, :lane, :keeps,
                    :record, :digest)",
            )?
            .execute(named_params! {
                ":id": record.id.to_string(),
                ":state": record.state.name(),
                ":agent": record.agent().as_str(),
                ":fingerprint": record.fingerprint.0.as_slice(),
                ":key": record.key.as_ref().map(|key| key.0.as_slice()),
                ":batch": record.batch.map(batch_number),
                ":delivery": delivery_number(record.delivery),
                ":gateway": record.gateway,
                ":created": int(record.created_at.millis()),
                ":finished": finished(record),
                ":lapses": lapses(record),
                ":idle": idle(record),
                ":lane": open_lane(record),
                ":keeps": keeps(record),
                ":record": json,
                ":digest": digest.as_slice(),
            })?;
        self.log_digest(event, &record.id.to_string(), &digest)
    }

    /// Stores a changed operation, which changed now.
    pub(super) fn update(
        &self,
        mut record: OperationRecord,
        event: &str,
    ) -> Result<OperationRecord, Fault> {
        record.updated_at = self.now;
        if record.finished_at.is_none() && record.is_finished_for_agent() {
            record.finished_at = Some(self.now);
        }
        let json = serde_json::to_string(&record)?;
        let digest = Sha256::digest(&json);
        self.connection()
            .prepare_cached(
                "UPDATE operations SET state = :state, delivery = :delivery,
                    finished = :finished, lapses = :lapses, idle = :idle, lane = :lane,
                    keeps = :keeps, record = :record, digest = :digest
                 WHERE id = :id",
            )?
            .execute(named_params! {
                ":id": record.id.to_string(),
                ":state": record.state.name(),
                ":delivery": delivery_number(record.delivery),
                ":finished": finished(&record),
                ":lapses": lapses(&record),
                ":idle": idle(&record),
                ":lane": open_lane(&record),
                ":keeps": keeps(&record),
                ":record": json,
                ":digest": digest.as_slice(),
            })?;
        self.log_digest(event, &record.id.to_string(), &digest)?;
        Ok(record)
    }
}

/// A batch's number is only ever compared, so that its sign does not matter.
pub(super) const fn batch_number(batch: u64) -> i64 {
    batch.cast_signed()
}
