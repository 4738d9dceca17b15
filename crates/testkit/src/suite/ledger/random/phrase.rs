//! What may be called, in which order: random phrases of steps.

use countersign_core::{fact::Freeze, operation::Delivery, pact::PactVerb, time::Millis};
use proptest::{
    collection::vec,
    prelude::{Just, Strategy, any, prop_oneof},
};

use crate::fixture::{self, DAY, HOUR, agent};

/// Operations are numbered below this, so that calls meet.
pub(super) const OPERATIONS: u64 = 10;

/// From this number on operations are messages.
pub(super) const MESSAGES: u64 = 8;

/// The parts of bundles are numbered from `OPERATIONS` on, below this.
pub(super) const PARTS: u64 = 14;

/// Versions of grants that commits name and people speak to.
pub(super) const GRANTS: u8 = 12;

#[derive(Debug, Clone)]
pub(super) enum Step {
    Reserve { n: u64, ask: Ask, charges: Vec<Spend>, parks: bool, lasts: Millis },
    Deny { n: u64, ask: Ask },
    Approve { n: u64, operator: u8, digest: u64, votes_seen: usize, completes: bool },
    Redeem { n: u64, charges: Vec<Spend>, parks: bool, lasts: Millis, other_gateway: bool },
    Split { n: u64, first_part: u64, shares: Vec<usize>, stale: bool, wrong: bool },
    Reject { n: u64, parked_only: bool, void: bool },
    Expire { max: u32 },
    Commit { n: u64, floor: u64, in_flight_max: u32, shrinks_only: bool, stale: bool },
    Bump { n: u64, which: Which, cancels: bool, fees: Vec<u64>, wrong: bool },
    Signed { n: u64, which: Which, wrong: bool, accepted: Option<bool> },
    Sent { n: u64, which: Which, accepted: bool },
    SignedMessage { n: u64, wrong: bool },
    EndMessage { n: u64, spent: bool },
    Mined { n: u64, seen: bool, which: Which, block: u64 },
    Settle { n: u64, which: Which, block: u64, succeeded: bool, percent: u64 },
    Unsettle { n: u64 },
    Release { n: u64, final_nonce: u64 },
    Deliver { n: u64, from: Delivery, to: Delivery },
    Adopt { n: u64, charges: Vec<Spend>, percent: u64, elsewhere: bool },
    NoteAdopted { limits: Vec<u8> },
    Freeze { freeze: Freeze, on: bool, said: u8 },
    Say { version: u8, verb: PactVerb, by: u8 },
    Seal { on: bool },
    Present { gateway: bool, ttl: Millis },
    Advance { by: Millis },
}

/// Which attempt of an operation, seen from its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// The one that comes next.
    Next,
    /// The newest.
    Newest,
    /// The first.
    First,
    /// One that nobody made.
    Far,
}

/// Settlements lie in blocks that are found, and in some that are forgotten or forget those.
pub(super) const BLOCKS: [u64; 6] = [7, 8, 263, 264, 265, 600];

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
        2 => split(n()),
    ];
    // parts of bundles live on as any other operation does
    let n = || prop_oneof![9 => n(), 2 => OPERATIONS..PARTS];
    let after = prop_oneof![
        4 => (n(), 0_u64..6, 0_u32..6, any::<bool>(), rarely()).prop_map(
            |(n, floor, in_flight_max, shrinks_only, stale)| {
                Step::Commit { n, floor, in_flight_max, shrinks_only, stale }
            }
        ),
        4 => bump(n()),
        4 => (n(), which(), rarely(), proptest::option::of(any::<bool>())).prop_map(
            |(n, which, wrong, accepted)| Step::Signed { n, which, wrong, accepted }),
        2 => (n(), which(), any::<bool>())
            .prop_map(|(n, which, accepted)| Step::Sent { n, which, accepted }),
        1 => (n(), rarely()).prop_map(|(n, wrong)| Step::SignedMessage { n, wrong }),
        1 => (n(), any::<bool>()).prop_map(|(n, spent)| Step::EndMessage { n, spent }),
        2 => (n(), any::<bool>(), which(), block())
            .prop_map(|(n, seen, which, block)| Step::Mined { n, seen, which, block }),
        4 => (n(), which(), block(), any::<bool>(), 0_u64..150).prop_map(
            |(n, which, block, succeeded, percent)| {
                Step::Settle { n, which, block, succeeded, percent }
            }
        ),
        2 => n().prop_map(|n| Step::Unsettle { n }),
        1 => (n(), 0_u64..4)
            .prop_map(|(n, final_nonce)| Step::Release { n, final_nonce }),
        2 => (n(), delivery(), delivery())
            .prop_map(|(n, from, to)| Step::Deliver { n, from, to }),
        3 => (n(), vec(spend(), 0..4), 0_u64..150, rarely()).prop_map(
            |(n, charges, percent, elsewhere)| Step::Adopt { n, charges, percent, elsewhere }
        ),
    ];
    prop_oneof![5 => before, 6 => after, 2 => around()]
}

