//! A standard's arguments by name and type.

use alloy_primitives::{Address, U256};
use countersign_core::abi::AbiValue;

/// Arguments, or the members of one of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arguments<'a>(pub(crate) &'a AbiValue);

/// Only a table whose names do not fit its meaning says this.
const MISNAMED: &str = "an argument of another name or type than the standard's";

impl<'a> Arguments<'a> {
    pub(super) fn address(self, path: &str) -> Result<Address, &'static str> {
        let Some(AbiValue::Address(address)) = self.0.at(path) else { return Err(MISNAMED) };
        Ok(*address)
    }

    pub(super) fn number(self, path: &str) -> Result<U256, &'static str> {
        number(self.0.at(path))
    }

    pub(super) fn flag(self, path: &str) -> Result<bool, &'static str> {
        let Some(AbiValue::Bool(flag)) = self.0.at(path) else { return Err(MISNAMED) };
        Ok(*flag)
    }

    pub(super) fn numbers(self, path: &str) -> Result<Vec<U256>, &'static str> {
        self.list(path)?.map(|item| number(Some(item.0))).collect()
    }

    /// A tuple among the arguments.
    pub(super) fn member(self, path: &str) -> Result<Self, &'static str> {
        self.0.at(path).map(Self).ok_or(MISNAMED)
    }

    /// The items of a list, each to be read like arguments.
    pub(super) fn list(
        self,
        path: &str,
    ) -> Result<impl Iterator<Item = Arguments<'a>> + 'a, &'static str> {
        let Some(AbiValue::List(items)) = self.0.at(path) else { return Err(MISNAMED) };
        Ok(items.iter().map(Arguments))
    }
}

fn number(value: Option<&AbiValue>) -> Result<U256, &'static str> {
    let Some(AbiValue::Uint(number)) = value else { return Err(MISNAMED) };
    Ok(*number)
}
