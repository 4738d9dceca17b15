//! Blocks and what is in them.

use std::{collections::BTreeMap, fmt, sync::Arc};

use alloy_primitives::{Address, B256, U256, keccak256};
use countersign_core::operation::Actual;
use countersign_engine::port::chain::Account;

use crate::simulation::chance::Chance;

/// A transaction as nodes know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) hash: B256,
    pub(crate) from: Address,
    pub(crate) nonce: u64,
    pub(crate) to: Option<Address>,
    pub(crate) value: U256,
    pub(crate) gas: u64,
    pub(crate) max_fee: u128,
    pub(crate) tip: u128,
    /// It was signed by somebody else who has the key.
    pub(crate) is_foreign: bool,
}

impl Known {
    pub(super) fn foreign(from: Address, nonce: u64, salt: u64) -> Self {
        Self {
            hash: keccak256(salt.to_be_bytes()),
            from,
            nonce,
            to: Some(from),
            value: U256::ZERO,
            gas: 21_000,
            max_fee: u128::MAX,
            tip: 1,
            is_foreign: true,
        }
    }

    /// What only one transaction can take.
    pub(crate) const fn slot(&self) -> (Address, u64) {
        (self.from, self.nonce)
    }

    pub(super) fn cost_max(&self) -> U256 {
        self.value.saturating_add(U256::from(self.gas).saturating_mul(U256::from(self.max_fee)))
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = if self.is_foreign { "foreign " } else { "" };
        write!(f, "{whose}{:.8} nonce {} of {:.6}", self.hash.to_string(), self.nonce, self.from)
    }
}

/// What an address does with value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bytecode {
    /// Sometimes gives it back.
    MayRevert,
}

/// A transaction in a block.
#[derive(Debug, Clone)]
pub(super) struct Mined {
    pub(super) transaction: Arc<Known>,
    pub(super) actual: Actual,
}

/// A block, with every account as it left them.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) number: u64,
    pub(super) hash: B256,
    pub(super) base_fee: u128,
    pub(super) mined: Vec<Mined>,
    pub(super) accounts: Arc<BTreeMap<Address, Account>>,
}

impl Block {
    pub(super) fn genesis() -> Self {
        let (number, hash) = (0, Self::hash_of(0, 0));
        let (mined, accounts) = (Vec::new(), Arc::default());
        Self { number, hash, base_fee: super::GWEI, mined, accounts }
    }

    pub(super) fn hash_of(number: u64, fork: u64) -> B256 {
        let mut bytes = [0xb1; 32];
        bytes[8..16].copy_from_slice(&fork.to_be_bytes());
        bytes[24..].copy_from_slice(&number.to_be_bytes());
        B256::from(bytes)
    }

    pub(super) fn account(&self, address: Address) -> Account {
        let empty = Account { balance: U256::ZERO, nonce: 0 };
        self.accounts.get(&address).copied().unwrap_or(empty)
    }

    /// Carries a transaction out, if its turn has come and its sender can pay.
    pub(super) fn execute(
        &mut self,
        transaction: Arc<Known>,
        accounts: &mut BTreeMap<Address, Account>,
        (bytecode, chance): (&BTreeMap<Address, Bytecode>, &Chance),
    ) -> bool {
        let empty = Account { balance: U256::ZERO, nonce: 0 };
        let sender = accounts.entry(transaction.from).or_insert(empty);
        let price = transaction.max_fee.min(self.base_fee.saturating_add(transaction.tip));
        let gas_used = match transaction.gas {
            plain if plain <= 21_000 => plain,
            more => chance.between(21_000, more),
        };
        let fee_wei = U256::from(gas_used) * U256::from(price);
        let is_next = sender.nonce == transaction.nonce;
        if !is_next || (!transaction.is_foreign && sender.balance < fee_wei + transaction.value) {
            return false;
        }
        let reverts = transaction.to.is_some_and(|to| bytecode.contains_key(&to));
        let succeeded = !reverts || chance.percent(50);
        let value = if succeeded { transaction.value } else { U256::ZERO };
        sender.nonce += 1;
        sender.balance = sender.balance.saturating_sub(fee_wei + value);
        if let Some(to) = transaction.to {
            let payee = accounts.entry(to).or_insert(empty);
            payee.balance = payee.balance.saturating_add(value);
        }
        let actual = Actual {
            hash: transaction.hash,
            block_number: self.number,
            block_hash: self.hash,
            succeeded,
            fee_wei,
        };
        self.mined.push(Mined { transaction, actual });
        true
    }
}
