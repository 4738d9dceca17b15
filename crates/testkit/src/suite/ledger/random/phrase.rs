//! What may be called, in which order: random phrases of steps.

use countersign_core::{fact::Freeze, operation::Delivery, time::Millis};
use proptest::{
    collection::vec,
    prelude::{Just, Strategy, any, prop_oneof},
};

use crate::fixture::{self, DAY, HOUR, agent};

/// Operations are numbered below this, so that calls meet.
pub(super) const OPERATIONS: u64 = 8;

#[derive(Debug, Clone)]
pub(super) enum Step {
    Reserve { n: u64, ask: Ask, charges: Vec<Spend>, parks: bool, lasts: Millis },
    Deny { n: u64, ask: Ask },
    Approve { n: u64, operator: u8, digest: u64, votes_seen: usize, completes: bool },
    Redeem { n: u64, charges: Vec<Spend>, parks: bool, lasts: Millis, other_gateway: bool },
    Reject { n: u64, parked_only: bool, void: bool },
    Expire { max: u32 },
    Commit { n: u64, floor: u64, in_flight_max: u32, shrinks_only: bool },
    Signed { n: u64, wrong: bool },
    Sent { n: u64, accepted: bool },
    Mined { n: u64, seen: bool },
    Settle { n: u64, succeeded: bool, percent: u64 },
    Unsettle { n: u64 },
    Release { n: u64, final_nonce: u64 },
    Deliver { n: u64, from: Delivery, to: Delivery },
    Freeze { freeze: Freeze, on: bool },
    Seal { on: bool },
    Present { gateway: bool, ttl: Millis },
    Advance { by: Millis },
}

/// How a request asks: payload, key, batch, window, fixed nonce, gateway.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) payload: u64,
    pub(super) key: Option<u64>,
    pub(super) batch: Option<u64>,
    pub(super) window: Millis,
    pub(super) nonce: Option<u64>,
    pub(super) other_gateway: bool,
}

/// A charge, of which the window is made when it is needed.
#[derive(Debug, Clone)]
pub(super) struct Spend {
    pub(super) counter: u8,
    pub(super) value: u64,
    pub(super) fee: u64,
    pub(super) asks: Option<bool>,
    pub(super) stale: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let n = || 0..OPERATIONS;
    let charges = || vec(spend(), 0..4);
    let before = prop_oneof![
        4 => (n(), ask(), charges(), any::<bool>(), lasting()).prop_map(
            |(n, ask, charges, parks, lasts)| Step::Reserve { n, ask, charges, parks, lasts }
        ),
        1 => (n(), ask()).prop_map(|(n, ask)| Step::Deny { n, ask }),
        2 => (n(), 0_u8..3, n(), 0_usize..2, any::<bool>()).prop_map(
            |(n, operator, other, votes_seen, completes)| {
                // Mostly the digest that the operation was parked under.
                let digest = if other == 0 { other } else { n };
                Step::Approve { n, operator, digest, votes_seen, completes }
            }
        ),
        2 => (n(), charges(), any::<bool>(), lasting(), any::<bool>()).prop_map(
            |(n, charges, parks, lasts, other_gateway)| {
                Step::Redeem { n, charges, parks, lasts, other_gateway }
            }
        ),
        1 => (n(), any::<bool>(), any::<bool>())
            .prop_map(|(n, parked_only, void)| Step::Reject { n, parked_only, void }),
        1 => (0_u32..4).prop_map(|max| Step::Expire { max }),
    ];
    let after = prop_oneof![
        4 => (n(), 0_u64..6, 0_u32..6, any::<bool>()).prop_map(
            |(n, floor, in_flight_max, shrinks_only)| {
                Step::Commit { n, floor, in_flight_max, shrinks_only }
            }
        ),
        4 => (n(), 0_u8..8).prop_map(|(n, wrong)| Step::Signed { n, wrong: wrong == 0 }),
        2 => (n(), any::<bool>()).prop_map(|(n, accepted)| Step::Sent { n, accepted }),
        1 => (n(), any::<bool>()).prop_map(|(n, seen)| Step::Mined { n, seen }),
        4 => (n(), any::<bool>(), 0_u64..150)
            .prop_map(|(n, succeeded, percent)| Step::Settle { n, succeeded, percent }),
        1 => n().prop_map(|n| Step::Unsettle { n }),
        1 => (n(), 0_u64..4)
            .prop_map(|(n, final_nonce)| Step::Release { n, final_nonce }),
        2 => (n(), delivery(), delivery())
            .prop_map(|(n, from, to)| Step::Deliver { n, from, to }),
    ];
    prop_oneof![5 => before, 6 => after, 2 => around()]
}

