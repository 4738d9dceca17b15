//! What is read.

use alloy_primitives::{Address, Bytes, U256};

/// One call of a wallet, as a transaction carries it.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Who calls: the account that signs.
    pub wallet: Address,
    /// What is called; `None` for a deployment.
    pub to: Option<Address>,
    /// Wei sent with it.
    pub value: U256,
    /// Calldata, or init code.
    pub data: &'a Bytes,
}
