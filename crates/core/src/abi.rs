//! Function signatures as people write them, and decoded arguments.

mod signature;

use std::fmt;

use alloy_json_abi::{Function, Param};
use alloy_primitives::{Address, Bytes, FixedBytes, I256, U256};
use serde::{Deserialize, Serialize};

/// The first four bytes of calldata.
pub type Selector = FixedBytes<4>;

/// A function of a contract, parsed from a human-readable signature with parameter names.
#[derive(Clone, PartialEq, Eq)]
pub struct AbiFunction {
    function: Function,
    signature: Box<str>,
    selector: Selector,
}

impl AbiFunction {
    /// Parses `transfer(address to, uint256 amount)`, with or without the word `function`. A type that
    /// is not elementary is refused.
    pub fn parse(text: &str) -> Result<Self, AbiError> {
        let function =
            signature::parse(text).ok_or_else(|| AbiError::Signature(text.trim().into()))?;
        let signature = function.signature().into();
        let selector = function.selector();
        Ok(Self { function, signature, selector })
    }

    /// The canonical signature, without names: `transfer(address,uint256)`.
    #[must_use]
    pub fn signature(&self) -> &str {
        &self.signature
    }

    /// The first four bytes of the signature's Keccak-256.
    #[must_use]
    pub const fn selector(&self) -> Selector {
        self.selector
    }

    /// The parameters, with the names that the signature gave them.
    #[must_use]
    pub fn inputs(&self) -> &[Param] {
        &self.function.inputs
    }
}

impl fmt::Debug for AbiFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AbiFunction({})", self.signature)
    }
}

/// A decoded argument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AbiValue {
    /// `address`
    Address(Address),
    /// `uint8` to `uint256`
    Uint(U256),
    /// `int8` to `int256`
    Int(I256),
    /// `bool`
    Bool(bool),
    /// `bytes` and `bytes1` to `bytes32`
    Bytes(Bytes),
    /// `string`
    Text(String),
    /// `T[]` and `T[n]`
    List(Vec<AbiValue>),
    /// A tuple, or the arguments of a call; an unnamed member is called by its index.
    Tuple(Vec<(String, AbiValue)>),
}

impl AbiValue {
    /// Follows a dotted path through tuples (by name) and lists (by index): `p.tokenIn`, `path.0`.
    #[must_use]
    pub fn at(&self, path: &str) -> Option<&Self> {
        let (head, rest) = path.split_once('.').map_or((path, None), |(h, r)| (h, Some(r)));
        let inner = match self {
            Self::Tuple(members) => members.iter().find(|(name, _)| name == head).map(|(_, v)| v),
            Self::List(items) => head.parse::<usize>().ok().and_then(|i| items.get(i)),
            Self::Address(_)
            | Self::Uint(_)
            | Self::Int(_)
            | Self::Bool(_)
            | Self::Bytes(_)
            | Self::Text(_) => None,
        }?;
        rest.map_or(Some(inner), |rest| inner.at(rest))
    }
}

/// A call read through one ABI that fits: decoding and encoding again gave the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecodedCall {
    /// The canonical signature.
    pub signature: String,
    /// The arguments, always an [`AbiValue::Tuple`].
    pub args: AbiValue,
}

/// A signature that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AbiError {
    /// Not a human-readable function signature.
    #[error("`{0}` is not a function signature: expected name(type name, ...)")]
    Signature(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_keeps_the_names_of_nested_parameters() {
        let f = AbiFunction::parse(
            "exactInputSingle((address tokenIn,address tokenOut,uint24 fee,address recipient,uint256 amountIn,uint256 amountOutMinimum,uint160 limit) p)",
        )
        .unwrap();
        assert_eq!(
            f.signature(),
            "exactInputSingle((address,address,uint24,address,uint256,uint256,uint160))"
        );
        assert_eq!(f.selector().to_string(), "0x04e45aaf");
        assert_eq!(f.inputs()[0].name, "p");
        assert_eq!(f.inputs()[0].components[4].name, "amountIn");
    }

    #[test]
    fn a_path_follows_names_and_indices() {
        let value = AbiValue::Tuple(vec![(
            "p".into(),
            AbiValue::Tuple(vec![("path".into(), AbiValue::List(vec![AbiValue::Bool(true)]))]),
        )]);
        assert_eq!(value.at("p.path.0"), Some(&AbiValue::Bool(true)));
        assert_eq!(value.at("p.path.1"), None);
        assert_eq!(value.at("q"), None);
    }
}
