//! A standard's arguments by name and type.

use alloy_primitives::{Address, B256, Bytes, U256};
use countersign_core::abi::AbiValue;

/// Arguments, or the members of one of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arguments<'a>(pub(crate) &'a AbiValue);

/// Only a table whose names do not fit its meaning says this.
const MISNAMED: &str = "an argument of another name or type than the standard's";

impl<'a> Arguments<'a> {
    pub(crate) fn address(self, path: &str) -> Result<Address, &'static str> {
        let Some(AbiValue::Address(address)) = self.0.at(path) else { return Err(MISNAMED) };
        Ok(*address)
    }

    pub(crate) fn number(self, path: &str) -> Result<U256, &'static str> {
        number(self.0.at(path))
    }

    pub(crate) fn flag(self, path: &str) -> Result<bool, &'static str> {
        let Some(AbiValue::Bool(flag)) = self.0.at(path) else { return Err(MISNAMED) };
        Ok(*flag)
    }

    pub(crate) fn numbers(self, path: &str) -> Result<Vec<U256>, &'static str> {
        self.list(path)?.map(|item| number(Some(item.0))).collect()
    }

    pub(crate) fn bytes(self, path: &str) -> Result<Bytes, &'static str> {
        bytes(self.0.at(path))
    }

    /// A `bytes32`.
    pub(crate) fn word(self, path: &str) -> Result<B256, &'static str> {
        B256::try_from(self.bytes(path)?.as_ref()).map_err(|_| MISNAMED)
    }

    /// A list of `bytes`.
    pub(crate) fn blobs(self, path: &str) -> Result<Vec<Bytes>, &'static str> {
        self.list(path)?.map(|item| bytes(Some(item.0))).collect()
    }

    pub(crate) fn addresses(self, path: &str) -> Result<Vec<Address>, &'static str> {
        let address = |item: Arguments<'_>| {
            let AbiValue::Address(address) = item.0 else { return Err(MISNAMED) };
            Ok(*address)
        };
        self.list(path)?.map(address).collect()
    }

    /// A tuple among the arguments.
    pub(crate) fn member(self, path: &str) -> Result<Self, &'static str> {
        self.0.at(path).map(Self).ok_or(MISNAMED)
    }

    /// The items of a list, each to be read like arguments.
    pub(crate) fn list(
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

fn bytes(value: Option<&AbiValue>) -> Result<Bytes, &'static str> {
    let Some(AbiValue::Bytes(bytes)) = value else { return Err(MISNAMED) };
    Ok(bytes.clone())
}
