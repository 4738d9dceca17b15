//! Rolling windows: what is settled lies in buckets.

use countersign_core::{
    charge::{Charge, Window},
    time::{Millis, Timestamp},
};
use rusqlite::{OptionalExtension, Params, params};

use super::{
    counters::key,
    fault::Fault,
    row::{int, uint},
    worker::Step,
};

/// Buckets are summed up in spans of so many, so that no question looks at all 1 441 of a full window: the buckets of two
/// spans and the spans between are enough.
const SPAN: u64 = 40;

/// The buckets of one rolling window, by their numbers since the epoch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Buckets {
    length: Millis,
    width: u64,
}

impl Buckets {
    /// `None` for windows that need no buckets.
    pub(super) fn of(window: Window) -> Option<Self> {
        let Window::Rolling(length) = window else { return None };
        Some(Self { length, width: window.bucket().0 })
    }

    /// The bucket of an instant.
    pub(super) fn at(self, instant: Timestamp) -> u64 {
        instant.millis().checked_div(self.width).unwrap_or(0)
    }

    /// The first bucket that still counts: its end is later than now − W.
    pub(super) fn first(self, now: Timestamp) -> u64 {
        self.at(now.before(self.length))
    }

    /// When a bucket stops counting.
    pub(super) fn leaves_at(self, bucket: u64) -> Timestamp {
        let end = bucket.saturating_add(1).saturating_mul(self.width);
        Timestamp::from_millis(end).after(self.length)
    }
}

/// The span of a bucket.
fn span(bucket: u64) -> u64 {
    bucket.checked_div(SPAN).unwrap_or(0)
}

/// The first bucket of a span.
const fn first_of(span: u64) -> u64 {
    span.saturating_mul(SPAN)
}

