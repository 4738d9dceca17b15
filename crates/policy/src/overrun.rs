//! The store's refusal of a charge, turned into the same answer as `decide` would have given.

use countersign_core::{
    amount::MicroUsd,
    approval::Gate,
    charge::{Charge, Over, Overrun, Reading, Unit},
};

use crate::decide::ask;
use crate::decision::{Denial, Ground, Hold, Outcome, Permit, Register, Says, Verdict, Violation};

impl Permit {
    /// What follows when the store found that these charges do not fit: a denial if one of them denies,
    /// else the same request parked at the gates of those that ask. A refusal that names no charge of
    /// this permit denies.
    pub fn overrun(self, overruns: &[Overrun]) -> Outcome {
        let Self { intent, charges, shares: _, policy } = self;
        let gates = Vec::new();
        let triggers = Vec::new();
        Hold {
            intent,
            charges,
            policy,
            gates,
            asks: Vec::new(),
            code: String::new(),
            reason: String::new(),
            triggers,
        }
        .overrun(overruns)
    }
}

impl Hold {
    /// As [`Permit::overrun`]; the gates of the refused charges are added to those that it waits for.
    pub fn overrun(mut self, overruns: &[Overrun]) -> Outcome {
        let refused = refused(&self.charges, overruns);
        let denials: Vec<Refused<'_>> =
            refused.iter().filter(|r| r.gate().is_none()).copied().collect();
        if refused.is_empty() || !denials.is_empty() {
            return Outcome::Deny(denial(&denials));
        }
        let asked = asking(&refused);
        self.add(asked);
        Outcome::Park(self)
    }

    /// The same with the gates of these charges besides; a charge that denies changes nothing here.
    #[must_use = "it takes the place of the hold"]
    pub fn asked_besides(mut self, overruns: &[Overrun]) -> Self {
        let asked = asking(&refused(&self.charges, overruns));
        self.add(asked);
        self
    }

    fn add(&mut self, asked: Vec<(Gate, Violation, String)>) {
        for (gate, violation, reason) in asked {
            if self.code.is_empty() {
                self.code.clone_from(&violation.code);
                self.reason = reason;
            }
            self.asks.push(ask(&gate, &violation));
            if !self.gates.contains(&gate) {
                self.gates.push(gate);
            }
            self.triggers.push(violation);
        }
    }
}

fn asking(refused: &[Refused<'_>]) -> Vec<(Gate, Violation, String)> {
    let asked = |r: &Refused<'_>| Some((r.gate()?.clone(), r.violation(), r.reason()));
    refused.iter().filter_map(asked).collect()
}

fn denial(refused: &[Refused<'_>]) -> Denial {
    let first = refused.first();
    Denial {
        code: first.map_or_else(|| "store_unavailable".into(), |r| r.charge.source.code.clone()),
        reason: first.map_or_else(
            || "the store refused a charge that this request does not have".into(),
            Refused::reason,
        ),
        register: Register::Constructive,
        ground: if refused.is_empty() { Ground::Unavailable } else { Ground::Policy },
        violations: refused.iter().map(Refused::violation).collect(),
    }
}

/// The verdict of each charge against a reading of its counter, and the charges that do not fit: the
/// arithmetic that a store does inside `reserve`, for answers that reserve nothing. Charges without a
/// reading count as not fitting.
#[must_use]
pub fn counter_verdicts(charges: &[Charge], readings: &[Reading]) -> (Vec<Verdict>, Vec<Overrun>) {
    let mut verdicts = Vec::with_capacity(charges.len());
    let mut overruns = Vec::new();
    for (index, charge) in charges.iter().enumerate() {
        let full = Reading { settled: charge.limit, ..Reading::default() };
        let reading = readings.get(index).copied().unwrap_or(full);
        let before = amounts(charges.get(..index).unwrap_or_default(), charge);
        let asked = charge.amount().unwrap_or(u64::MAX);
        let refused = Refused { charge, reading, before, asked };
        if !refused.fits() && refused.stops() {
            overruns.push(Overrun { index, reading });
        }
        verdicts.push(refused.verdict());
    }
    (verdicts, overruns)
}

fn refused<'a>(charges: &'a [Charge], overruns: &[Overrun]) -> Vec<Refused<'a>> {
    let mut sorted: Vec<&Overrun> = overruns.iter().collect();
    sorted.sort_by_key(|overrun| overrun.index);
    let mut found: Vec<Refused<'a>> = Vec::new();
    for Overrun { index, reading } in sorted {
        let Some(charge) = charges.get(*index) else { continue };
        // the calls of a bundle meet a limit together
        if !found.iter().any(|known| is_same(known.charge, charge)) {
            let asked = amounts(charges, charge);
            found.push(Refused { charge, reading: *reading, before: 0, asked });
        }
    }
    found
}

