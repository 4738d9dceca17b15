//! Samples of the books, looked at for what no step would have left.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::B256;
use countersign_core::{
    charge::{Charge, Window},
    journal::ChainHead,
    operation::{Money, OperationRecord, OperationState},
};
use rusqlite::{OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::{
    counters::{Sums, asked, key},
    fault::Fault,
    log::entry,
    row::{Stored, delivery_number, hash_of, int, open_lane, parse, stored, uint},
    worker::Step,
};

/// How many open operations are looked at.
const SCANNED_MAX: u32 = 256;

/// How many of all operations are looked at.
const SAMPLED: u32 = 8;

/// How many of the log's last entries are looked at, and of a journal's.
const LINES: u64 = 100;

/// How far each audit follows the log from where the one before ended.
const FOLLOWED: u64 = 1000;

/// What some operations hold of one counter.
struct Held {
    charge: Charge,
    sums: Sums,
}

impl Step<'_> {
    /// A finding is `Damaged`: the thread seals the books for it.
    pub(super) fn audit(&self) -> Result<(), Fault> {
        self.audit_log()?;
        self.audit_counters()?;
        self.audit_samples()?;
        self.audit_journals()
    }

    /// The last links of the chain, and some more each time, until all were looked at.
    fn audit_log(&self) -> Result<(), Fault> {
        let (length, _) = self.head()?;
        self.audit_links(length.saturating_sub(LINES), length)?;
        let audited = &self.history().audited;
        let from = audited.get();
        let to = from.saturating_add(FOLLOWED).min(length);
        self.audit_links(from, to)?;
        audited.set(if to == length { 0 } else { to });
        Ok(())
    }

    fn audit_links(&self, from: u64, to: u64) -> Result<(), Fault> {
        let mut head = self.head_at(from)?;
        let mut statement = self.connection().prepare_cached(
            "SELECT sequence, at, event, subject, digest, head FROM log
             WHERE sequence > ?1 AND sequence <= ?2 ORDER BY sequence",
        )?;
        let mut rows = statement.query(params![int(from), int(to)])?;
        for number in from.saturating_add(1)..=to {
            let broken = || finding(format!("line {number} of the log does not follow"));
            let row = rows.next()?.ok_or_else(broken)?;
            let (at, event, subject): (i64, String, String) =
                (row.get(1)?, row.get(2)?, row.get(3)?);
            let (digest, stored): (Vec<u8>, Vec<u8>) = (row.get(4)?, row.get(5)?);
            let text = entry(number, (at, &event, &subject), &digest);
            head = Sha256::new().chain_update(&head).chain_update(text).finalize().to_vec();
            if row.get::<_, i64>(0)? != int(number) || head != stored {
                return Err(broken());
            }
        }
        Ok(())
    }

    fn head_at(&self, sequence: u64) -> Result<Vec<u8>, Fault> {
        if sequence == 0 {
            return Ok(vec![0; 32]);
        }
        self.connection()
            .prepare_cached("SELECT head FROM log WHERE sequence = ?1")?
            .query_row([int(sequence)], |row| row.get(0))
            .optional()?
            .ok_or_else(|| finding(format!("line {sequence} of the log is missing")))
    }

    /// What open operations hold of each counter is in it; where all were looked at, nothing else is. What a rolling
    /// window has settled is in its buckets.
    fn audit_counters(&self) -> Result<(), Fault> {
        let open = self.open_sample()?;
        let is_all = u32::try_from(open.len()).is_ok_and(|count| count < SCANNED_MAX);
        let mut held: BTreeMap<Vec<u8>, Held> = BTreeMap::new();
        for record in &open {
            for charge in &record.charges {
                let fresh = || Held { charge: charge.clone(), sums: Sums::default() };
                let Held { sums, .. } = held.entry(key(charge)).or_insert_with(fresh);
                let sum = if record.state.money() == Money::Reserved {
                    &mut sums.reserved
                } else {
                    &mut sums.committed
                };
                *sum = sum.saturating_add(asked(charge));
            }
        }
        held.iter().try_for_each(|(key, held)| self.audit_counter(key, held, is_all))
    }

    fn open_sample(&self) -> Result<Vec<OperationRecord>, Fault> {
        let holds =
            |state: &OperationState| matches!(state.money(), Money::Reserved | Money::Committed);
        let states: Vec<&str> =
            OperationState::ALL.iter().filter(|s| holds(s)).map(|s| s.name()).collect();
        let rows: Vec<Stored> = self
            .connection()
            .prepare_cached(
                "SELECT record, digest FROM operations
                  WHERE state IN (SELECT value FROM json_each(?1)) LIMIT ?2",
            )?
            .query_map(params![serde_json::to_string(&states)?, SCANNED_MAX], stored)?
            .collect::<Result<_, _>>()?;
        rows.iter().map(parse).collect()
    }

    fn audit_counter(&self, key: &[u8], held: &Held, is_all: bool) -> Result<(), Fault> {
        let shows = self.sums(key)?.unwrap_or_default();
        let Held { charge, sums } = held;
        let name = || charge.counter.hex();
        for (word, shows, holds) in [
            ("reserved", shows.reserved, sums.reserved),
            ("committed", shows.committed, sums.committed),
        ] {
            if shows < holds || (is_all && shows > holds) {
                let text =
                    format!("the counter {} has {shows} {word}, its operations {holds}", name());
                return Err(finding(text));
            }
        }
        let Window::Rolling(_) = charge.window else { return Ok(()) };
        let settled = shows.settled;
        for table in ["buckets", "spans"] {
            let sql = format!("SELECT COALESCE(SUM(amount), 0) FROM {table} WHERE counter = ?1");
            let sum: i64 =
                self.connection().prepare_cached(&sql)?.query_row([key], |row| row.get(0))?;
            if uint(sum)? != settled {
                let text =
                    format!("the counter {} has {settled} settled, its {table} {sum}", name());
                return Err(finding(text));
            }
        }
        Ok(())
    }

    /// Some operations' columns say what their records say.
    fn audit_samples(&self) -> Result<(), Fault> {
        let mut statement = self.connection().prepare_cached(
            "SELECT id, state, agent, delivery, lane, record, digest FROM operations
              WHERE number IN (SELECT abs(random() % (SELECT max(number) FROM operations)) + 1
                               FROM json_each(?1))",
        )?;
        let dice = serde_json::to_string(&vec![0; usize::try_from(SAMPLED).unwrap_or(1)])?;
        let mut rows = statement.query([dice])?;
        while let Some(row) = rows.next()? {
            let record = parse(&stored(row)?)?;
            let lane = open_lane(&record);
            let same = row.get::<_, String>("id")? == record.id.to_string()
                && row.get::<_, String>("state")? == record.state.name()
                && row.get::<_, String>("agent")? == record.agent().as_str()
                && row.get::<_, i64>("delivery")? == delivery_number(record.delivery)
                && row.get::<_, Option<String>>("lane")? == lane;
            if !same {
                return Err(finding(format!("{} is listed as what it is not", record.id)));
            }
        }
        Ok(())
    }

    /// Each journal still has the entry that was anchored last, and its last ones are chained. Its newest is anchored
    /// now; again, where the log's last lines have passed over it.
    fn audit_journals(&self) -> Result<(), Fault> {
        let named = self.audit_anchors()?;
        for gateway in self.journals()? {
            let anchored = self.anchored(&gateway)?;
            let Some((last, head)) = self.journal_head(&gateway)? else {
                return Err(finding(format!("the journal of {gateway} lacks its anchored entry")));
            };
            self.audit_entries(&gateway, last)?;
            if let Some((number, head)) = &anchored
                && self.entry_head(&gateway, *number)?.as_ref() != Some(head)
            {
                let text = format!("the journal of {gateway} lacks its anchored entry {number}");
                return Err(finding(text));
            }
            if anchored.is_none_or(|(number, _)| number < last) || !named.contains(&gateway) {
                self.anchor_journal(&gateway, last, &head)?;
            }
        }
        Ok(())
    }

    /// What the log's last entries say of journals is what is anchored; answers whose journals they name.
    fn audit_anchors(&self) -> Result<BTreeSet<String>, Fault> {
        let (length, _) = self.head()?;
        let lines = self
            .connection()
            .prepare_cached(
                "SELECT subject FROM log WHERE sequence > ?1 AND event = 'journal' ORDER BY sequence",
            )?
            .query_map([int(length.saturating_sub(LINES))], |row| row.get(0))?
            .collect::<Result<Vec<String>, _>>()?;
        let named = lines.iter().filter_map(|line| Some((line.rsplitn(3, ':').nth(2)?, line)));
        let newest: BTreeMap<&str, &String> = named.collect();
        for (gateway, line) in &newest {
            let anchored = self.anchored(gateway)?;
            if anchored.is_none_or(|(number, head)| anchor(gateway, number, &head) != **line) {
                let text =
                    format!("the journal of {gateway} is anchored otherwise than in the log");
                return Err(finding(text));
            }
        }
        Ok(newest.into_keys().map(str::to_owned).collect())
    }

    /// Gateways that have a journal, or had one: by one look each, because journals are long.
    pub(super) fn journals(&self) -> Result<Vec<String>, Fault> {
        let names = self
            .connection()
            .prepare_cached(
                "WITH RECURSIVE names (name) AS (
                    SELECT min(gateway) FROM journal
                    UNION ALL
                    SELECT (SELECT min(gateway) FROM journal WHERE gateway > name) FROM names
                     WHERE name IS NOT NULL)
                 SELECT name FROM names WHERE name IS NOT NULL
                 UNION SELECT gateway FROM anchored ORDER BY 1",
            )?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        Ok(names)
    }

    pub(super) fn journal_head(&self, gateway: &str) -> Result<Option<(u64, Vec<u8>)>, Fault> {
        let last: Option<(i64, Vec<u8>)> = self
            .connection()
            .prepare_cached(
                "SELECT sequence, head FROM journal WHERE gateway = ?1
                 ORDER BY sequence DESC LIMIT 1",
            )?
            .query_row([gateway], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        last.map(|(sequence, head)| Ok((uint(sequence)?, head))).transpose()
    }

    fn entry_head(&self, gateway: &str, number: u64) -> Result<Option<Vec<u8>>, Fault> {
        let head = self
            .connection()
            .prepare_cached("SELECT head FROM journal WHERE gateway = ?1 AND sequence = ?2")?
            .query_row(params![gateway, int(number)], |row| row.get(0))
            .optional()?;
        Ok(head)
    }

    fn audit_entries(&self, gateway: &str, last: u64) -> Result<(), Fault> {
        let from = last.saturating_sub(LINES);
        let hash = if from == 0 { None } else { self.entry_head(gateway, from)? };
        let mut head = ChainHead { sequence: from, hash: hash.map_or(Ok(B256::ZERO), hash_of)? };
        let mut statement = self.connection().prepare_cached(
            "SELECT sequence, entry, head FROM journal
              WHERE gateway = ?1 AND sequence > ?2 ORDER BY sequence",
        )?;
        let mut rows = statement.query(params![gateway, int(from)])?;
        for number in from.saturating_add(1)..=last {
            let broken =
                || finding(format!("entry {number} of the journal of {gateway} does not follow"));
            let row = rows.next()?.ok_or_else(broken)?;
            let (entry, stored): (String, Vec<u8>) = (row.get(1)?, row.get(2)?);
            head = head.behind(&entry).ok_or_else(broken)?;
            if row.get::<_, i64>(0)? != int(number) || head.hash.as_slice() != stored {
                return Err(broken());
            }
        }
        Ok(())
    }

    pub(super) fn anchored(&self, gateway: &str) -> Result<Option<(u64, Vec<u8>)>, Fault> {
        let found: Option<(i64, Vec<u8>)> = self
            .connection()
            .prepare_cached("SELECT sequence, head FROM anchored WHERE gateway = ?1")?
            .query_row([gateway], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        found.map(|(sequence, head)| Ok((uint(sequence)?, head))).transpose()
    }

    fn anchor_journal(&self, gateway: &str, number: u64, head: &[u8]) -> Result<(), Fault> {
        self.connection()
            .prepare_cached("INSERT OR REPLACE INTO anchored VALUES (?1, ?2, ?3)")?
            .execute(params![gateway, int(number), head])?;
        self.log("journal", &anchor(gateway, number, head), "")
    }
}

/// An anchored head as the log names it.
fn anchor(gateway: &str, number: u64, head: &[u8]) -> String {
    format!("{gateway}:{number}:{}", hex::encode(head))
}

fn finding(text: String) -> Fault {
    Fault::Damaged(text)
}
