//! The file's tables, and how it is opened.

use std::{fmt, path::Path, time::Duration};

use countersign_core::{identity::AppId, operation::Delivery, time::Timestamp};
use countersign_engine::port::ledger::LedgerError;
use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::{
    OpenError,
    fault::Fault,
    row::{Stored, int, parse, stored},
};
use crate::lineage::{Anchor, Standing};

/// The file's name.
pub(super) const FILE: &str = "countersign.db";

/// The schema that this program reads and writes.
pub(super) const VERSION: i64 = 10;

/// Statements that are kept prepared.
const STATEMENTS_MAX: usize = 128;

/// The times and amounts are integers (milliseconds, micro-USD or occurrences). `record` and `view` are
/// JSON, `digest` its SHA-256; the columns beside them are what is searched by. `parity` is reserved + 2 × committed +
/// 4 × settled: it moves with all three. A column that is NULL keeps a row out of its
/// index: `lapses` is set while an operation can expire, `idle` while it needs work, `lane` while it holds
/// its lane open, `keeps` while it waits for people and the nonce that its client fixed is kept for it.
const TABLES: &str = "
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;

CREATE TABLE operations (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    agent TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    key BLOB UNIQUE,
    batch INTEGER,
    delivery INTEGER NOT NULL,
    gateway TEXT NOT NULL,
    created INTEGER NOT NULL,
    finished INTEGER NOT NULL,
    lapses INTEGER,
    idle INTEGER,
    lane TEXT,
    keeps TEXT,
    record TEXT NOT NULL,
    digest BLOB NOT NULL
);
CREATE INDEX operations_repeat ON operations (fingerprint, delivery, finished) WHERE key IS NULL;
CREATE INDEX operations_created ON operations (created, id);
CREATE INDEX operations_state ON operations (state, created, id);
CREATE INDEX operations_parked ON operations (agent) WHERE state = 'PARKED';
CREATE INDEX operations_agent ON operations (agent, created, id);
CREATE INDEX operations_lapses ON operations (lapses, id) WHERE lapses IS NOT NULL;
CREATE INDEX operations_idle ON operations (idle, id) WHERE idle IS NOT NULL;
CREATE INDEX operations_lane ON operations (lane) WHERE lane IS NOT NULL;
CREATE INDEX operations_keeps ON operations (keeps, created) WHERE keeps IS NOT NULL;
CREATE INDEX operations_delivery ON operations (delivery) WHERE delivery = 0;

