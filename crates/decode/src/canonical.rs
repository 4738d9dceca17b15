//! The strict decoder: offsets exactly where the canonical encoder puts them, so that no bytes are
//! read twice and what is read can never be larger than what was sent.

use std::ops::Range;

use alloy_primitives::{Address, B256, Bytes, I256, U256};
use countersign_core::abi::{AbiFunction, AbiValue};

use crate::{
    CALLDATA_BYTES_MAX,
    layout::{self, DecodeError, Layout, Member, Shape, WORD},
};

/// Reads calldata through a function's ABI. The answer is an [`AbiValue::Tuple`] of the arguments.
///
/// Encoding the answer again gives the same bytes. Time and memory are linear in the calldata. It
/// does not know what the arguments mean.
pub fn decode_call(function: &AbiFunction, data: &[u8]) -> Result<AbiValue, DecodeError> {
    let body = arguments(function, data)?;
    decode(&layout::arguments(function)?, body)
}

/// The bytes after the function's selector.
pub(crate) fn arguments<'d>(
    function: &AbiFunction,
    data: &'d [u8],
) -> Result<&'d [u8], DecodeError> {
    if data.len() > CALLDATA_BYTES_MAX {
        return Err(DecodeError::TooLong);
    }
    data.strip_prefix(function.selector().as_slice()).ok_or(DecodeError::Selector)
}

/// Reads arguments that are laid out as `members`, to the last byte.
pub(crate) fn decode(members: &[Member], body: &[u8]) -> Result<AbiValue, DecodeError> {
    let (value, end) = Body(body).tuple(members, 0)?;
    match body.len().checked_sub(end) {
        Some(0) => Ok(value),
        Some(rest) => Err(DecodeError::Trailing(rest)),
        None => Err(DecodeError::Short),
    }
}

/// A value, and where its encoding ends.
type Read<T> = Result<(T, usize), DecodeError>;

