//! How a type lies in calldata, and why calldata does not fit it.

use alloy_dyn_abi::{
    DynSolType, Specifier,
    parser::{TypeSpecifier, TypeStem},
};
use alloy_json_abi::Param;
use countersign_core::abi::AbiFunction;

use crate::{CALLDATA_BYTES_MAX, TYPE_DEPTH_MAX};

/// Bytes of one word of calldata.
pub(crate) const WORD: usize = 32;

/// Why calldata is not a canonical call of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not the function's first four bytes.
    #[error("another selector")]
    Selector,
    /// Nothing of that size is read.
    #[error("more than {CALLDATA_BYTES_MAX} bytes")]
    TooLong,
    /// The arguments end too early.
    #[error("the arguments end too early")]
    Short,
    /// Something follows the last argument.
    #[error("{0} bytes after the last argument")]
    Trailing(usize),
    /// An offset is not the one that the canonical encoding has there.
    #[error("an offset that is not canonical at byte {0} of the arguments")]
    Offset(usize),
    /// A value does not fill its word as its type demands.
    #[error("a value outside its type, or dirty padding, at byte {0} of the arguments")]
    Padding(usize),
    /// A `string` that is not UTF-8.
    #[error("text that is not UTF-8 at byte {0} of the arguments")]
    Text(usize),
    /// The function has a parameter of a type that calldata cannot be read by.
    #[error("a parameter type that is unknown, empty, too large or nested too deep")]
    Type,
}

/// A type, with what a decoder must know of it before it reads.
///
/// INVARIANT: `words` is at least 1, so that a list of n items needs n words of calldata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) shape: Shape,
    /// It lies in the tail, and the head has its offset.
    pub(crate) dynamic: bool,
    /// Words that it takes in the head: 1 if dynamic.
    words: usize,
}

/// The kinds of type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shape {
    Address,
    Bool,
    Uint { bits: usize },
    Int { bits: usize },
    FixedBytes { len: usize },
    Bytes,
    Text,
    List(Box<Layout>),
    Array(Box<Layout>, usize),
    Tuple(Vec<Member>),
}

/// A parameter, or a member of a tuple.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// As the signature names it, else its index.
    pub(crate) name: String,
    pub(crate) layout: Layout,
}

/// The layout of a function's arguments.
pub(crate) fn arguments(function: &AbiFunction) -> Result<Vec<Member>, DecodeError> {
    members(function.inputs(), TYPE_DEPTH_MAX)
}

fn members(params: &[Param], depth: usize) -> Result<Vec<Member>, DecodeError> {
    params.iter().enumerate().map(|(index, param)| member(index, param, depth)).collect()
}

fn member(index: usize, param: &Param, depth: usize) -> Result<Member, DecodeError> {
    let name = if param.name.is_empty() { index.to_string() } else { param.name.clone() };
    Ok(Member { name, layout: Layout::of(param, depth)? })
}

impl Layout {
    /// `depth` is how many levels of nesting are left.
    fn of(param: &Param, depth: usize) -> Result<Self, DecodeError> {
        let spec = TypeSpecifier::parse(&param.ty).map_err(|_| DecodeError::Type)?;
        let depth = depth
            .checked_sub(spec.sizes.len())
            .and_then(|left| left.checked_sub(1))
            .ok_or(DecodeError::Type)?;
        let stem = if param.components.is_empty() {
            Self::simple(&spec.stem)?
        } else {
            Self::tuple(members(&param.components, depth)?)?
        };
        spec.sizes.iter().try_fold(stem, |item, size| match size {
            Some(len) => Self::array(item, len.get()),
            None => Ok(Self { shape: Shape::List(Box::new(item)), dynamic: true, words: 1 }),
        })
    }

    fn simple(stem: &TypeStem<'_>) -> Result<Self, DecodeError> {
        let TypeStem::Root(root) = stem else { return Err(DecodeError::Type) };
        let resolved = root.resolve().map_err(|_| DecodeError::Type)?;
        let shape = Shape::simple(&resolved).ok_or(DecodeError::Type)?;
        let dynamic = matches!(shape, Shape::Bytes | Shape::Text);
        Ok(Self { shape, dynamic, words: 1 })
    }

    fn tuple(members: Vec<Member>) -> Result<Self, DecodeError> {
        let dynamic = members.iter().any(|member| member.layout.dynamic);
        let inline = words(members.iter().map(|member| &member.layout))?;
        let words = if dynamic { 1 } else { inline };
        Ok(Self { shape: Shape::Tuple(members), dynamic, words })
    }

    fn array(item: Self, len: usize) -> Result<Self, DecodeError> {
        let dynamic = item.dynamic;
        let inline = bounded(item.words.checked_mul(len))?;
        let words = if dynamic { 1 } else { inline };
        Ok(Self { shape: Shape::Array(Box::new(item), len), dynamic, words })
    }

    /// Bytes that it takes in the head.
    pub(crate) const fn head(&self) -> usize {
        self.words.saturating_mul(WORD)
    }
}

impl Shape {
    #[expect(clippy::wildcard_enum_match_arm, reason = "a feature gives the enum another variant")]
    fn simple(resolved: &DynSolType) -> Option<Self> {
        match resolved {
            DynSolType::Address => Some(Self::Address),
            DynSolType::Bool => Some(Self::Bool),
            DynSolType::Uint(bits) => Some(Self::Uint { bits: *bits }),
            DynSolType::Int(bits) => Some(Self::Int { bits: *bits }),
            DynSolType::FixedBytes(len) => Some(Self::FixedBytes { len: *len }),
            DynSolType::Function => Some(Self::FixedBytes { len: 24 }),
            DynSolType::Bytes => Some(Self::Bytes),
            DynSolType::String => Some(Self::Text),
            _ => None,
        }
    }
}

/// What layouts take in a head together: at least one word, and no more than calldata can have.
fn words<'l>(mut layouts: impl Iterator<Item = &'l Layout>) -> Result<usize, DecodeError> {
    bounded(layouts.try_fold(0usize, |sum, layout| sum.checked_add(layout.words)))
}

fn bounded(words: Option<usize>) -> Result<usize, DecodeError> {
    words.filter(|n| (1..=CALLDATA_BYTES_MAX / WORD).contains(n)).ok_or(DecodeError::Type)
}
