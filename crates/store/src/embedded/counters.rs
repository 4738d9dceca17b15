//! Counters: what is reserved, committed and settled, without looking at any operation.

use countersign_core::{
    amount::AMOUNT_MAX,
    charge::{Charge, Over, Reading, Window},
    time::{Millis, Timestamp},
};
use countersign_engine::port::ledger::Overrun;
use rusqlite::{OptionalExtension, params};

use super::{
    fault::Fault,
    row::{int, uint},
    worker::Step,
};

/// Where a charge is counted: the counter and, for calendar windows, the period.
pub(super) fn key(charge: &Charge) -> Vec<u8> {
    let mut key = charge.counter.0.to_vec();
    key.extend_from_slice(charge.window.period_key().as_bytes());
    key
}

/// What a charge asks for; more than anything where it cannot be counted.
pub(super) fn asked(charge: &Charge) -> u64 {
    charge.amount().unwrap_or(u64::MAX)
}

/// One way for a charge's amount to go.
#[derive(Debug, Clone, Copy)]
pub(super) enum Move {
    /// Out of reserved.
    Release,
    /// From reserved.
    Commit,
    /// Out of committed.
    ReleaseCommitted,
}

/// What one counter holds, with buckets that have left its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sums {
    pub(super) reserved: u64,
    pub(super) committed: u64,
    pub(super) settled: u64,
}

/// The first bucket of a rolling window that still counts: its end is later than now − W.
fn first_bucket(window: Window, now: Timestamp) -> Option<i64> {
    let Window::Rolling(length) = window else { return None };
    let Millis(width) = window.bucket();
    now.before(length).millis().checked_div(width).map(int)
}

/// When a bucket of a rolling window stops counting.
fn leaves_at(window: Window, bucket: u64) -> Option<Timestamp> {
    let Window::Rolling(length) = window else { return None };
    let end = bucket.saturating_add(1).saturating_mul(window.bucket().0);
    Some(Timestamp::from_millis(end).after(length))
}

