//! What a version is measured by before it is released, and how far it may fall behind the one in force.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{BackTest, DiffClass};

/// What a version is measured by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evaluator {
    /// Of the decisions, those that end as they were recorded.
    Compliance,
    /// Of the decisions, those that are allowed, or were done in the end.
    Utility,
    /// Of the decisions, those that wait for nobody.
    Latency,
    /// Of the decisions at high risk, those that are denied or parked.
    Safety,
    /// Of what the decisions are worth, what utility counts.
    Economics,
}

impl Evaluator {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Compliance, Self::Utility, Self::Latency, Self::Safety, Self::Economics];
}

/// Its word.
impl fmt::Display for Evaluator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Compliance => "compliance",
            Self::Utility => "utility",
            Self::Latency => "latency",
            Self::Safety => "safety",
            Self::Economics => "economics",
        })
    }
}

/// One value for each evaluator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluators<T> {
    /// [`Evaluator::Compliance`]
    pub compliance: T,
    /// [`Evaluator::Utility`]
    pub utility: T,
    /// [`Evaluator::Latency`]
    pub latency: T,
    /// [`Evaluator::Safety`]
    pub safety: T,
    /// [`Evaluator::Economics`]
    pub economics: T,
}

impl<T: Copy> Evaluators<T> {
    /// The value of one.
    #[must_use]
    pub const fn of(&self, evaluator: Evaluator) -> T {
        match evaluator {
            Evaluator::Compliance => self.compliance,
            Evaluator::Utility => self.utility,
            Evaluator::Latency => self.latency,
            Evaluator::Safety => self.safety,
            Evaluator::Economics => self.economics,
        }
    }
}

/// How much of the same decisions is good under either version: counts, or micro-USD.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    /// All of it.
    pub of: u64,
    /// Under the version in force.
    pub in_force: u64,
    /// Under the one that is measured.
    pub version: u64,
}

impl Measure {
    /// One more decision, or what it is worth.
    pub const fn add(&mut self, weight: u64, (in_force, version): (bool, bool)) {
        self.of = self.of.saturating_add(weight);
        if in_force {
            self.in_force = self.in_force.saturating_add(weight);
        }
        if version {
            self.version = self.version.saturating_add(weight);
        }
    }

    /// How far it falls, if by more than so many hundredths of a percent. Nothing is rounded but what is shown.
    fn fall(self, evaluator: Evaluator, most_bp: u32) -> Option<Fall> {
        let Self { of, in_force, version } = self;
        let lost = u128::from(in_force.saturating_sub(version)).saturating_mul(10_000);
        let bp = |part| share(part, of).unwrap_or_default();
        (lost > u128::from(most_bp).saturating_mul(of.into())).then(|| Fall {
            evaluator,
            in_force_bp: bp(in_force),
            version_bp: bp(version),
            most_bp,
        })
    }
}

/// In hundredths of a percent, rounded down; `None` of nothing.
#[must_use]
pub fn share(part: u64, of: u64) -> Option<u64> {
    let share = u128::from(part).saturating_mul(10_000).checked_div(of.into())?;
    Some(u64::try_from(share).unwrap_or(u64::MAX))
}

/// How far each may fall behind, in hundredths of a percent of all; without a number, as far as it likes.
pub type MayFall = Evaluators<Option<u32>>;

impl MayFall {
    /// Whether nothing is bounded.
    #[must_use]
    pub fn is_unbounded(&self) -> bool {
        *self == Self::default()
    }

    /// Which evaluators fall too far. Without decisions none does. What could not be decided again may be allowed by
    /// what loosens, at whatever risk: it counts against safety.
    #[must_use]
    pub fn falls(&self, class: DiffClass, back_test: Option<&BackTest>) -> Vec<Fall> {
        let Some(BackTest { skipped, evaluators, .. }) = back_test else { return Vec::new() };
        let mut measured = *evaluators;
        if class == DiffClass::Loosening {
            measured.safety.add(*skipped, (true, false));
        }
        let fall = |evaluator| measured.of(evaluator).fall(evaluator, self.of(evaluator)?);
        Evaluator::ALL.into_iter().filter_map(fall).collect()
    }
}

/// An evaluator that falls further than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Fall {
    /// Which.
    pub evaluator: Evaluator,
    /// What it is under the version in force, in hundredths of a percent.
    pub in_force_bp: u64,
    /// What it would be.
    pub version_bp: u64,
    /// How far it may fall.
    pub most_bp: u32,
}

impl fmt::Display for Fall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { evaluator, in_force_bp, version_bp, most_bp } = self;
        let (was, would_be) = (Percent(*in_force_bp), Percent(*version_bp));
        let most = Percent((*most_bp).into());
        write!(f, "{evaluator} would fall from {was} to {would_be}, and by {most} at most it may")
    }
}

/// `12.34%`
struct Percent(u64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}%", self.0.div_euclid(100), self.0.rem_euclid(100))
    }
}
