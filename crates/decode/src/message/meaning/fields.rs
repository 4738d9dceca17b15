//! A message's fields by name and type.

use alloy_primitives::{Address, B256, Bytes, U256};
use countersign_core::abi::AbiValue;

/// A message, or a struct in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a AbiValue);

/// There is no such field of this type.
#[derive(Debug, Clone, Copy)]
pub(super) struct Misnamed;

impl<'a> Fields<'a> {
    pub(super) fn address(self, path: &str) -> Result<Address, Misnamed> {
        let Some(AbiValue::Address(address)) = self.0.at(path) else { return Err(Misnamed) };
        Ok(*address)
    }

    pub(super) fn number(self, path: &str) -> Result<U256, Misnamed> {
        let Some(AbiValue::Uint(number)) = self.0.at(path) else { return Err(Misnamed) };
        Ok(*number)
    }

    pub(super) fn flag(self, path: &str) -> Result<bool, Misnamed> {
        let Some(AbiValue::Bool(flag)) = self.0.at(path) else { return Err(Misnamed) };
        Ok(*flag)
    }

    pub(super) fn bytes(self, path: &str) -> Result<&'a Bytes, Misnamed> {
        let Some(AbiValue::Bytes(bytes)) = self.0.at(path) else { return Err(Misnamed) };
        Ok(bytes)
    }

    pub(super) fn word(self, path: &str) -> Result<B256, Misnamed> {
        B256::try_from(&self.bytes(path)?[..]).map_err(|_| Misnamed)
    }

    pub(super) fn inner(self, path: &str) -> Result<Self, Misnamed> {
        self.0.at(path).map(Self).ok_or(Misnamed)
    }

    pub(super) fn list(self, path: &str) -> Result<impl Iterator<Item = Self> + 'a, Misnamed> {
        let Some(AbiValue::List(items)) = self.0.at(path) else { return Err(Misnamed) };
        Ok(items.iter().map(Self))
    }
}