fn split(n: impl Strategy<Value = u64>) -> impl Strategy<Value = Step> {
    (n, OPERATIONS..PARTS, vec(0_usize..3, 0..3), rarely(), rarely()).prop_map(
        |(n, first_part, shares, stale, wrong)| Step::Split {
            n: n % MESSAGES,
            first_part,
            shares,
            stale,
            wrong,
        },
    )
}

fn bump(n: impl Strategy<Value = u64>) -> impl Strategy<Value = Step> {
    let which = prop_oneof![6 => Just(Which::Next), 1 => which()];
    (n, which, rarely(), vec(0_u64..40, 4), rarely())
        .prop_map(|(n, which, cancels, fees, wrong)| Step::Bump { n, which, cancels, fees, wrong })
}

fn which() -> impl Strategy<Value = Which> {
    prop_oneof![
        6 => Just(Which::Newest),
        2 => Just(Which::First),
        1 => Just(Which::Next),
        1 => Just(Which::Far),
    ]
}

fn block() -> impl Strategy<Value = u64> {
    prop_oneof![4 => Just(BLOCKS[0]), 1 => proptest::sample::select(BLOCKS.to_vec())]
}

/// Once in eight.
fn rarely() -> impl Strategy<Value = bool> {
    (0_u8..8).prop_map(|once| once == 0)
}

/// Single calls, and beginnings of ordinary lives.
pub(super) fn phrase() -> impl Strategy<Value = Vec<Step>> {
    prop_oneof![
        4 => step().prop_map(|step| vec![step]),
        2 => life(),
        2 => stuck(),
        1 => given_back(),
        1 => asked(),
        1 => kept(),
        1 => stopped(),
        1 => keyed(),
        1 => attested(),
        2 => divided(),
        1 => spoken(),
    ]
}

/// From the request to the end.
fn life() -> impl Strategy<Value = Vec<Step>> {
    let end = (0_u64..150, block());
    (0..OPERATIONS, ask(), vec(spend(), 1..4), end, 1_usize..=6).prop_map(
        |(n, ask, charges, (percent, block), length)| {
            let mut life = on_its_way(n, &ask, charges);
            let which = Which::Newest;
            life.push(Step::Settle { n, which, block, succeeded: true, percent });
            life.push(Step::Unsettle { n });
            life.truncate(length);
            life
        },
    )
}

/// A message from the request to its end.
fn attested() -> impl Strategy<Value = Vec<Step>> {
    let ends = (any::<bool>(), rarely(), 1_usize..=4);
    (MESSAGES..OPERATIONS, ask(), vec(spend(), 1..4), ends).prop_map(
        |(n, ask, charges, (spent, again, length))| {
            let mut life = vec![
                Step::Reserve { n, ask, charges, parks: false, lasts: HOUR },
                Step::Commit { n, floor: 9, in_flight_max: 0, shrinks_only: false, stale: false },
                Step::SignedMessage { n, wrong: false },
                Step::EndMessage { n, spent },
            ];
            life.truncate(length);
            if again {
                life.push(Step::Commit {
                    n,
                    floor: 0,
                    in_flight_max: 1,
                    shrinks_only: true,
                    stale: false,
                });
                life.push(Step::SignedMessage { n, wrong: false });
                life.push(Step::EndMessage { n, spent: !spent });
            }
            life
        },
    )
}