fn is_same(charge: &Charge, other: &Charge) -> bool {
    charge.counter == other.counter && charge.window == other.window
}

/// What all of these take out of one charge's counter.
fn amounts(charges: &[Charge], of: &Charge) -> u64 {
    let same = charges.iter().filter(|charge| is_same(charge, of));
    same.map(|charge| charge.amount().unwrap_or(u64::MAX)).fold(0, u64::saturating_add)
}

#[derive(Debug, Clone, Copy)]
struct Refused<'a> {
    charge: &'a Charge,
    reading: Reading,
    /// What charges of the same reservation take out of the same counter before this one.
    before: u64,
    asked: u64,
}

impl Refused<'_> {
    fn gate(&self) -> Option<&Gate> {
        match &self.charge.over {
            Over::Deny => None,
            Over::Park { gate, .. } => Some(gate),
        }
    }

    const fn used(&self) -> u64 {
        self.reading.used().saturating_add(self.before)
    }

    fn fits(&self) -> bool {
        let after = self.charge.amount().and_then(|amount| self.used().checked_add(amount));
        after.is_some_and(|after| after <= self.charge.limit)
    }

    const fn stops(&self) -> bool {
        !matches!(self.charge.over, Over::Park { waived: true, .. })
    }

    fn shown(&self, value: u64) -> String {
        shown(self.charge.unit, value)
    }

    fn violation(&self) -> Violation {
        Violation {
            rule: self.charge.source.limit.clone(),
            code: self.charge.source.code.clone(),
            limit: Some(self.shown(self.charge.limit)),
            current: Some(self.shown(self.used())),
            requested: Some(self.shown(self.asked)),
            frees_at: self.reading.frees_at.map(|at| at.to_string()),
        }
    }

    /// `100 USD asked, 50 of 1000 USD left, frees 2026-01-01T00:00:00Z`
    fn reason(&self) -> String {
        let asked = self.shown(self.asked);
        let left = self.shown(self.charge.limit.saturating_sub(self.used()));
        let limit = self.shown(self.charge.limit);
        let unit = match self.charge.unit {
            Unit::Usd => " USD",
            Unit::Count => "",
        };
        let frees = self.reading.frees_at.map(|at| format!(", frees {at}")).unwrap_or_default();
        format!("{asked}{unit} asked, {left} of {limit}{unit} left{frees}")
    }

    fn verdict(&self) -> Verdict {
        let over = !self.fits();
        let says = match (&self.charge.over, over) {
            (_, false) => Says::Within,
            (Over::Deny, true) => Says::Deny,
            (Over::Park { .. }, true) => Says::Approve,
        };
        let decides = over && self.stops();
        Verdict {
            policy: self.charge.source.policy.clone(),
            rule: self.charge.source.limit.clone(),
            says,
            code: if decides { self.charge.source.code.clone() } else { String::new() },
            detail: self.reason(),
        }
    }
}

/// An amount of a unit as text: decimal USD, or a count.
pub(crate) fn shown(unit: Unit, value: u64) -> String {
    match unit {
        Unit::Usd => MicroUsd::from_micros(value).unwrap_or(MicroUsd::MAX).to_string(),
        Unit::Count => value.to_string(),
    }
}
