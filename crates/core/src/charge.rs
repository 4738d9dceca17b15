//! Charges: what an operation takes out of which counter, with the limit that the store re-checks.

use alloy_primitives::B256;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    approval::Gate,
    time::{Millis, Period, Timestamp},
};

/// Names a counter: SHA-256 over (policy name, limit id, per, by with its values, when).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CounterId(pub B256);

impl CounterId {
    /// The id from the parts that make a counter's identity; the parts cannot run into each other.
    #[must_use]
    pub fn from_parts(parts: &[&str]) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update(part.len().to_string());
            hasher.update(":");
            hasher.update(part);
        }
        Self(B256::from(<[u8; 32]>::from(hasher.finalize())))
    }

    /// 64 lower-case hex digits: the form that store keys use.
    #[must_use]
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }
}

/// How long a charge counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// The last so many milliseconds, in buckets of [`Window::bucket`].
    Rolling(Millis),
    /// A civil day or month: its bounds are fixed when the charge is made and kept with it.
    Calendar(Period),
    /// The grant's whole lifetime.
    Grant,
}

impl Window {
    /// The width of a rolling window's buckets: W/1440, rounded up to a whole millisecond, so that
    /// there are never more than 1 441 of them. Zero for the other windows, which need no buckets.
    #[must_use]
    pub fn bucket(&self) -> Millis {
        match self {
            Self::Rolling(Millis(ms)) => Millis(ms.div_ceil(1440).max(1)),
            Self::Calendar(_) | Self::Grant => Millis::ZERO,
        }
    }

    /// The text under which `settled` sums of this window are kept apart from those of another
    /// period: the start and end of a calendar window in milliseconds, else empty.
    #[must_use]
    pub fn period_key(&self) -> String {
        match self {
            Self::Calendar(p) => format!("{}-{}", p.start.millis(), p.end.millis()),
            Self::Rolling(_) | Self::Grant => String::new(),
        }
    }
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Micro-USD.
    Usd,
    /// Occurrences.
    Count,
}

/// What happens where a charge does not fit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Over {
    /// The reservation is refused.
    Deny,
    /// The operation waits for this gate, unless `waived`: people have already opened it.
    Park {
        /// The gate that is asked.
        gate: Gate,
        /// The gate is open for this operation, so an overrun is recorded and let through.
        waived: bool,
    },
}

/// One line of a reservation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Charge {
    /// The counter.
    pub counter: CounterId,
    /// How long it counts.
    pub window: Window,
    /// What is counted.
    pub unit: Unit,
    /// The part that the payload takes, in the unit; kept in full at settlement unless it reverts.
    pub value: u64,
    /// The part that the fee takes at most, in the unit; at settlement its actual cost is kept.
    pub fee: u64,
    /// The most that the counter may show after the charge, in the unit.
    pub limit: u64,
    /// What happens where it does not fit.
    pub over: Over,
    /// For people and for answers: which limit of which policy this is.
    pub source: LimitRef,
}

impl Charge {
    /// Value and fee together; `None` above 2^53 − 1.
    #[must_use]
    pub fn amount(&self) -> Option<u64> {
        self.value.checked_add(self.fee).filter(|sum| *sum <= crate::amount::AMOUNT_MAX)
    }
}

/// Where a charge comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LimitRef {
    /// The policy's name.
    pub policy: String,
    /// The limit's id inside the policy.
    pub limit: String,
    /// The code of a refusal.
    pub code: String,
    /// The window as the policy writes it: `24h`, `day`, `month`, `grant`.
    pub per: String,
}

/// What a counter shows at one instant, without the asking operation's own charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reading {
    /// Reserved by operations that are not yet committed.
    pub reserved: u64,
    /// Bound to a nonce: a signature may exist.
    pub committed: u64,
    /// Spent, as far as the window still counts it.
    pub settled: u64,
    /// When enough of `settled` leaves the window for the asked amount to fit, if nothing else
    /// happens; `None` where it never does.
    pub frees_at: Option<Timestamp>,
}

/// A charge that the store found not to fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overrun {
    /// Its place in the list of charges.
    pub index: usize,
    /// What the counter showed, without the operation's own charges.
    pub reading: Reading,
}

impl Reading {
    /// Reserved, committed and settled together.
    #[must_use]
    pub const fn used(&self) -> u64 {
        self.reserved.saturating_add(self.committed).saturating_add(self.settled)
    }
}