/// A bundle is reserved and split; its parts go their own ways.
fn divided() -> impl Strategy<Value = Vec<Step>> {
    let parts = (OPERATIONS..PARTS - 2, 0_usize..3, any::<bool>(), any::<bool>());
    (0..MESSAGES, ask(), vec(spend(), 2..4), parts, 0_u64..150).prop_map(
        |(n, ask, charges, (first_part, share, again, void), percent)| {
            let (ask, which) = (Ask { nonce: None, ..ask }, Which::Newest);
            let shares = vec![share, 1];
            let split = Step::Split { n, first_part, shares, stale: false, wrong: false };
            let commit = |n| Step::Commit {
                n,
                floor: 1,
                in_flight_max: 9,
                shrinks_only: false,
                stale: false,
            };
            let mut life = vec![
                Step::Reserve { n, ask, charges, parks: false, lasts: HOUR },
                split.clone(),
                commit(n),
                commit(first_part),
                Step::Reject { n: first_part + 1, parked_only: false, void },
                Step::Signed { n: first_part, which, wrong: false, accepted: Some(true) },
                Step::Settle { n: first_part, which, block: BLOCKS[0], succeeded: true, percent },
            ];
            if again {
                life.push(split);
            }
            life
        },
    )
}

/// Reserved, committed, signed and sent.
fn on_its_way(n: u64, ask: &Ask, charges: Vec<Spend>) -> Vec<Step> {
    let (ask, which) = (Ask { nonce: None, ..ask.clone() }, Which::Newest);
    vec![
        Step::Reserve { n, ask, charges, parks: false, lasts: HOUR },
        Step::Commit { n, floor: 1, in_flight_max: 9, shrinks_only: false, stale: false },
        Step::Signed { n, which, wrong: false, accepted: None },
        Step::Sent { n, which, accepted: true },
    ]
}

/// What does not get through is bumped, often cancelled, and one of its attempts is mined.
fn stuck() -> impl Strategy<Value = Vec<Step>> {
    let attempts = vec((any::<bool>(), vec(0_u64..40, 4)), 1..4);
    let end = (which(), block(), any::<bool>(), 0_u64..150);
    (0..OPERATIONS, ask(), vec(spend(), 0..3), attempts, end).prop_map(
        |(n, ask, charges, attempts, (which, block, is_back, percent))| {
            let mut life = on_its_way(n, &ask, charges);
            for (cancels, fees) in attempts {
                let (next, newest) = (Which::Next, Which::Newest);
                life.push(Step::Bump { n, which: next, cancels, fees, wrong: false });
                life.push(Step::Signed { n, which: newest, wrong: false, accepted: None });
                life.push(Step::Sent { n, which: newest, accepted: is_back });
            }
            life.push(Step::Mined { n, seen: true, which, block });
            if is_back {
                life.push(Step::Mined { n, seen: false, which, block });
            }
            life.push(Step::Settle { n, which, block, succeeded: true, percent });
            if is_back {
                life.push(Step::Unsettle { n });
            }
            life
        },
    )
}

/// Under way when everything is stopped; then it turns out that a stranger has used the nonce, or not.
fn stopped() -> impl Strategy<Value = Vec<Step>> {
    let stop = prop_oneof![
        Just((Step::Seal { on: true }, Step::Seal { on: false })),
        Just(Freeze::All).prop_map(frozen),
        Just(Freeze::Global).prop_map(frozen),
    ];
    let rest = (any::<bool>(), vec(0_u64..40, 4), 0_u64..12);
    (0..OPERATIONS, ask(), vec(spend(), 0..3), stop, rest).prop_map(
        |(n, ask, charges, (on, off), (cancels, fees, final_nonce))| {
            let mut life = on_its_way(n, &ask, charges);
            let bump = Step::Bump { n, which: Which::Next, cancels, fees, wrong: false };
            life.extend([on, bump, off, Step::Release { n, final_nonce }]);
            life
        },
    )
}

fn frozen(freeze: Freeze) -> (Step, Step) {
    let off = Step::Freeze { freeze: freeze.clone(), on: false, said: 0 };
    (Step::Freeze { freeze, on: true, said: 1 }, off)
}

/// One key for two operations, of one payload or two.
fn keyed() -> impl Strategy<Value = Vec<Step>> {
    let two = (0..OPERATIONS, 0..OPERATIONS, 0_u64..3);
    (two, ask(), ask(), any::<bool>()).prop_map(|((n, other, key), first, second, denies)| {
        let [ask, again] = [first, second].map(|ask| Ask { key: Some(key), ..ask });
        let reserve = |n, ask| {
            let charges = Vec::new();
            Step::Reserve { n, ask, charges, parks: false, lasts: HOUR }
        };
        let second = Step::Deny { n: other, ask: again.clone() };
        vec![reserve(n, ask), if denies { second } else { reserve(other, again) }]
    })
}

