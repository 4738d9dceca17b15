//! What one seed makes of the world: which troubles there are, and how many.

use countersign_core::time::{Millis, Timestamp};

use super::{
    chance::Chance,
    limits::{LEVELS, RENAMES},
};
use crate::{fixture::at, ledger::flawed::Flaw};

/// The world of one seed. Rates are per thousand; many of them are zero, so that each seed has a mixture of its own.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) flaw: Option<Flaw>,
    pub(crate) start: Timestamp,
    pub(crate) gateways: u64,
    // agents
    pub(crate) requests: u64,
    pub(crate) duplicate_window: Millis,
    pub(crate) hold: Millis,
    pub(crate) in_flight_max: u32,
    /// The tables of limits that there may be, and which of them to begin with.
    pub(crate) levels: usize,
    pub(crate) limits: usize,
    // store
    pub(crate) store_request_lost: u64,
    pub(crate) store_reply_lost: u64,
    pub(crate) store_late: u64,
    pub(crate) slow_store: u64,
    /// How many votes arrive after their voter has given up.
    pub(crate) late_votes: u64,
    // chain
    pub(crate) nodes: u64,
    pub(crate) confirmations: u64,
    pub(crate) block_time: u64,
    pub(crate) bump_after: Millis,
    pub(crate) storm: u64,
    pub(crate) late_mining: u64,
    pub(crate) reorg: u64,
    pub(crate) deep_reorg: u64,
    pub(crate) reorg_drops: u64,
    pub(crate) stir_pools: u64,
    pub(crate) node_lag: u64,
    pub(crate) lag_max: u64,
    pub(crate) node_fails: u64,
    pub(crate) slow_node: u64,
    pub(crate) slow_node_max: u64,
    pub(crate) send_trouble: u64,
    pub(crate) receipt_lag: u64,
    // signer
    pub(crate) signer_fails: u64,
    /// Whether signing again gives other bytes.
    pub(crate) signer_varies: bool,
    // weather
    pub(crate) weather: Vec<Weather>,
    /// Between two changes of the weather, in milliseconds.
    pub(crate) weather_every: u64,
}

/// Something that happens to a whole machine or network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Weather {
    GatewayKilled,
    GatewayKilledInACall,
    GatewayStopped,
    StoreAway,
    StoreAwayForOne,
    JournalAway,
    NodeToggled,
    PriceAway,
    SignerAway,
    LimitsReplaced,
    TimeJumps,
    WindowEnds,
    Frozen,
    Sealed,
    FailedOver,
    KeyUsedElsewhere,
    ClockSetBack,
    WalletDrained,
}

impl Weather {
    const ALL: [Self; 18] = [
        Self::GatewayKilled,
        Self::GatewayKilledInACall,
        Self::GatewayStopped,
        Self::StoreAway,
        Self::StoreAwayForOne,
        Self::JournalAway,
        Self::NodeToggled,
        Self::PriceAway,
        Self::SignerAway,
        Self::LimitsReplaced,
        Self::TimeJumps,
        Self::WindowEnds,
        Self::Frozen,
        Self::Sealed,
        Self::FailedOver,
        Self::KeyUsedElsewhere,
        Self::ClockSetBack,
        Self::WalletDrained,
    ];

    const fn ends_a_gateway(self) -> bool {
        matches!(self, Self::GatewayKilled | Self::GatewayKilledInACall | Self::GatewayStopped)
    }

    /// How many seeds in a hundred have this.
    const fn share(self) -> u64 {
        match self {
            Self::GatewayKilled | Self::GatewayKilledInACall => 45,
            Self::StoreAway | Self::TimeJumps | Self::WindowEnds => 30,
            Self::KeyUsedElsewhere => 6,
            Self::FailedOver | Self::WalletDrained | Self::ClockSetBack | Self::SignerAway => 12,
            _ => 20,
        }
    }
}

/// The instants that runs begin near to: the ends of a day, of a month, of a day in summer time.
const STARTS: [&str; 4] = [
    "2026-01-01T12:00:00Z",
    "2026-01-31T23:59:30Z",
    "2026-03-28T23:59:20Z",
    "2026-06-15T23:59:45Z",
];

impl Plan {
    pub(crate) fn draw(seed: u64, flaw: Option<Flaw>) -> Self {
        let chance = Chance::new(seed, 3);
        let rate = |choices: &[u64]| chance.pick(choices);
        let weather = Weather::ALL.into_iter().filter(|kind| chance.percent(kind.share()));
        let weather: Vec<Weather> = weather.collect();
        let gateways = rate(&[1, 1, 1, 2, 2, 2, 3, 4]);
        let block_time = rate(&[500, 1000, 2000]);
        let weather_every = rate(&[700, 2000, 5000]);
        // settlements can be looked up for so many blocks: some process must live for a part of them, and so many looks
        // must come to their end
        let needed = match weather_every {
            ..2000 => 2000,
            2000..5000 => 1000,
            5000.. => 0,
        };
        let dies = weather.iter().any(|kind| kind.ends_a_gateway());
        let deep = if dies && block_time < needed { 0 } else { 25 };
        let levels = if gateways == 1 { LEVELS.len() } else { RENAMES };
        Self {
            seed,
            flaw,
            start: at(chance.pick(&STARTS)),
            gateways,
            levels,
            requests: chance.between(8, 28),
            duplicate_window: Millis(rate(&[0, 15_000])),
            hold: Millis(rate(&[0, 0, 0, 4000])),
            in_flight_max: u32::try_from(rate(&[100, 100, 4])).unwrap(),
            limits: chance.index(levels),
            store_request_lost: rate(&[0, 0, 5, 40]),
            store_reply_lost: rate(&[0, 0, 5, 40]),
            store_late: rate(&[0, 0, 0, 10]),
            slow_store: rate(&[0, 20, 200]),
            nodes: rate(&[1, 1, 2]),
            confirmations: rate(&[1, 2, 3, 6, 9]),
            block_time,
            bump_after: Millis(rate(&[0, 8000, 20_000])),
            storm: rate(&[0, 0, 60]),
            late_mining: rate(&[0, 100, 500]),
            reorg: rate(&[0, 0, 60, 150]),
            deep_reorg: rate(&[0, 0, 0, deep]),
            reorg_drops: rate(&[0, 200, 500]),
            stir_pools: rate(&[0, 100, 400]),
            node_lag: rate(&[0, 200, 600]),
            lag_max: rate(&[1, 3]),
            node_fails: rate(&[0, 0, 10, 60]),
            slow_node: rate(&[0, 50, 300]),
            slow_node_max: rate(&[20, 400, 3000]),
            send_trouble: rate(&[0, 0, 150, 500]),
            receipt_lag: rate(&[0, 0, 300]),
            signer_fails: rate(&[0, 0, 0, 100]),
            signer_varies: chance.percent(20),
            weather,
            weather_every,
            late_votes: rate(&[0, 0, 0, 400]),
        }
    }

    /// Whether a repetition without a key surely finds what it repeats. With a duplicate window it does. Where two equal
    /// calls are two payments, it does only if the debt could be noted at once, and if the store's clock, by which a
    /// dead gateway is noticed, goes on.
    pub(crate) fn tells_repetitions_apart(&self) -> bool {
        let hinders = [Weather::ClockSetBack, Weather::StoreAway, Weather::StoreAwayForOne];
        let loses = self.store_request_lost + self.store_reply_lost + self.store_late > 0;
        let is_hindered = hinders.iter().any(|kind| self.weather.contains(kind));
        self.duplicate_window > Millis::ZERO || !(loses || is_hindered)
    }

    pub(crate) fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }
}
