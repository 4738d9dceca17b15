//! The ledger's own history: one entry per change, each chained to the one before.

use rusqlite::{OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::{
    fault::Fault,
    row::{int, uint},
    worker::Step,
};

impl Step<'_> {
    /// Appends an entry. Its head is the SHA-256 of the head before and the entry's text, which names the
    /// number, the time, the event, its subject and the SHA-256 of what was written.
    pub(super) fn log(&self, event: &str, subject: &str, written: &str) -> Result<(), Fault> {
        self.log_digest(event, subject, &Sha256::digest(written))
    }

    /// The same, of something whose digest is known.
    pub(super) fn log_digest(
        &self,
        event: &str,
        subject: &str,
        digest: &[u8],
    ) -> Result<(), Fault> {
        let (last, head) = self.head()?;
        let sequence = last.saturating_add(1);
        let at = self.now.millis();
        let entry = entry(sequence, (int(at), event, subject), digest);
        let next = Sha256::new().chain_update(head).chain_update(entry).finalize();
        self.connection()
            .prepare_cached("INSERT INTO log VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute(params![int(sequence), int(at), event, subject, digest, next.as_slice()])?;
        Ok(())
    }

    /// How many entries there are, and the last head; 32 zero bytes before the first.
    pub(super) fn head(&self) -> Result<(u64, Vec<u8>), Fault> {
        let last: Option<(i64, Vec<u8>)> = self
            .connection()
            .prepare_cached("SELECT sequence, head FROM log ORDER BY sequence DESC LIMIT 1")?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        match last {
            Some((sequence, head)) => Ok((uint(sequence)?, head)),
            None => Ok((0, vec![0; 32])),
        }
    }
}

/// An entry as it is hashed.
pub(super) fn entry(
    sequence: u64,
    (at, event, subject): (i64, &str, &str),
    digest: &[u8],
) -> String {
    format!("{sequence} {at} {event} {subject} {}", hex::encode(digest))
}