/// Single calls, and beginnings of ordinary lives.
pub(super) fn phrase() -> impl Strategy<Value = Vec<Step>> {
    let life = (0..OPERATIONS, ask(), vec(spend(), 1..4), 0_u64..150, 1_usize..=5).prop_map(
        |(n, ask, charges, percent, length)| {
            let ask = Ask { nonce: None, ..ask };
            let mut life = vec![
                Step::Reserve { n, ask, charges, parks: false, lasts: HOUR },
                Step::Commit { n, floor: 1, in_flight_max: 9, shrinks_only: false },
                Step::Signed { n, wrong: false },
                Step::Sent { n, accepted: true },
                Step::Settle { n, succeeded: true, percent },
            ];
            life.truncate(length);
            life
        },
    );
    prop_oneof![4 => step().prop_map(|step| vec![step]), 2 => life, 1 => given_back(), 1 => asked()]
}

/// One operation is given back, and another asks the same.
fn given_back() -> impl Strategy<Value = Vec<Step>> {
    let two = (0..OPERATIONS, 0..OPERATIONS, any::<bool>());
    (two, ask(), vec(spend(), 0..3)).prop_map(|((n, other, void), ask, charges)| {
        let reserve = |n| {
            let (ask, charges) = (ask.clone(), charges.clone());
            Step::Reserve { n, ask, charges, parks: false, lasts: HOUR }
        };
        vec![reserve(n), Step::Reject { n, parked_only: false, void }, reserve(other)]
    })
}

/// People are asked, say yes, and the answer is carried out.
fn asked() -> impl Strategy<Value = Vec<Step>> {
    let both = (lasting(), lasting(), any::<bool>());
    (0..OPERATIONS, ask(), vec(spend(), 0..3), both, 1_usize..=4).prop_map(
        |(n, ask, charges, (parked, lasts, other_gateway), length)| {
            let ask = Ask { nonce: None, ..ask };
            let again = charges.clone();
            let mut life = vec![
                Step::Reserve { n, ask, charges, parks: true, lasts: parked },
                Step::Approve { n, operator: 0, digest: n, votes_seen: 0, completes: true },
                Step::Redeem { n, charges: again, parks: false, lasts, other_gateway },
                Step::Commit { n, floor: 1, in_flight_max: 9, shrinks_only: false },
            ];
            life.truncate(length);
            life
        },
    )
}

/// How long a question or a permission stands.
fn lasting() -> impl Strategy<Value = Millis> {
    prop_oneof![3 => Just(HOUR), 1 => duration()]
}

fn around() -> impl Strategy<Value = Step> {
    let freeze = prop_oneof![
        Just(Freeze::Global),
        Just(Freeze::All),
        Just(Freeze::Agent(agent("trader"))),
        Just(Freeze::Chain(fixture::CHAIN)),
    ];
    prop_oneof![
        2 => (freeze, 0_u8..6).prop_map(|(freeze, on)| Step::Freeze { freeze, on: on == 0 }),
        1 => (0_u8..8).prop_map(|on| Step::Seal { on: on == 0 }),
        1 => (any::<bool>(), duration()).prop_map(|(gateway, ttl)| Step::Present { gateway, ttl }),
        6 => duration().prop_map(|by| Step::Advance { by }),
    ]
}

fn ask() -> impl Strategy<Value = Ask> {
    let one_in_four = |range: std::ops::Range<u64>| proptest::option::weighted(0.25, range);
    let window = prop_oneof![Just(Millis::ZERO), Just(Millis(15_000)), Just(HOUR)];
    let parts = (0_u64..6, one_in_four(0..3), one_in_four(0..2), window, one_in_four(0..5));
    (parts, any::<bool>()).prop_map(|((payload, key, batch, window, nonce), other_gateway)| Ask {
        payload,
        key,
        batch,
        window,
        nonce,
        other_gateway,
    })
}

fn spend() -> impl Strategy<Value = Spend> {
    (0_u8..4, 0_u64..40, 0_u64..10, proptest::option::of(any::<bool>()), 0_u8..10).prop_map(
        |(counter, value, fee, asks, stale)| Spend { counter, value, fee, asks, stale: stale == 0 },
    )
}

fn delivery() -> impl Strategy<Value = Delivery> {
    prop_oneof![Just(Delivery::Waiting), Just(Delivery::Owed), Just(Delivery::Collected)]
}

fn duration() -> impl Strategy<Value = Millis> {
    prop_oneof![
        Just(Millis(1)),
        (0_u64..200_000).prop_map(Millis),
        Just(HOUR),
        Just(Millis(DAY.0 - 60_000)),
        Just(DAY),
    ]
}

impl Step {
    /// The operation that the step is about.
    pub(super) fn subject(&self) -> Option<u64> {
        match self {
            Self::Reserve { n, .. }
            | Self::Deny { n, .. }
            | Self::Approve { n, .. }
            | Self::Redeem { n, .. }
            | Self::Reject { n, .. }
            | Self::Commit { n, .. }
            | Self::Signed { n, .. }
            | Self::Sent { n, .. }
            | Self::Mined { n, .. }
            | Self::Settle { n, .. }
            | Self::Unsettle { n }
            | Self::Release { n, .. }
            | Self::Deliver { n, .. } => Some(*n),
            Self::Expire { .. }
            | Self::Freeze { .. }
            | Self::Seal { .. }
            | Self::Present { .. }
            | Self::Advance { .. } => None,
        }
    }
}
