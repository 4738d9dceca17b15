//! Prices that a test sets.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use countersign_core::amount::Price;
use countersign_engine::port::{
    Prices,
    prices::{PriceError, Quote},
};

/// A table of prices; each may be changed or made unavailable at any time.
#[derive(Debug, Default)]
pub struct FixedPrices(Mutex<BTreeMap<String, Option<Price>>>);

impl FixedPrices {
    /// USD for one whole unit of each symbol, as decimal text.
    #[must_use]
    pub fn of(table: &[(&str, &str)]) -> Self {
        let prices = Self::default();
        for (symbol, price) in table {
            prices.set(symbol, Some(price));
        }
        prices
    }

    /// Changes a price; `None` makes it unavailable, as when its source is down.
    pub fn set(&self, symbol: &str, price: Option<&str>) {
        let price = price.map(|text| text.parse().unwrap());
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.insert(symbol.into(), price);
    }
}

#[async_trait]
impl Prices for FixedPrices {
    async fn price(&self, symbol: &str) -> Result<Quote, PriceError> {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match table.get(symbol) {
            Some(Some(price)) => Ok(Quote { price: *price, at: None, source: "fixed".into() }),
            Some(None) => Err(PriceError::Unavailable {
                symbol: symbol.into(),
                reason: "the test says so".into(),
            }),
            None => Err(PriceError::NeverPriced(symbol.into())),
        }
    }
}
