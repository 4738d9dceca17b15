//! Counters: what is reserved, committed and settled, without looking at any operation.

use countersign_core::{
    amount::AMOUNT_MAX,
    charge::{Charge, Over, Reading, Window},
    time::Timestamp,
};
use countersign_engine::port::ledger::Overrun;
use rusqlite::{OptionalExtension, params};

use super::{
    buckets::Buckets,
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

impl Step<'_> {
    /// The counter of a charge, with `own` taken out of reserved.
    pub(super) fn reading(&self, charge: &Charge, asks: u64, own: u64) -> Result<Reading, Fault> {
        let mut reading = self.shown(charge, own)?;
        reading.frees_at = self.frees_at(charge, asks, &reading)?;
        Ok(reading)
    }

    /// The same, without looking for room.
    fn shown(&self, charge: &Charge, own: u64) -> Result<Reading, Fault> {
        let key = key(charge);
        let Some(sums) = self.sums(&key)? else { return Ok(Reading::default()) };
        let gone =
            Buckets::of(charge.window).map(|buckets| self.gone(buckets, &key)).transpose()?;
        let settled = sums.settled.saturating_sub(gone.unwrap_or(0));
        let reserved = sums.reserved.saturating_sub(own);
        Ok(Reading { reserved, committed: sums.committed, settled, frees_at: None })
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
            Window::Rolling(_) => match Buckets::of(charge.window) {
                Some(buckets) => self.room_at(charge, buckets, missing),
                None => Ok(None),
            },
        }
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
            let shown = self.shown(charge, held(replaced, charge))?;
            over.extend(self.overrun(index, charge, (shown, asks, bound(charge, parks)))?);
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
            let mut shown = self.shown(charge, 0)?;
            shown.committed = shown.committed.saturating_sub(held(before, charge));
            over.extend(self.overrun(index, charge, (shown, asks, bound(charge, false)))?);
        }
        Ok(over)
    }

    /// What is told of a charge that does not fit: only then is there a reason to look for room.
    fn overrun(
        &self,
        index: usize,
        charge: &Charge,
        (shown, asks, bound): (Reading, u64, u64),
    ) -> Result<Option<Overrun>, Fault> {
        if shown.used().saturating_add(asks) <= bound {
            return Ok(None);
        }
        let frees_at = self.frees_at(charge, asks, &shown)?;
        Ok(Some(Overrun { index, reading: Reading { frees_at, ..shown } }))
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
        let settled = match Buckets::of(charge.window) {
            Some(buckets) => self.put(charge, buckets, (kept, at))?,
            None => int(kept),
        };
        self.add(charge, [0, 0_i64.saturating_sub(int(asked(charge))), settled])
    }

    /// Takes a settled charge back to committed. What has left the window and was swept is not in
    /// settled any more.
    pub(super) fn unsettle_charge(
        &self,
        charge: &Charge,
        kept: u64,
        settled_at: Timestamp,
    ) -> Result<(), Fault> {
        let settled = match Buckets::of(charge.window) {
            Some(buckets) => self.take(charge, buckets, (kept, settled_at))?,
            None => 0_i64.saturating_sub(int(kept)),
        };
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
