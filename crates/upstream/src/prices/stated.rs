//! Prices that the configuration states.

use std::collections::BTreeMap;

use async_trait::async_trait;
use countersign_core::amount::Price;
use countersign_engine::port::{
    Prices,
    prices::{PriceError, Quote},
};

/// The `static` source: fixed prices by symbol. It never ages and never guesses; symbols are
/// matched exactly.
#[derive(Debug, Clone)]
pub struct StaticPrices {
    prices: BTreeMap<String, Price>,
}

impl StaticPrices {
    /// Prices of one whole unit, by symbol (`ETH`, `USD`).
    #[must_use]
    pub const fn new(prices: BTreeMap<String, Price>) -> Self {
        Self { prices }
    }
}

#[async_trait]
impl Prices for StaticPrices {
    async fn price(&self, symbol: &str) -> Result<Quote, PriceError> {
        let price = self.prices.get(symbol).copied();
        let quote = |price| Quote { price, at: None, source: "static".into() };
        price.map(quote).ok_or_else(|| PriceError::NeverPriced(symbol.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_symbol_that_is_not_listed_has_no_price() {
        let price: Price = "3000".parse().unwrap();
        let prices = StaticPrices::new(BTreeMap::from([("ETH".to_owned(), price)]));
        let quote = Quote { price, at: None, source: "static".into() };
        assert_eq!(prices.price("ETH").await, Ok(quote));
        for symbol in ["eth", "USD", ""] {
            assert_eq!(prices.price(symbol).await, Err(PriceError::NeverPriced(symbol.into())));
        }
    }
}
