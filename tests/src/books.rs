//! The books against the chain: every operation as the operators' door shows it, every transaction that our
//! accounts ever sent, and each way in which the two can disagree.

pub mod audit;
mod chain;
mod operation;
mod resp;

pub use self::{
    chain::Mined,
    operation::{Attempt, Charge, Operation, Payload},
    resp::{Resp, Said},
};

use std::collections::{BTreeMap, BTreeSet};

use crate::{Operator, anvil::Anvil};

/// Wei in one micro-USD.
const MICRO: u128 = crate::money::USD / 1_000_000;

/// Operations and chain, read one after the other.
#[derive(Debug)]
pub struct Books {
    /// Every operation.
    pub operations: Vec<Operation>,
    /// Every transaction of ours that was mined.
    pub mined: Vec<Mined>,
}

impl Books {
    /// Reads both; nothing while the gateway cannot show the operations. The chain first: what is mined then was signed
    /// before, so its operation is on the list.
    pub async fn read(operator: &Operator, anvil: &Anvil) -> Option<Self> {
        let mined = chain::mined(anvil).await;
        let operations = operator.all("/operations?limit=1000").await?;
        Some(Self { operations: operations.iter().map(Operation::read).collect(), mined })
    }

    /// Whether nothing is on its way: what is not over waits for people.
    #[must_use]
    pub fn are_quiet(&self) -> bool {
        self.operations.iter().all(|operation| operation.is_over() || operation.is_parked())
    }

    /// How many transactions on chain moved exactly that much.
    #[must_use]
    pub fn payments_of(&self, value: u128) -> usize {
        self.mined.iter().filter(|mined| mined.payload.value == value).count()
    }

    /// The operation of that id.
    #[must_use]
    pub fn operation(&self, id: &str) -> Option<&Operation> {
        self.operations.iter().find(|operation| operation.id == id)
    }

