//! Amounts in the tests' world, where one ETH costs 1 000 USD.

/// Wei in one USD.
pub const USD: u128 = 1_000_000_000_000_000;

/// That many USD as a quantity of wei.
#[must_use]
pub fn usd(amount: u128) -> String {
    wei(amount.saturating_mul(USD))
}

/// A quantity.
#[must_use]
pub fn wei(amount: u128) -> String {
    format!("{amount:#x}")
}