CREATE TABLE counters (
    counter BLOB PRIMARY KEY,
    reserved INTEGER NOT NULL CHECK (reserved >= 0),
    committed INTEGER NOT NULL CHECK (committed >= 0),
    settled INTEGER NOT NULL CHECK (settled >= 0),
    parity INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE buckets (
    counter BLOB NOT NULL,
    number INTEGER NOT NULL,
    amount INTEGER NOT NULL CHECK (amount >= 0),
    PRIMARY KEY (counter, number)
) WITHOUT ROWID;

CREATE TABLE spans (
    counter BLOB NOT NULL,
    number INTEGER NOT NULL,
    amount INTEGER NOT NULL CHECK (amount >= 0),
    PRIMARY KEY (counter, number)
) WITHOUT ROWID;

CREATE TABLE lanes (lane TEXT PRIMARY KEY, next INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE nonces (
    lane TEXT NOT NULL,
    nonce INTEGER NOT NULL,
    operation TEXT NOT NULL,
    PRIMARY KEY (lane, nonce)
) WITHOUT ROWID;

CREATE TABLE settled (
    chain TEXT NOT NULL,
    block INTEGER NOT NULL,
    operation TEXT NOT NULL,
    PRIMARY KEY (chain, block, operation)
) WITHOUT ROWID;

CREATE TABLE heights (chain TEXT PRIMARY KEY, highest INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE seen (
    lane TEXT NOT NULL,
    address BLOB NOT NULL,
    PRIMARY KEY (lane, address)
) WITHOUT ROWID;

CREATE TABLE passkeys (credential TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE freezes (
    freeze TEXT PRIMARY KEY,
    placed TEXT NOT NULL,
    at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE pacts (
    agent TEXT NOT NULL,
    version TEXT NOT NULL,
    standing TEXT NOT NULL,
    PRIMARY KEY (agent, version)
) WITHOUT ROWID;

CREATE TABLE strikes (
    agent TEXT NOT NULL,
    trace TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (agent, trace)
) WITHOUT ROWID;

CREATE TABLE turns (
    receiver TEXT PRIMARY KEY,
    told INTEGER NOT NULL,
    until INTEGER NOT NULL,
    holder TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE shelves (
    agent TEXT PRIMARY KEY,
    revision INTEGER NOT NULL,
    mark TEXT NOT NULL,
    view TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE shelf_versions (
    agent TEXT NOT NULL,
    number INTEGER NOT NULL,
    view TEXT NOT NULL,
    text TEXT NOT NULL DEFAULT '',
    UNIQUE (agent, number)
);

CREATE TABLE policies (whose TEXT PRIMARY KEY, version TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE log (
    sequence INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    event TEXT NOT NULL,
    subject TEXT NOT NULL,
    digest BLOB NOT NULL,
    head BLOB NOT NULL
);

CREATE TABLE journal (
    gateway TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    entry TEXT NOT NULL,
    head BLOB NOT NULL,
    PRIMARY KEY (gateway, sequence)
) WITHOUT ROWID;

CREATE TABLE pinned (gateway TEXT NOT NULL, policy TEXT NOT NULL, PRIMARY KEY (gateway, policy)) WITHOUT ROWID;

CREATE TABLE anchored (gateway TEXT PRIMARY KEY, sequence INTEGER NOT NULL, head BLOB NOT NULL) WITHOUT ROWID;

CREATE TABLE traces (
    number INTEGER PRIMARY KEY,
    trace TEXT NOT NULL UNIQUE,
    created INTEGER NOT NULL,
    agent TEXT,
    session TEXT,
    status TEXT NOT NULL,
    operation TEXT,
    decision TEXT NOT NULL,
    outcome TEXT NOT NULL
);
CREATE INDEX traces_created ON traces (created, trace);
CREATE INDEX traces_agent ON traces (agent, created, trace);
CREATE INDEX traces_session ON traces (session, created, trace) WHERE session IS NOT NULL;
CREATE INDEX traces_status ON traces (status, created, trace);
CREATE INDEX traces_operation ON traces (operation) WHERE operation IS NOT NULL;

CREATE TABLE incidents (
    id TEXT PRIMARY KEY,
    created INTEGER NOT NULL,
    status TEXT NOT NULL,
    severity TEXT NOT NULL,
    agent TEXT,
    view TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX incidents_created ON incidents (created, id);
CREATE INDEX incidents_status ON incidents (status, created, id);

CREATE TABLE incident_groups (incidents TEXT PRIMARY KEY, id TEXT NOT NULL) WITHOUT ROWID;
";

/// An open file, and how its ledger stands to the one that was known.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) found: Result<Standing, Loss>,
    /// What another hand did to records that had to be looked at.
    pub(super) damage: Option<String>,
}

impl Opened {
    const fn lost(connection: Connection, loss: Loss) -> Self {
        Self { connection, found: Err(loss), damage: None }
    }
}

/// Why the file does not hold the ledger that was known.
#[derive(Debug, Clone)]
pub(super) enum Loss {
    /// It holds nothing: a new ledger may be made in it.
    Empty,
    /// It holds something else, or cannot be read.
    Other(String),
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the store is empty"),
            Self::Other(why) => f.write_str(why),
        }
    }
}

/// Opens the file for a gateway that has seen this of its ledger. What it cannot be read for is a loss then, so that
/// the gateway can say it.
pub(super) fn open(path: &Path, app: &AppId, known: Option<&Anchor>) -> Result<Opened, OpenError> {
    match (prepare(path, app, known), known) {
        (Err(OpenError::Unusable { reason, .. }), Some(_)) => {
            let connection = Connection::open_in_memory().map_err(|error| cause(path, &error))?;
            Ok(Opened::lost(connection, Loss::Other(reason)))
        }
        (opened, _) => opened,
    }
}

/// Opens the file, takes it for this process alone, and makes or checks its tables.
fn prepare(path: &Path, app: &AppId, known: Option<&Anchor>) -> Result<Opened, OpenError> {
    let cause = |error: rusqlite::Error| cause(path, &error);
    let connection = Connection::open(path).map_err(cause)?;
    // Whoever holds the file holds it for as long as it runs: there is nothing to wait for.
    connection.busy_timeout(Duration::ZERO).map_err(cause)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    own(&connection).map_err(cause)?;
    match version(&connection).map_err(cause)? {
        0 if known.is_some() => return Ok(Opened::lost(connection, Loss::Empty)),
        0 => initialise(&connection, app).map_err(cause)?,
        VERSION => {}
        found => return Err(OpenError::Schema { path: path.into(), found, known: VERSION }),
    }
    let owner: String = meta(&connection, "app").map_err(cause)?.unwrap_or_default();
    if owner != app.as_str() {
        let (path, asked) = (path.into(), app.to_string());
        return Err(OpenError::OtherApp { path, found: owner, asked });
    }
    let found = known.map_or(Ok(Ok(Standing::Proven)), |known| compare(&connection, known));
    let found = found.map_err(cause)?;
    let buried = if found.is_ok() { bury(&connection) } else { Ok(None) };
    let damage = buried.map_err(|fault| OpenError::Unusable {
        path: path.into(),
        reason: LedgerError::from(fault).to_string(),
    })?;
    Ok(Opened { connection, found, damage })
}

/// How the file's history stands to what was seen of it.
fn compare(connection: &Connection, known: &Anchor) -> rusqlite::Result<Result<Standing, Loss>> {
    let ledger: String = meta(connection, "ledger")?.unwrap_or_default();
    if ledger != known.ledger_id {
        let former: Option<String> = meta(connection, "replaces")?;
        let is_heir = former.as_ref() == Some(&known.ledger_id);
        let other = || Loss::Other(format!("the store holds the ledger {ledger}"));
        return Ok(if is_heir { Ok(Standing::Replaced) } else { Err(other()) });
    }
    let head: Option<Vec<u8>> = connection
        .query_row("SELECT head FROM log WHERE sequence = ?1", [int(known.sequence)], |r| r.get(0))
        .optional()?;
    let epoch: i64 = meta(connection, "epoch")?.unwrap_or(0);
    Ok(Ok(match head {
        None if known.sequence == 0 => Standing::Proven,
        Some(head) if hex::encode(&head) == known.head => Standing::Proven,
        _ if epoch > int(known.epoch) => Standing::Accepted,
        _ => Standing::Missing,
    }))
}

fn cause(path: &Path, error: &rusqlite::Error) -> OpenError {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
    match error.sqlite_error_code() {
        Some(DatabaseBusy | DatabaseLocked) => OpenError::InUse { path: path.into() },
        _ => OpenError::Unusable { path: path.into(), reason: error.to_string() },
    }
}

/// The lock is taken by the first write transaction and kept until the file is closed; the kernel gives
/// it up when the process dies.
fn own(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "PRAGMA locking_mode = EXCLUSIVE;
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA cache_size = -32768;
         BEGIN IMMEDIATE;
         COMMIT;",
    )
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

fn initialise(connection: &Connection, app: &AppId) -> rusqlite::Result<()> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    create(connection, app)?;
    connection.execute_batch("COMMIT")
}

/// Makes the tables, in the transaction that is open.
pub(super) fn create(connection: &Connection, app: &AppId) -> rusqlite::Result<()> {
    connection.execute_batch(TABLES)?;
    connection.execute_batch(
        "INSERT INTO meta VALUES ('ledger', lower(hex(randomblob(16)))), ('high', 0);",
    )?;
    connection.execute("INSERT INTO meta VALUES ('app', ?1)", [app.as_str()])?;
    connection.pragma_update(None, "user_version", VERSION)
}

/// Every gateway of an earlier process is dead: its callers are gone, and nobody will come back under
/// its name for what it left. What another hand changed stays as it is, and is told.
fn bury(connection: &Connection) -> Result<Option<String>, Fault> {
    connection.execute_batch(
        "BEGIN IMMEDIATE; UPDATE operations SET gateway = '' WHERE idle IS NOT NULL;",
    )?;
    let waiting: Vec<Stored> = connection
        .prepare("SELECT record, digest FROM operations WHERE delivery = 0")?
        .query_map([], stored)?
        .collect::<Result<_, _>>()?;
    let mut damage = None;
    for record in waiting {
        let mut record = match parse(&record) {
            Err(Fault::Damaged(why)) => {
                damage = Some(why);
                continue;
            }
            record => record?,
        };
        record.delivery = Delivery::Owed;
        let json = serde_json::to_string(&record)?;
        connection.execute(
            "UPDATE operations SET delivery = 1, gateway = '', record = ?2, digest = ?3 WHERE id = ?1",
            params![record.id.to_string(), json, Sha256::digest(&json).as_slice()],
        )?;
    }
    connection.execute_batch("COMMIT")?;
    Ok(damage)
}

/// One value of the `meta` table.
pub(super) fn meta<T: rusqlite::types::FromSql>(
    connection: &Connection,
    name: &str,
) -> rusqlite::Result<Option<T>> {
    connection
        .prepare_cached("SELECT value FROM meta WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()
}

/// Sets one value of the `meta` table.
pub(super) fn set_meta(
    connection: &Connection,
    name: &str,
    value: impl rusqlite::ToSql,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO meta VALUES (?1, ?2)")?
        .execute(params![name, value])
        .map(|_| ())
}

/// The highest time that the store has shown.
pub(super) fn high(connection: &Connection) -> rusqlite::Result<Timestamp> {
    let ms: i64 = meta(connection, "high")?.unwrap_or(0);
    Ok(Timestamp::from_millis(ms.unsigned_abs()))
}

/// Keeps the highest time that the store has shown.
pub(super) fn set_high(connection: &Connection, high: Timestamp) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE meta SET value = ?1 WHERE name = 'high'")?
        .execute(params![int(high.millis())])
        .map(|_| ())
}