impl Step<'_> {
    /// The counter of a charge, with `own` taken out of reserved.
    pub(super) fn reading(&self, charge: &Charge, asks: u64, own: u64) -> Result<Reading, Fault> {
        let key = key(charge);
        let Some(sums) = self.sums(&key)? else { return Ok(Reading::default()) };
        let settled = sums.settled.saturating_sub(self.gone(charge.window, &key)?);
        let reserved = sums.reserved.saturating_sub(own);
        let mut reading = Reading { reserved, committed: sums.committed, settled, frees_at: None };
        reading.frees_at = self.frees_at(charge, asks, &reading)?;
        Ok(reading)
    }

    /// What a counter holds; a fault where another hand was in it.
    pub(super) fn sums(&self, key: &[u8]) -> Result<Option<Sums>, Fault> {
        let columns: Option<[i64; 4]> = self
            .connection()
            .prepare_cached(
                "SELECT reserved, committed, settled, parity FROM counters WHERE counter = ?1",
            )?
            .query_row([key], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]))
            .optional()?;
        let Some([reserved, committed, settled, parity]) = columns else { return Ok(None) };
        let weighed = settled.saturating_mul(2).saturating_add(committed).saturating_mul(2);
        if weighed.saturating_add(reserved) != parity {
            let key = hex::encode(key);
            return Err(Fault::Damaged(format!("another hand changed the counter {key}")));
        }
        let [reserved, committed, settled] = [uint(reserved)?, uint(committed)?, uint(settled)?];
        Ok(Some(Sums { reserved, committed, settled }))
    }

    /// What buckets hold that have left the window and are still stored.
    fn gone(&self, window: Window, key: &[u8]) -> Result<u64, Fault> {
        let Some(first) = first_bucket(window, self.now) else { return Ok(0) };
        let gone: i64 = self
            .connection()
            .prepare_cached(
                "SELECT COALESCE(SUM(amount), 0) FROM buckets WHERE counter = ?1 AND number < ?2",
            )?
            .query_row(params![key, first], |row| row.get(0))?;
        uint(gone)
    }

    fn frees_at(
        &self,
        charge: &Charge,
        asks: u64,
        reading: &Reading,
    ) -> Result<Option<Timestamp>, Fault> {
        let limit = charge.limit.min(AMOUNT_MAX);
        let missing = reading.used().saturating_add(asks).saturating_sub(limit);
        match charge.window {
            _ if missing == 0 => Ok(None),
            Window::Grant => Ok(None),
            Window::Calendar(period) => Ok((asks <= limit).then_some(period.end)),
            Window::Rolling(_) if missing > reading.settled => Ok(None),
            Window::Rolling(_) => self.room_at(charge, missing),
        }
    }

    /// When so much will have left a rolling window.
    fn room_at(&self, charge: &Charge, missing: u64) -> Result<Option<Timestamp>, Fault> {
        let first = first_bucket(charge.window, self.now).unwrap_or(0);
        let mut statement = self.connection().prepare_cached(
            "SELECT number, amount FROM buckets WHERE counter = ?1 AND number >= ?2
             ORDER BY number",
        )?;
        let mut rows = statement.query(params![key(charge), first])?;
        let mut left = missing;
        while let Some(row) = rows.next()? {
            left = left.saturating_sub(uint(row.get(1)?)?);
            if left == 0 {
                return Ok(leaves_at(charge.window, uint(row.get(0)?)?));
            }
        }
        Ok(None)
    }

    /// The charges that do not fit. `replaced` are charges of the same operation that these take the
    /// place of.
    pub(super) fn overruns(
        &self,
        charges: &[Charge],
        replaced: &[Charge],
        parks: bool,
    ) -> Result<Vec<Overrun>, Fault> {
        let mut over = Vec::new();
        let mut asking: Vec<(Vec<u8>, u64)> = Vec::with_capacity(charges.len());
        for (index, charge) in charges.iter().enumerate() {
            asking.push((key(charge), asked(charge)));
            let asks = sum(asking.iter().filter(|(of, _)| *of == key(charge)).map(|(_, a)| *a));
            let reading = self.reading(charge, asks, held(replaced, charge))?;
            if reading.used().saturating_add(asks) > bound(charge, parks) {
                over.push(Overrun { index, reading });
            }
        }
        Ok(over)
    }

    /// The charges of a committed operation that do not fit with what their fees have risen to. A counter of which it
    /// takes no more is not asked.
    pub(super) fn overruns_of_rise(
        &self,
        dearer: &[Charge],
        before: &[Charge],
    ) -> Result<Vec<Overrun>, Fault> {
        let mut over = Vec::new();
        for (index, charge) in dearer.iter().enumerate() {
            let upto = index.saturating_add(1);
            let of = |charges: &[Charge]| held(charges.get(..upto).unwrap_or_default(), charge);
            let asks = of(dearer);
            if asks == of(before) {
                continue;
            }
            let mut reading = self.reading(charge, asks, 0)?;
            reading.committed = reading.committed.saturating_sub(held(before, charge));
            reading.frees_at = self.frees_at(charge, asks, &reading)?;
            if reading.used().saturating_add(asks) > bound(charge, false) {
                over.push(Overrun { index, reading });
            }
        }
        Ok(over)
    }

    /// Adds what charges have risen by to committed.
    pub(super) fn charge_rise(&self, dearer: &[Charge], before: &[Charge]) -> Result<(), Fault> {
        dearer.iter().zip(before).try_for_each(|(dearer, before)| {
            self.add(dearer, [0, int(asked(dearer).saturating_sub(asked(before))), 0])
        })
    }

    /// Adds the charges to reserved.
    pub(super) fn charge(&self, charges: &[Charge]) -> Result<(), Fault> {
        let mut statement = self.connection().prepare_cached(
            "INSERT INTO counters VALUES (?1, ?2, 0, 0, ?2)
             ON CONFLICT (counter) DO UPDATE SET reserved = reserved + excluded.reserved,
                parity = parity + excluded.reserved",
        )?;
        for charge in charges {
            statement.execute(params![key(charge), int(asked(charge))])?;
        }
        Ok(())
    }

    /// Moves charges that are in the counters.
    pub(super) fn shift(&self, charges: &[Charge], way: Move) -> Result<(), Fault> {
        charges.iter().try_for_each(|charge| {
            let amount = int(asked(charge));
            match way {
                Move::Release => self.add(charge, [0_i64.saturating_sub(amount), 0, 0]),
                Move::Commit => self.add(charge, [0_i64.saturating_sub(amount), amount, 0]),
                Move::ReleaseCommitted => self.add(charge, [0, 0_i64.saturating_sub(amount), 0]),
            }
        })
    }

    /// Moves a committed charge to settled, as far as it was kept, in the bucket of now.
    pub(super) fn settle_charge(&self, charge: &Charge, kept: u64) -> Result<(), Fault> {
        self.settle_charge_at(charge, kept, self.now)
    }

    /// The same, in the bucket of another instant.
    pub(super) fn settle_charge_at(
        &self,
        charge: &Charge,
        kept: u64,
        at: Timestamp,
    ) -> Result<(), Fault> {
        let mut settled = int(kept);
        if let Some(first) = first_bucket(charge.window, self.now) {
            settled = settled.saturating_sub(self.sweep(charge, first)?);
            if kept > 0 {
                let bucket = at.millis().checked_div(charge.window.bucket().0).unwrap_or(0);
                self.connection()
                    .prepare_cached(
                        "INSERT INTO buckets VALUES (?1, ?2, ?3)
                         ON CONFLICT (counter, number) DO UPDATE SET amount = amount + excluded.amount",
                    )?
                    .execute(params![key(charge), int(bucket), int(kept)])?;
            }
        }
        self.add(charge, [0, 0_i64.saturating_sub(int(asked(charge))), settled])
    }

    /// Removes the buckets that have left the window and returns what they held.
    fn sweep(&self, charge: &Charge, first: i64) -> Result<i64, Fault> {
        let key = key(charge);
        let gone = self.gone(charge.window, &key)?;
        if gone > 0 {
            self.connection()
                .prepare_cached("DELETE FROM buckets WHERE counter = ?1 AND number < ?2")?
                .execute(params![key, first])?;
        }
        Ok(int(gone))
    }

    /// Takes a settled charge back to committed. What has left the window and was swept is not in
    /// settled any more.
    pub(super) fn unsettle_charge(
        &self,
        charge: &Charge,
        kept: u64,
        settled_at: Timestamp,
    ) -> Result<(), Fault> {
        let held = match charge.window.bucket() {
            Millis::ZERO => true,
            Millis(width) => {
                let bucket = settled_at.millis().checked_div(width).unwrap_or(0);
                let changed = self
                    .connection()
                    .prepare_cached(
                        "UPDATE buckets SET amount = amount - ?3 WHERE counter = ?1 AND number = ?2",
                    )?
                    .execute(params![key(charge), int(bucket), int(kept)])?;
                changed > 0
            }
        };
        let settled = if held { 0_i64.saturating_sub(int(kept)) } else { 0 };
        self.add(charge, [0, int(asked(charge)), settled])
    }

    /// Adds to a counter that must be there. A sum below zero breaks a constraint of the table.
    fn add(&self, charge: &Charge, [reserved, committed, settled]: [i64; 3]) -> Result<(), Fault> {
        let changed = self
            .connection()
            .prepare_cached(
                "UPDATE counters SET reserved = reserved + ?2, committed = committed + ?3,
                    settled = settled + ?4, parity = parity + ?2 + 2 * ?3 + 4 * ?4 WHERE counter = ?1",
            )?
            .execute(params![key(charge), reserved, committed, settled])?;
        let lost = || Fault::Damaged(format!("counter {} is lost", charge.counter.hex()));
        if changed == 1 { Ok(()) } else { Err(lost()) }
    }
}

/// The most that a counter may show after a charge.
fn bound(charge: &Charge, parks: bool) -> u64 {
    match &charge.over {
        Over::Park { waived, .. } if *waived || parks => AMOUNT_MAX,
        Over::Deny | Over::Park { .. } => charge.limit.min(AMOUNT_MAX),
    }
}

/// What these charges hold of another charge's counter.
pub(super) fn held(charges: &[Charge], of: &Charge) -> u64 {
    let key_of = key(of);
    sum(charges.iter().filter(|charge| key(charge) == key_of).map(asked))
}

fn sum(amounts: impl Iterator<Item = u64>) -> u64 {
    amounts.fold(0, u64::saturating_add)
}