/// The arguments' bytes. Positions count from their start.
#[derive(Clone, Copy)]
struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    /// Reads what begins at `at`: in the head for a static layout, in the tail for a dynamic one.
    fn value(self, layout: &Layout, at: usize) -> Read<AbiValue> {
        match &layout.shape {
            Shape::Bytes => {
                self.bytes(at).map(|(b, end)| (AbiValue::Bytes(b.to_vec().into()), end))
            }
            Shape::Text => self.text(at),
            Shape::List(item) => self.list(item, at),
            Shape::Array(item, len) => self.items(item, *len, at),
            Shape::Tuple(members) => self.tuple(members, at),
            Shape::Address
            | Shape::Bool
            | Shape::Uint { .. }
            | Shape::Int { .. }
            | Shape::FixedBytes { .. } => {
                let value =
                    scalar(&layout.shape, self.word(at)?).ok_or(DecodeError::Padding(at))?;
                Ok((value, end_of(at, WORD)?))
            }
        }
    }

    /// The one rule of the encoding: heads in a row from `base`, then the tails in the same order,
    /// without a gap.
    fn sequence<'l>(
        self,
        layouts: impl Iterator<Item = &'l Layout> + Clone,
        base: usize,
    ) -> Read<Vec<AbiValue>> {
        let mut tail = self.head_end(layouts.clone(), base)?;
        let mut values = Vec::new();
        let mut at = base;
        for layout in layouts {
            if layout.dynamic {
                self.offset(at, base, tail)?;
                let (value, end) = self.value(layout, tail)?;
                values.push(value);
                tail = end;
            } else {
                values.push(self.value(layout, at)?.0);
            }
            at = end_of(at, layout.head())?;
        }
        Ok((values, tail))
    }

    /// Where the heads end. They must be there before anything is read or allocated.
    fn head_end<'l>(
        self,
        mut layouts: impl Iterator<Item = &'l Layout>,
        base: usize,
    ) -> Result<usize, DecodeError> {
        layouts.try_fold(base, |at, layout| {
            end_of(at, layout.head()).and_then(|end| self.span(at..end).map(|_| end))
        })
    }

    fn tuple(self, members: &[Member], at: usize) -> Read<AbiValue> {
        let (values, end) = self.sequence(members.iter().map(|member| &member.layout), at)?;
        let names = members.iter().map(|member| member.name.clone());
        Ok((AbiValue::Tuple(names.zip(values).collect()), end))
    }

    fn list(self, item: &Layout, at: usize) -> Read<AbiValue> {
        let count = self.number(at)?.ok_or(DecodeError::Short)?;
        self.items(item, count, end_of(at, WORD)?)
    }

    fn items(self, item: &Layout, count: usize, at: usize) -> Read<AbiValue> {
        let (values, end) = self.sequence(std::iter::repeat_n(item, count), at)?;
        Ok((AbiValue::List(values), end))
    }

    fn text(self, at: usize) -> Read<AbiValue> {
        let (bytes, end) = self.bytes(at)?;
        let text = std::str::from_utf8(bytes).map_err(|_| DecodeError::Text(at))?;
        Ok((AbiValue::Text(text.to_owned()), end))
    }

    /// A length, so many bytes, and zeros up to the next word.
    fn bytes(self, at: usize) -> Read<&'a [u8]> {
        let len = self.number(at)?.ok_or(DecodeError::Short)?;
        let start = end_of(at, WORD)?;
        let stop = end_of(start, len)?;
        let end = end_of(start, len.checked_next_multiple_of(WORD).ok_or(DecodeError::Short)?)?;
        let bytes = self.span(start..stop)?;
        let clean = self.span(stop..end)?.iter().all(|byte| *byte == 0);
        if clean { Ok((bytes, end)) } else { Err(DecodeError::Padding(stop)) }
    }

    fn offset(self, at: usize, base: usize, tail: usize) -> Result<(), DecodeError> {
        let expected = tail.checked_sub(base);
        if self.number(at)? == expected { Ok(()) } else { Err(DecodeError::Offset(at)) }
    }

    /// A word as a number of bytes or items; `None` if no calldata has so many.
    fn number(self, at: usize) -> Result<Option<usize>, DecodeError> {
        let number = U256::from_be_bytes(self.word(at)?.0);
        Ok(usize::try_from(number).ok().filter(|n| *n <= CALLDATA_BYTES_MAX))
    }

    fn word(self, at: usize) -> Result<B256, DecodeError> {
        self.span(at..end_of(at, WORD)?)
            .and_then(|word| B256::try_from(word).map_err(|_| DecodeError::Short))
    }

    fn span(self, range: Range<usize>) -> Result<&'a [u8], DecodeError> {
        self.0.get(range).ok_or(DecodeError::Short)
    }
}

fn end_of(at: usize, len: usize) -> Result<usize, DecodeError> {
    at.checked_add(len).ok_or(DecodeError::Short)
}

/// A value of one word; `None` if the word has bits that the type does not, or is not of one word.
fn scalar(shape: &Shape, word: B256) -> Option<AbiValue> {
    match shape {
        Shape::Address => unsigned(word, 160).map(|_| AbiValue::Address(Address::from_word(word))),
        Shape::Bool => unsigned(word, 1).map(|bit| AbiValue::Bool(!bit.is_zero())),
        Shape::Uint { bits } => unsigned(word, *bits).map(AbiValue::Uint),
        Shape::Int { bits } => signed(word, *bits).map(AbiValue::Int),
        Shape::FixedBytes { len } => fixed_bytes(word, *len).map(AbiValue::Bytes),
        Shape::Bytes | Shape::Text | Shape::List(_) | Shape::Array(..) | Shape::Tuple(_) => None,
    }
}

fn unsigned(word: B256, bits: usize) -> Option<U256> {
    Some(U256::from_be_bytes(word.0)).filter(|number| number.bit_len() <= bits)
}

/// Two's complement: the sign fills every bit above the type's own.
fn signed(word: B256, bits: usize) -> Option<I256> {
    let number = I256::from_be_bytes(word.0);
    let raw = number.into_raw();
    let magnitude = if number.is_negative() { !raw } else { raw };
    Some(number).filter(|_| magnitude.bit_len() < bits)
}

fn fixed_bytes(word: B256, len: usize) -> Option<Bytes> {
    let (bytes, padding) = word.split_at_checked(len)?;
    padding.iter().all(|byte| *byte == 0).then(|| Bytes::copy_from_slice(bytes))
}

#[cfg(test)]
mod tests;
