//! The file's tables, and how it is opened.

use std::{path::Path, time::Duration};

use countersign_core::{identity::AppId, time::Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use super::{OpenError, row::int};

/// The file's name.
pub(super) const FILE: &str = "countersign.db";

/// The newest schema that this program knows.
pub(super) const VERSION: i64 = 1;

/// Statements that are kept prepared.
const STATEMENTS_MAX: usize = 128;

/// The times and amounts are integers (milliseconds, micro-USD or occurrences). `record` and `view` are
/// JSON; the columns beside them are what is searched by. A column that is NULL keeps a row out of its
/// index: `lapses` is set while an operation can expire, `idle` while it needs work, `lane` while it holds
/// its lane open.
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
    record TEXT NOT NULL
);
CREATE INDEX operations_repeat ON operations (fingerprint, delivery, finished) WHERE key IS NULL;
CREATE INDEX operations_created ON operations (created, id);
CREATE INDEX operations_state ON operations (state, created, id);
CREATE INDEX operations_agent ON operations (agent, created, id);
CREATE INDEX operations_lapses ON operations (lapses, id) WHERE lapses IS NOT NULL;
CREATE INDEX operations_idle ON operations (idle, id) WHERE idle IS NOT NULL;
CREATE INDEX operations_lane ON operations (lane) WHERE lane IS NOT NULL;
CREATE INDEX operations_delivery ON operations (delivery) WHERE delivery = 0;

CREATE TABLE counters (
    counter BLOB PRIMARY KEY,
    reserved INTEGER NOT NULL CHECK (reserved >= 0),
    committed INTEGER NOT NULL CHECK (committed >= 0),
    settled INTEGER NOT NULL CHECK (settled >= 0)
) WITHOUT ROWID;

CREATE TABLE buckets (
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

CREATE TABLE seen (
    lane TEXT NOT NULL,
    address BLOB NOT NULL,
    PRIMARY KEY (lane, address)
) WITHOUT ROWID;

CREATE TABLE freezes (freeze TEXT PRIMARY KEY) WITHOUT ROWID;

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
    view TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX incidents_created ON incidents (created, id);
";

/// Opens the file, takes it for this process alone, and makes or checks its tables.
pub(super) fn prepare(path: &Path, app: &AppId) -> Result<Connection, OpenError> {
    let cause = |error: rusqlite::Error| cause(path, &error);
    let connection = Connection::open(path).map_err(cause)?;
    // Whoever holds the file holds it for as long as it runs: there is nothing to wait for.
    connection.busy_timeout(Duration::ZERO).map_err(cause)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    own(&connection).map_err(cause)?;
    let found = version(&connection).map_err(cause)?;
    if found > VERSION {
        return Err(OpenError::Newer { path: path.into(), found, known: VERSION });
    }
    if found == 0 {
        initialise(&connection, app).map_err(cause)?;
    }
    let owner: String = meta(&connection, "app").map_err(cause)?.unwrap_or_default();
    if owner != app.as_str() {
        let (path, asked) = (path.into(), app.to_string());
        return Err(OpenError::OtherApp { path, found: owner, asked });
    }
    bury(&connection).map_err(cause)?;
    Ok(connection)
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
    connection.execute_batch(TABLES)?;
    connection.execute_batch(
        "INSERT INTO meta VALUES ('ledger', lower(hex(randomblob(16)))), ('high', 0);",
    )?;
    connection.execute("INSERT INTO meta VALUES ('app', ?1)", [app.as_str()])?;
    connection.pragma_update(None, "user_version", VERSION)?;
    connection.execute_batch("COMMIT")
}

/// Every gateway of an earlier process is dead: its callers are gone, and nobody will come back under
/// its name for what it left.
fn bury(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "BEGIN IMMEDIATE;
         UPDATE operations SET gateway = '' WHERE idle IS NOT NULL;
         UPDATE operations
            SET delivery = 1, gateway = '', record = json_set(record, '$.delivery', 'owed')
          WHERE delivery = 0;
         COMMIT;",
    )
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
