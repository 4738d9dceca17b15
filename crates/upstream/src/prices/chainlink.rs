//! Prices of Chainlink's aggregators, asked through a chain's own nodes.

use std::collections::BTreeMap;

use alloy_primitives::{Address, Bytes, U256};
use countersign_core::{
    amount::Price,
    time::{Millis, Timestamp},
};
use countersign_engine::port::Chain as _;
use futures_util::future::{OptionFuture, try_join3};
use serde::Serialize;

use super::{SKEW_MAX, Sample, Silence, aged, exact, options::ChainlinkOptions};
use crate::{node::Visit, transport::Fault, wire::Data};

/// `latestRoundData()`
const LATEST_ROUND: [u8; 4] = [0xfe, 0xaf, 0x96, 0x8c];
/// `decimals()`
const DECIMALS: [u8; 4] = [0x31, 0x3c, 0xe5, 0x67];

/// Aggregators have 8 or 18.
const DECIMALS_MAX: u8 = 36;

/// After a sequencer has come back, prices are not believed for so long: feeds first have to catch up.
const SEQUENCER_GRACE: Millis = Millis(3_600_000);

/// One chain's aggregators.
#[derive(Debug)]
pub(super) struct ChainlinkFeeds(ChainlinkOptions);

impl ChainlinkFeeds {
    pub(super) const fn new(options: ChainlinkOptions) -> Self {
        Self(options)
    }

    pub(super) fn symbols(&self) -> impl Iterator<Item = &String> {
        self.0.feeds.keys()
    }

    pub(super) fn name(&self) -> String {
        format!("chainlink on chain {}", self.0.chain.id)
    }

    pub(super) const fn feeds(&self) -> &BTreeMap<String, Address> {
        &self.0.feeds
    }

    /// The newest round of one feed, as one node has it.
    pub(super) async fn sample(&self, feed: Address, now: Timestamp) -> Result<Sample, Silence> {
        let said = self.ask(feed).await?;
        if let Some(sequencer) = &said.sequencer {
            sequencer_is_up(&Round::read(sequencer)?, now)?;
        }
        let round = Round::read(&said.round)?;
        let price = round.price(decimals(&said.decimals)?)?;
        aged(price, round.updated_at, now, self.0.max_age)
    }

    async fn ask(&self, feed: Address) -> Result<Said, Silence> {
        let failed = |error: &dyn std::fmt::Display| Silence::Failed(error.to_string());
        // a node that stands still, or serves another chain, is noticed here
        self.0.chain.head().await.map_err(|error| failed(&error))?;
        let uptime = self.0.sequencer_uptime_feed;
        let said = self.0.chain.consult(|visit| {
            Box::pin(async move {
                let sequencer =
                    OptionFuture::from(uptime.map(|feed| call(visit, feed, LATEST_ROUND)));
                let (round, decimals, sequencer) = try_join3(
                    call(visit, feed, LATEST_ROUND),
                    call(visit, feed, DECIMALS),
                    async { sequencer.await.transpose() },
                )
                .await?;
                Ok(Said { round, decimals, sequencer })
            })
        });
        said.await.map_err(|error| failed(&error))
    }
}

/// What the contracts returned, not yet understood.
struct Said {
    round: Bytes,
    decimals: Bytes,
    sequencer: Option<Bytes>,
}

#[derive(Serialize)]
struct Call {
    to: Address,
    data: Bytes,
}

async fn call(visit: &Visit<'_>, to: Address, selector: [u8; 4]) -> Result<Bytes, Fault> {
    let params = (Call { to, data: selector.to_vec().into() }, "latest");
    let Data(returned) = visit.fetch("eth_call", &params).await?;
    Ok(returned.to_vec().into())
}

/// What `latestRoundData` returns, of which nothing is believed yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Round {
    id: U256,
    answer: U256,
    started_at: Timestamp,
    updated_at: Timestamp,
    answered_in: U256,
}

impl Round {
    fn read(returned: &[u8]) -> Result<Self, Silence> {
        let wrong = || nonsense("its contract is no aggregator: it has no `latestRoundData`");
        let (words, []) = returned.as_chunks::<32>() else { return Err(wrong()) };
        let [id, answer, started_at, updated_at, answered_in] =
            <[[u8; 32]; 5]>::try_from(words).map_err(|_| wrong())?.map(U256::from_be_bytes);
        let round = Self {
            id,
            answer,
            started_at: instant(started_at),
            updated_at: instant(updated_at),
            answered_in,
        };
        match round {
            Self { id, .. } if id.is_zero() => Err(nonsense("its feed has no round yet")),
            Self { answered_in, id, .. } if answered_in < id => {
                Err(nonsense("its newest round was answered in an earlier one"))
            }
            Self { updated_at, .. } if updated_at.millis() == 0 => {
                Err(nonsense("its newest round is not complete"))
            }
            round => Ok(round),
        }
    }

    fn price(&self, decimals: u8) -> Result<Price, Silence> {
        // int256: the first bit is the sign
        if self.answer.is_zero() || self.answer.bit(255) {
            return Err(nonsense("its answer is 0 or less"));
        }
        let exponent = i32::from(decimals).saturating_neg();
        exact::units(self.answer, exponent).map_err(|reason| Silence::Nonsense(reason.to_string()))
    }
}