/// Somebody waits for people with a nonce that another would get next.
fn kept() -> impl Strategy<Value = Vec<Step>> {
    let two = (0..OPERATIONS, 0..OPERATIONS, 0_u64..4);
    (two, ask(), proptest::option::of(0_u64..4), vec(Just(Millis(30_000)), 0..3)).prop_map(
        |((n, other, nonce), ask, fixed, waits)| {
            let reserve = |n, nonce, payload, parks| {
                let ask = Ask { nonce, payload, key: None, ..ask.clone() };
                Step::Reserve { n, ask, charges: Vec::new(), parks, lasts: HOUR }
            };
            let mut both = vec![
                reserve(n, Some(nonce), 10 + n, true),
                reserve(other, fixed, 20 + other, false),
            ];
            both.extend(waits.into_iter().map(|by| Step::Advance { by }));
            let (n, floor) = (other, nonce);
            both.push(Step::Commit {
                n,
                floor,
                in_flight_max: 9,
                shrinks_only: false,
                stale: false,
            });
            both
        },
    )
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
    let both = (lasting(), lasting(), any::<bool>(), rarely());
    let charges = (vec(spend(), 0..3), vec(spend_up_to(120), 0..3));
    (0..OPERATIONS, ask(), charges, both, 1_usize..=4).prop_map(
        |(n, ask, (charges, again), (parked, lasts, other_gateway, is_wrong), length)| {
            let ask = Ask { nonce: None, ..ask };
            let mut life = vec![
                Step::Reserve { n, ask, charges, parks: true, lasts: parked },
                Step::Approve { n, operator: 0, digest: n, votes_seen: 0, completes: true },
                Step::Redeem { n, charges: again, parks: false, lasts, other_gateway },
                Step::Commit { n, floor: 1, in_flight_max: 9, shrinks_only: false, stale: false },
            ];
            if is_wrong {
                life.insert(
                    1,
                    Step::Approve { n, operator: 1, digest: 99, votes_seen: 0, completes: true },
                );
            }
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
        2 => (freeze, 0_u8..6, 0_u8..3).prop_map(|(freeze, on, said)| Step::Freeze { freeze, on: on == 0, said }),
        2 => (0..GRANTS, verb(), 0_u8..3)
            .prop_map(|(version, verb, by)| Step::Say { version, verb, by }),
        1 => (0_u8..8).prop_map(|on| Step::Seal { on: on == 0 }),
        1 => (any::<bool>(), duration()).prop_map(|(gateway, ttl)| Step::Present { gateway, ttl }),
        6 => duration().prop_map(|by| Step::Advance { by }),
        1 => vec(0_u8..4, 0..3).prop_map(|limits| Step::NoteAdopted { limits }),
    ]
}

/// What several people say to one pact, one after the other.
fn spoken() -> impl Strategy<Value = Vec<Step>> {
    (0..GRANTS, vec((verb(), 0_u8..3), 2..4)).prop_map(|(version, said)| {
        said.into_iter().map(|(verb, by)| Step::Say { version, verb, by }).collect()
    })
}

fn verb() -> impl Strategy<Value = PactVerb> {
    prop_oneof![Just(PactVerb::Approve), Just(PactVerb::Reject), Just(PactVerb::Revoke)]
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
    spend_up_to(40)
}

fn spend_up_to(most: u64) -> impl Strategy<Value = Spend> {
    (0_u8..4, 0..most, 0_u64..10, proptest::option::of(any::<bool>()), 0_u8..10).prop_map(
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
            | Self::Split { n, .. }
            | Self::Reject { n, .. }
            | Self::Commit { n, .. }
            | Self::Bump { n, .. }
            | Self::Signed { n, .. }
            | Self::Sent { n, .. }
            | Self::SignedMessage { n, .. }
            | Self::EndMessage { n, .. }
            | Self::Mined { n, .. }
            | Self::Settle { n, .. }
            | Self::Unsettle { n }
            | Self::Release { n, .. }
            | Self::Deliver { n, .. }
            | Self::Adopt { n, .. } => Some(*n),
            Self::Expire { .. }
            | Self::NoteAdopted { .. }
            | Self::Freeze { .. }
            | Self::Say { .. }
            | Self::Seal { .. }
            | Self::Present { .. }
            | Self::Advance { .. } => None,
        }
    }
}
