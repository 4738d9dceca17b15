//! Which of several prices counts, and how fast it may move. Pure.

use std::time::Duration;

use alloy_primitives::U256;
use countersign_core::amount::Price;

/// Hundredths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BasisPoints(pub u32);

const WHOLE: u32 = 10_000;

/// What several sources said at once, the first one being the preferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// They agree: this one is the first of them.
    Agreed(usize),
    /// They differ too much: the highest, so that nothing counts as less spend than any of them says; and the lowest.
    Disagreed { highest: usize, lowest: usize },
}

impl Choice {
    /// The one that counts.
    pub(super) const fn index(self) -> usize {
        let (Self::Agreed(index) | Self::Disagreed { highest: index, .. }) = self;
        index
    }
}

/// `None` where nobody said anything.
pub(super) fn choose(prices: &[Price], deviation: BasisPoints) -> Option<Choice> {
    let placed = || prices.iter().copied().zip(0..);
    let (high, highest) =
        placed().max_by_key(|(price, index)| (*price, std::cmp::Reverse(*index)))?;
    let (low, lowest) = placed().min()?;
    if high.scaled() > low.scaled().saturating_add(share(low, deviation, 1)) {
        return Some(Choice::Disagreed { highest, lowest });
    }
    Some(Choice::Agreed(0))
}

/// Where a price came to in some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Within what is configured.
    Usual,
    /// Up by more; it counts at once, because a higher price only counts as more spend.
    Rose,
    /// Down by more; it counts as this much meanwhile.
    Fell(Price),
}

/// From a price of so long ago to `now`. What is configured per minute holds for the first minute as a whole.
pub(super) fn step(before: Price, ago: Duration, now: Price, per_minute: BasisPoints) -> Step {
    let minutes = (ago.as_secs() / 60).max(1);
    let band = share(before, per_minute, minutes);
    let floor = before.scaled().saturating_sub(band);
    if now.scaled() > before.scaled().saturating_add(band) {
        Step::Rose
    } else if now.scaled() < floor {
        Price::from_scaled(floor).map_or(Step::Usual, Step::Fell)
    } else {
        Step::Usual
    }
}

/// So many times a part of a price, rounded down.
fn share(price: Price, part: BasisPoints, times: u64) -> u128 {
    let parts = U256::from(part.0).saturating_mul(U256::from(times));
    let product = U256::from(price.scaled()).saturating_mul(parts);
    let share = product.checked_div(U256::from(WHOLE)).unwrap_or(U256::MAX);
    u128::try_from(share).unwrap_or(u128::MAX)
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a failed test panics")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn prices(texts: &[&str]) -> Vec<Price> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn the_first_counts_where_they_agree_and_the_highest_where_they_do_not() {
        let two_percent = BasisPoints(200);
        for (texts, expected) in [
            (&[][..], None),
            (&["5"][..], Some(Choice::Agreed(0))),
            (&["100", "102"][..], Some(Choice::Agreed(0))),
            (&["102", "100"][..], Some(Choice::Agreed(0))),
            (
                &["100", "102.000000000000000001"][..],
                Some(Choice::Disagreed { highest: 1, lowest: 0 }),
            ),
            (&["103", "100", "101"][..], Some(Choice::Disagreed { highest: 0, lowest: 1 })),
            (&["100", "101", "103", "103"][..], Some(Choice::Disagreed { highest: 2, lowest: 0 })),
        ] {
            assert_eq!(choose(&prices(texts), two_percent), expected, "{texts:?}");
        }
    }

    #[test]
    fn a_rise_counts_at_once_and_a_fall_step_by_step() {
        let ten_percent = BasisPoints(1000);
        let price = |text: &str| text.parse::<Price>().unwrap();
        for (seconds, now, expected) in [
            (0, "100", Step::Usual),
            (0, "90", Step::Usual),
            (0, "110", Step::Usual),
            (59, "89", Step::Fell(price("90"))),
            (60, "89", Step::Fell(price("90"))),
            (119, "89", Step::Fell(price("90"))),
            (120, "81", Step::Usual),
            (120, "79", Step::Fell(price("80"))),
            (600, "0.01", Step::Usual),
            (30, "111", Step::Rose),
            (600, "201", Step::Rose),
        ] {
            let found = step(price("100"), Duration::from_secs(seconds), price(now), ten_percent);
            assert_eq!(found, expected, "{seconds} s to {now}");
        }
    }

    proptest! {
        /// Whatever the sources say, none that agrees says that more is spent than counts, but for the deviation.
        #[test]
        fn what_counts_is_never_far_below_what_any_source_says(
            scaled in proptest::collection::vec(1_u128..1_000_000_000, 1..6), part in 0_u32..20_000,
        ) {
            let prices: Vec<Price> = scaled.iter().map(|s| Price::from_scaled(*s).unwrap()).collect();
            let counts = prices[choose(&prices, BasisPoints(part)).unwrap().index()];
            for said in prices {
                let band = U256::from(counts.scaled()) * U256::from(WHOLE + part);
                prop_assert!(U256::from(said.scaled()) * U256::from(WHOLE) <= band);
            }
        }

        #[test]
        fn nothing_moves_it_down_faster_than_is_configured(
            before in 1_u128..u128::MAX, now in 1_u128..u128::MAX, ago in 0_u64..100_000, part in 0_u32..WHOLE,
        ) {
            let [before, now] = [before, now].map(|s| Price::from_scaled(s).unwrap());
            let used = match step(before, Duration::from_secs(ago), now, BasisPoints(part)) {
                Step::Fell(floor) => floor,
                Step::Usual | Step::Rose => now,
            };
            prop_assert!(used >= now);
            if ago < 120 {
                let least = U256::from(before.scaled()) * U256::from(WHOLE - part);
                prop_assert!(U256::from(used.scaled()) * U256::from(WHOLE) >= least);
            }
        }
    }
}