    /// Everything that must never be so, at any time.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        faults.extend(self.operations.iter().filter_map(two_payloads));
        faults.extend(self.shared_nonces());
        faults.extend(self.mined.iter().filter_map(|mined| self.stranger(mined)));
        faults.extend(self.paid_twice());
        faults.extend(self.gaps());
        faults.extend(self.overruns());
        faults
    }

    /// Everything that must not be so when all is quiet: chain and books differ.
    #[must_use]
    pub fn differences(&self) -> Vec<String> {
        let mut faults = self.faults();
        let open = self.operations.iter().filter(|o| !o.is_over() && !o.is_parked());
        faults.extend(open.map(|open| format!("{} is still {}", open.id, open.state)));
        faults.extend(self.operations.iter().filter_map(|one| self.unlike_chain(one)));
        faults
    }

    /// What was kept of one counter, micro-USD or occurrences, by the policy's and the limit's name.
    #[must_use]
    pub fn kept(&self) -> BTreeMap<String, u64> {
        let mut sums = BTreeMap::new();
        for operation in &self.operations {
            for (charge, kept) in operation.charges.iter().zip(&operation.kept) {
                let sum: &mut u64 = sums.entry(charge.counter.clone()).or_default();
                *sum = sum.saturating_add(*kept);
            }
        }
        sums
    }

    /// A nonce belongs to one operation.
    fn shared_nonces(&self) -> Vec<String> {
        let mut holders: BTreeMap<(&str, u64), &str> = BTreeMap::new();
        let mut faults = Vec::new();
        for operation in &self.operations {
            let Some(nonce) = operation.nonce else { continue };
            if let Some(other) = holders.insert((&operation.address, nonce), &operation.id) {
                faults.push(format!("nonce {nonce} is held by {other} and {}", operation.id));
            }
        }
        faults
    }

    /// A transaction on chain that no operation knows, or knows otherwise.
    fn stranger(&self, mined: &Mined) -> Option<String> {
        let of = |attempt: &&Attempt| attempt.hash.as_deref() == Some(&mined.hash);
        let mut attempts = self.operations.iter().flat_map(|operation| &operation.attempts);
        let Some(attempt) = attempts.find(of) else {
            return Some(format!("no operation knows {} of nonce {}", mined.hash, mined.nonce));
        };
        let alike = attempt.payload == mined.payload && attempt.nonce == mined.nonce;
        (!alike).then(|| format!("{} is not what was signed: {mined:?}, {attempt:?}", mined.hash))
    }

    fn paid_twice(&self) -> Vec<String> {
        let on_chain: BTreeSet<&str> = self.mined.iter().map(|mined| mined.hash.as_str()).collect();
        let twice = self.operations.iter().filter(|operation| {
            operation.hashes().filter(|hash| on_chain.contains(hash)).count() > 1
        });
        twice.map(|operation| format!("{} was mined twice", operation.id)).collect()
    }

    /// Nonces on chain follow each other, account by account; a chain cannot do otherwise, a wrong reading can.
    fn gaps(&self) -> Vec<String> {
        let mut next: BTreeMap<&str, u64> = BTreeMap::new();
        let mut faults = Vec::new();
        for mined in &self.mined {
            let wanted = next.entry(&mined.from).or_default();
            if *wanted != mined.nonce {
                faults.push(format!("{}: nonce {} after {wanted}", mined.from, mined.nonce));
            }
            *wanted = mined.nonce.saturating_add(1);
        }
        faults
    }

    /// What was kept of a counter is within its limit.
    fn overruns(&self) -> Vec<String> {
        let charges = self.operations.iter().flat_map(|operation| &operation.charges);
        let limits: BTreeMap<&str, u64> =
            charges.map(|charge| (charge.counter.as_str(), charge.limit)).collect();
        let kept = self.kept();
        let over = kept.iter().filter(|(name, kept)| limits.get(name.as_str()) < Some(*kept));
        over.map(|(name, kept)| format!("{name}: {kept} of {:?}", limits.get(name.as_str())))
            .collect()
    }

    /// Whether one operation that is over says what the chain says.
    fn unlike_chain(&self, operation: &Operation) -> Option<String> {
        let mined =
            self.mined.iter().find(|mined| operation.hashes().any(|hash| hash == mined.hash));
        let wanted = match mined {
            None => ["DENIED", "REJECTED", "EXPIRED", "PARKED"].as_slice(),
            Some(mined) if mined.succeeded => &["EXECUTED"],
            Some(_) => &["REVERTED"],
        };
        if !wanted.contains(&operation.state.as_str()) {
            return Some(format!(
                "{} is {}, the chain says {mined:?}",
                operation.id, operation.state
            ));
        }
        mined.and_then(|mined| wrong_charge(operation, mined))
    }
}

/// Every attempt of an operation moves what was judged, at one nonce.
fn two_payloads(operation: &Operation) -> Option<String> {
    let fits = |attempt: &Attempt| {
        let payload = !attempt.pays || attempt.payload == operation.payload;
        payload && Some(attempt.nonce) == operation.nonce
    };
    let odd = operation.attempts.iter().find(|attempt| !fits(attempt))?;
    Some(format!("{} has an attempt of another payload: {odd:?}", operation.id))
}

/// What was kept is what the chain took: value and fee, each rounded up to a micro-USD.
fn wrong_charge(operation: &Operation, mined: &Mined) -> Option<String> {
    let value = if mined.succeeded { mined.payload.value.div_ceil(MICRO) } else { 0 };
    let least = value.saturating_add(mined.fee / MICRO);
    let most = value.saturating_add(mined.fee.div_ceil(MICRO)).saturating_add(1);
    let wrong = operation.charges.iter().zip(&operation.kept).find(|(charge, kept)| {
        let kept = u128::from(**kept);
        charge.is_usd && !(least..=most).contains(&kept)
    });
    let complete = operation.charges.len() == operation.kept.len();
    match wrong {
        Some((charge, kept)) => Some(format!(
            "{} kept {kept} of {}, not {least} to {most}",
            operation.id, charge.counter
        )),
        None => (!complete).then(|| format!("{} is settled without amounts", operation.id)),
    }
}
