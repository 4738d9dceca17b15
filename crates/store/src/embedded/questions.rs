//! What is asked of the books without changing them; freezes and the seal.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::Address;
use countersign_core::{
    charge::{Charge, Reading},
    fact::Freeze,
    freeze::{FreezeOrder, StandingFreeze},
    identity::OperationId,
    operation::{Money, OperationRecord, OperationState},
    time::Timestamp,
};
use countersign_engine::port::{
    chronicle::event,
    journal::Page,
    ledger::{Census, OperationQuery},
};
use rusqlite::{OptionalExtension, params, params_from_iter, types::Value};

use super::{
    counters::{asked, held},
    fault::Fault,
    row::{Stored, int, read, stored, uint},
    worker::Step,
};

/// The most that one page shows.
pub(super) const PAGE_MAX: u32 = 1000;

impl Step<'_> {
    pub(super) fn status(
        &self,
        charges: &[Charge],
        without: Option<OperationId>,
    ) -> Result<Vec<Reading>, Fault> {
        let own = match without {
            Some(id) => self.operation(id)?.filter(|o| o.state.money() == Money::Reserved),
            None => None,
        };
        let own = own.map(|record| record.charges).unwrap_or_default();
        charges
            .iter()
            .map(|charge| self.reading(charge, asked(charge), held(&own, charge)))
            .collect()
    }

    pub(super) fn operations(
        &self,
        query: &OperationQuery,
    ) -> Result<Page<OperationRecord>, Fault> {
        let before = match &query.cursor {
            Some(cursor) => Some(self.position(cursor)?),
            None => None,
        };
        let limit = query.limit.min(PAGE_MAX);
        let (created, id) = before.unwrap_or((i64::MAX, String::new()));
        let (sql, mut values) = list_sql(query);
        let more = i64::from(limit).saturating_add(1);
        values.extend([Value::from(created), Value::from(id), Value::from(more)]);
        let mut rows: Vec<(String, Stored)> = self
            .connection()
            .prepare_cached(&sql)?
            .query_map(params_from_iter(values), |row| Ok((row.get("id")?, stored(row)?)))?
            .collect::<Result<_, _>>()?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = rows.last().filter(|_| more).map(|(last, _)| last.clone());
        let items = self.sound(rows.iter().map(|(_, record)| record))?;
        Ok(Page { items, next_cursor })
    }

    /// Where in the list a cursor stands: the last operation of the page before.
    fn position(&self, cursor: &str) -> Result<(i64, String), Fault> {
        self.connection()
            .prepare_cached("SELECT created, id FROM operations WHERE id = ?1")?
            .query_row([cursor], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?
            .ok_or_else(|| Fault::Cursor(cursor.into()))
    }

    pub(super) fn open(
        &self,
        states: &[OperationState],
        idle_since: Timestamp,
        max: u32,
    ) -> Result<Vec<OperationRecord>, Fault> {
        let states: Vec<&str> = states.iter().map(|state| state.name()).collect();
        let states = serde_json::to_string(&states)?;
        let rows: Vec<Stored> = self
            .connection()
            .prepare_cached(
                "SELECT record, digest FROM operations INDEXED BY operations_idle
                  WHERE idle <= ?1 AND state IN (SELECT value FROM json_each(?2))
                  ORDER BY idle, id LIMIT ?3",
            )?
            .query_map(params![int(idle_since.millis()), states, max], stored)?
            .collect::<Result<_, _>>()?;
        self.sound(&rows)
    }

    pub(super) fn census(
        &self,
        states: &[OperationState],
    ) -> Result<BTreeMap<OperationState, Census>, Fault> {
        let mut counted = BTreeMap::new();
        for state in states {
            let (count, oldest): (i64, Option<i64>) = self
                .connection()
                .prepare_cached("SELECT COUNT(*), MIN(created) FROM operations WHERE state = ?1")?
                .query_row([state.name()], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let oldest = oldest.map(uint).transpose()?.map(Timestamp::from_millis);
            counted.insert(*state, Census { count: uint(count)?, oldest });
        }
        Ok(counted)
    }

    pub(super) fn holder(&self, lane: &str, nonce: u64) -> Result<Option<OperationId>, Fault> {
        let id: Option<String> = self
            .connection()
            .prepare_cached("SELECT operation FROM nonces WHERE lane = ?1 AND nonce = ?2")?
            .query_row(params![lane, int(nonce)], |row| row.get(0))
            .optional()?;
        let damaged = |_| Fault::Damaged("a nonce names no operation".into());
        id.map(|id| id.parse().map_err(damaged)).transpose()
    }

    pub(super) fn seen(
        &self,
        lane: &str,
        addresses: &[Address],
    ) -> Result<BTreeSet<Address>, Fault> {
        let mut statement = self
            .connection()
            .prepare_cached("SELECT 1 FROM seen WHERE lane = ?1 AND address = ?2")?;
        let mut seen = BTreeSet::new();
        for address in addresses {
            if statement.exists(params![lane, address.as_slice()])? {
                seen.insert(*address);
            }
        }
        Ok(seen)
    }

    pub(super) fn freezes(&self) -> Result<Vec<Freeze>, Fault> {
        let rows: Vec<String> = self
            .connection()
            .prepare_cached("SELECT freeze FROM freezes")?
            .query_map([], read)?
            .collect::<Result<_, _>>()?;
        let freezes: Result<BTreeSet<Freeze>, _> =
            rows.iter().map(|json| serde_json::from_str(json)).collect();
        Ok(freezes?.into_iter().collect())
    }

    pub(super) fn standing_freezes(&self) -> Result<Vec<StandingFreeze>, Fault> {
        let rows: Vec<(String, i64)> = self
            .connection()
            .prepare_cached("SELECT placed, at FROM freezes")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let standing = |(json, at): (String, i64)| -> Result<StandingFreeze, Fault> {
            let (order, at) = (serde_json::from_str(&json)?, Timestamp::from_millis(uint(at)?));
            Ok(StandingFreeze { order, at })
        };
        let mut freezes: Vec<_> = rows.into_iter().map(standing).collect::<Result<_, _>>()?;
        freezes.sort_by(|one, other| one.order.freeze.cmp(&other.order.freeze));
        Ok(freezes)
    }

    pub(super) fn freeze(&self, order: &FreezeOrder) -> Result<(), Fault> {
        self.put_freeze(order, event::FREEZE)
    }

    /// Puts a freeze in force, with the log's word for it.
    pub(super) fn put_freeze(&self, order: &FreezeOrder, event: &str) -> Result<(), Fault> {
        let standing = self.placed(&order.freeze)?;
        if standing.as_ref().is_some_and(|standing| order.adds_nothing_to(standing)) {
            return Ok(());
        }
        let (freeze, placed) =
            (serde_json::to_string(&order.freeze)?, serde_json::to_string(order)?);
        self.connection()
            .prepare_cached("INSERT OR REPLACE INTO freezes VALUES (?1, ?2, ?3)")?
            .execute(params![freeze, placed, int(self.now.millis())])?;
        self.forget_strikes(&order.freeze)?;
        self.log(event, &order.freeze.scope(), &placed)
    }

    /// Who has put this freeze in force, if it is.
    pub(super) fn placed(&self, freeze: &Freeze) -> Result<Option<FreezeOrder>, Fault> {
        let placed: Option<String> = self
            .connection()
            .prepare_cached("SELECT placed FROM freezes WHERE freeze = ?1")?
            .query_row([serde_json::to_string(freeze)?], read)
            .optional()?;
        Ok(placed.map(|json| serde_json::from_str(&json)).transpose()?)
    }

    pub(super) fn unfreeze(&self, freeze: &Freeze) -> Result<bool, Fault> {
        let json = serde_json::to_string(freeze)?;
        let changed = self
            .connection()
            .prepare_cached("DELETE FROM freezes WHERE freeze = ?1")?
            .execute([&json])?;
        if changed > 0 {
            self.forget_strikes(freeze)?;
            self.log(event::UNFREEZE, &freeze.scope(), &json)?;
        }
        Ok(changed > 0)
    }
}

/// The list's statement, with the values that come before the position and the limit.
fn list_sql(query: &OperationQuery) -> (String, Vec<Value>) {
    let mut filter = String::new();
    let mut values = Vec::new();
    if !query.states.is_empty() {
        let marks = vec!["?"; query.states.len()].join(", ");
        filter.extend(["state IN (", &marks, ") AND "]);
        values.extend(query.states.iter().map(|state| Value::from(state.name().to_owned())));
    }
    if let Some(agent) = &query.agent {
        filter.push_str("agent = ? AND ");
        values.push(Value::from(agent.to_string()));
    }
    let sql = format!(
        "SELECT id, record, digest FROM operations WHERE {filter}(created, id) < (?, ?)
         ORDER BY created DESC, id DESC LIMIT ?"
    );
    (sql, values)
}