impl Step<'_> {
    /// What buckets hold that have left the window and are still stored.
    pub(super) fn gone(&self, buckets: Buckets, key: &[u8]) -> Result<u64, Fault> {
        let first = buckets.first(self.now);
        let whole = span(first);
        let gone: i64 = self
            .connection()
            .prepare_cached(
                "SELECT (SELECT COALESCE(SUM(amount), 0) FROM spans
                          WHERE counter = ?1 AND number < ?2)
                      + (SELECT COALESCE(SUM(amount), 0) FROM buckets
                          WHERE counter = ?1 AND number >= ?3 AND number < ?4)",
            )?
            .query_row(params![key, int(whole), int(first_of(whole)), int(first)], |row| {
                row.get(0)
            })?;
        uint(gone)
    }

    /// When so much will have left a rolling window: the rest of the span that is leaving now is looked at bucket by
    /// bucket, then span by span, then the buckets of one span.
    pub(super) fn room_at(
        &self,
        charge: &Charge,
        buckets: Buckets,
        missing: u64,
    ) -> Result<Option<Timestamp>, Fault> {
        let (key, first) = (key(charge), buckets.first(self.now));
        let (next, mut left) = (span(first).saturating_add(1), missing);
        let by_bucket = "SELECT number, amount FROM buckets
                          WHERE counter = ?1 AND number >= ?2 AND number < ?3 ORDER BY number";
        let end = first_of(next);
        let found = self.walk(by_bucket, params![key, int(first), int(end)], &mut left)?;
        if let Some(bucket) = found {
            return Ok(Some(buckets.leaves_at(bucket)));
        }
        let by_span = "SELECT number, amount FROM spans
                        WHERE counter = ?1 AND number >= ?2 ORDER BY number";
        let Some(span) = self.walk(by_span, params![key, int(next)], &mut left)? else {
            return Ok(None);
        };
        let (first, end) = (first_of(span), first_of(span.saturating_add(1)));
        let found = self.walk(by_bucket, params![key, int(first), int(end)], &mut left)?;
        Ok(found.map(|bucket| buckets.leaves_at(bucket)))
    }

    /// The row with which so much will have left; `left` is what is missing before it.
    fn walk(
        &self,
        sql: &str,
        parameters: impl Params,
        left: &mut u64,
    ) -> Result<Option<u64>, Fault> {
        let mut statement = self.connection().prepare_cached(sql)?;
        let mut rows = statement.query(parameters)?;
        while let Some(row) = rows.next()? {
            let amount = uint(row.get(1)?)?;
            if amount >= *left {
                return uint(row.get(0)?).map(Some);
            }
            *left = left.saturating_sub(amount);
        }
        Ok(None)
    }

    /// Puts an amount into the bucket of an instant, and says what that adds to settled: nothing where the bucket has
    /// left already. What has left is removed, which takes it out of settled.
    pub(super) fn put(
        &self,
        charge: &Charge,
        buckets: Buckets,
        (amount, at): (u64, Timestamp),
    ) -> Result<i64, Fault> {
        let key = key(charge);
        let swept = self.sweep(buckets, &key)?;
        let bucket = buckets.at(at);
        if amount == 0 || bucket < buckets.first(self.now) {
            return Ok(0_i64.saturating_sub(swept));
        }
        for (table, number) in [("buckets", bucket), ("spans", span(bucket))] {
            let sql = format!(
                "INSERT INTO {table} VALUES (?1, ?2, ?3)
                 ON CONFLICT (counter, number) DO UPDATE SET amount = amount + excluded.amount"
            );
            self.connection().prepare_cached(&sql)?.execute(params![
                key,
                int(number),
                int(amount)
            ])?;
        }
        Ok(int(amount).saturating_sub(swept))
    }

    /// Takes an amount back out of the bucket of an instant, and says what that adds to settled: nothing where the
    /// bucket was removed.
    pub(super) fn take(
        &self,
        charge: &Charge,
        buckets: Buckets,
        (amount, at): (u64, Timestamp),
    ) -> Result<i64, Fault> {
        let (key, bucket) = (key(charge), buckets.at(at));
        let changed = self
            .connection()
            .prepare_cached(
                "UPDATE buckets SET amount = amount - ?3 WHERE counter = ?1 AND number = ?2",
            )?
            .execute(params![key, int(bucket), int(amount)])?;
        if changed == 0 {
            return Ok(0);
        }
        self.lessen(&key, span(bucket), int(amount))?;
        Ok(0_i64.saturating_sub(int(amount)))
    }

    fn lessen(&self, key: &[u8], span: u64, amount: i64) -> Result<(), Fault> {
        self.connection()
            .prepare_cached(
                "UPDATE spans SET amount = amount - ?3 WHERE counter = ?1 AND number = ?2",
            )?
            .execute(params![key, int(span), amount])?;
        Ok(())
    }

    /// Removes the buckets that have left the window and returns what they held.
    fn sweep(&self, buckets: Buckets, key: &[u8]) -> Result<i64, Fault> {
        let first = buckets.first(self.now);
        let oldest: Option<i64> = self
            .connection()
            .prepare_cached(
                "SELECT number FROM buckets WHERE counter = ?1 ORDER BY number LIMIT 1",
            )?
            .query_row([key], |row| row.get(0))
            .optional()?;
        if oldest.is_none_or(|oldest| oldest >= int(first)) {
            return Ok(0);
        }
        let (gone, whole) = (self.gone(buckets, key)?, span(first));
        let of_the_last: i64 = self
            .connection()
            .prepare_cached(
                "SELECT COALESCE(SUM(amount), 0) FROM buckets
                  WHERE counter = ?1 AND number >= ?2 AND number < ?3",
            )?
            .query_row(params![key, int(first_of(whole)), int(first)], |row| row.get(0))?;
        self.lessen(key, whole, of_the_last)?;
        for (table, end) in [("buckets", first), ("spans", whole)] {
            let sql = format!("DELETE FROM {table} WHERE counter = ?1 AND number < ?2");
            self.connection().prepare_cached(&sql)?.execute(params![key, int(end)])?;
        }
        Ok(int(gone))
    }
}