fn decimals(returned: &[u8]) -> Result<u8, Silence> {
    let word = <[u8; 32]>::try_from(returned).ok().map(U256::from_be_bytes);
    let decimals = word.and_then(|word| u8::try_from(word).ok()).filter(|d| *d <= DECIMALS_MAX);
    decimals.ok_or_else(|| nonsense("its `decimals` is no number of decimals"))
}

/// Seconds; what does not fit lies in the future.
fn instant(seconds: U256) -> Timestamp {
    let millis = u64::try_from(seconds).ok().and_then(|seconds| seconds.checked_mul(1000));
    Timestamp::from_millis(millis.unwrap_or(u64::MAX))
}

/// While a roll-up's sequencer is down, and shortly after, only few can act on it, and its feeds are old.
fn sequencer_is_up(round: &Round, now: Timestamp) -> Result<(), Silence> {
    if !round.answer.is_zero() {
        return Err(Silence::Failed("the chain's sequencer is down".into()));
    }
    let up = now.since(round.started_at);
    if round.started_at.millis() == 0 || round.started_at.since(now) > SKEW_MAX {
        return Err(nonsense("its sequencer feed does not say since when"));
    }
    if up < SEQUENCER_GRACE {
        let minutes = up.0 / 60_000;
        return Err(Silence::Failed(format!(
            "the chain's sequencer is up again for {minutes} minutes only: at least {SEQUENCER_GRACE}"
        )));
    }
    Ok(())
}

fn nonsense(words: &str) -> Silence {
    Silence::Nonsense(words.into())
}

#[cfg(test)]
mod tests {
    use alloy_primitives::keccak256;
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
    const NOW_S: u64 = 1_700_000_000;
    const HOUR: Millis = Millis(3_600_000);

    fn words(words: [U256; 5]) -> Vec<u8> {
        words.iter().flat_map(U256::to_be_bytes::<32>).collect()
    }

    fn round(words_of: [u64; 5]) -> Vec<u8> {
        words(words_of.map(U256::from))
    }

    fn judged(returned: &[u8]) -> Result<String, Silence> {
        let round = Round::read(returned)?;
        let sample = aged(round.price(8)?, round.updated_at, NOW, HOUR)?;
        Ok(sample.price.to_string())
    }

    #[test]
    fn selectors_are_those_of_their_signatures() {
        for (selector, signature) in [(LATEST_ROUND, "latestRoundData()"), (DECIMALS, "decimals()")]
        {
            assert_eq!(keccak256(signature)[..4], selector, "{signature}");
        }
    }

    #[test]
    fn a_whole_round_of_now_has_a_price_and_nothing_else_has() {
        let minus_one =
            words([U256::from(7), U256::MAX, U256::from(NOW_S), U256::from(NOW_S), U256::from(7)]);
        let never = words([U256::from(7), U256::from(1), U256::ZERO, U256::MAX, U256::from(7)]);
        let good = [7, 317_412_345_678, NOW_S, NOW_S, 7];
        let with = |place: usize, value: u64| {
            let mut round_of = good;
            round_of[place] = value;
            round(round_of)
        };
        for (returned, expected) in [
            (round(good), Ok("3174.12345678")),
            (with(3, NOW_S - 3600), Ok("3174.12345678")),
            (with(3, NOW_S + 60), Ok("3174.12345678")),
            (with(4, 8), Ok("3174.12345678")),
            (
                with(3, NOW_S - 3601),
                Err("its price is 3601 s old, more than the 1h that are configured"),
            ),
            (with(3, NOW_S + 61), Err("its price is from 61 s in the future")),
            (with(3, 0), Err("its newest round is not complete")),
            (with(4, 6), Err("its newest round was answered in an earlier one")),
            (with(0, 0), Err("its feed has no round yet")),
            (with(1, 0), Err("its answer is 0 or less")),
            (minus_one, Err("its answer is 0 or less")),
            (with(1, u64::MAX), Ok("184467440737.09551615")),
            (never, Err("its price is from 18446742373709551 s in the future")),
            (Vec::new(), Err("its contract is no aggregator: it has no `latestRoundData`")),
            (vec![0; 159], Err("its contract is no aggregator: it has no `latestRoundData`")),
            (vec![0; 192], Err("its contract is no aggregator: it has no `latestRoundData`")),
        ] {
            let found = judged(&returned).map_err(|silence| silence.to_string());
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{returned:?}");
        }
    }

    #[test]
    fn decimals_are_one_small_number() {
        let word = |number: u64| U256::from(number).to_be_bytes_vec();
        assert_eq!(decimals(&word(8)), Ok(8));
        for returned in [word(37), word(256), word(u64::MAX), Vec::new(), vec![8], vec![0; 64]] {
            assert!(decimals(&returned).is_err(), "{returned:?}");
        }
    }

    #[test]
    fn a_sequencer_is_believed_an_hour_after_it_came_back() {
        let up = |answer, since| {
            sequencer_is_up(&Round::read(&round([1, answer, since, NOW_S, 1]))?, NOW)
        };
        assert_eq!(up(0, NOW_S - 3600), Ok(()));
        for (answer, since) in [(1, 1), (0, NOW_S - 3599), (0, NOW_S), (0, 0), (0, NOW_S + 100)] {
            assert!(up(answer, since).is_err(), "{answer} since {since}");
        }
    }

    proptest! {
        #[test]
        fn no_answer_of_a_contract_makes_it_stumble(returned in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop((judged(&returned), decimals(&returned)));
        }
    }
}
